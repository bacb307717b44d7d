from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from iic_rt.errors import OutputError
from iic_rt.video.frame_masks import open_masks
from tests.video.scenes import SHAPE, disc

FRAME = np.zeros((*SHAPE, 3), np.uint8)


def test_every_mask_in_use_is_written(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "masks"
    given = [disc(40, 50), None, disc(90, 50)]
    with open_masks(lambda frame, index: given[index], grow=3, save=folder) as masks:
        used = [masks.mask(FRAME, i) for i in range(3)]
    assert sorted(p.name for p in folder.iterdir()) == ["000000.png", "000001.png", "000002.png"]
    assert (folder / "000000.png").stat().st_size < 1000
    with open_masks(folder, frames=3) as masks:
        for i, mask in enumerate(used):
            again = masks.mask(FRAME, i)
            assert (again is None and mask is None) or (again == mask).all()
    assert cv2.imread(str(folder / "000001.png"), cv2.IMREAD_GRAYSCALE).shape == SHAPE


def test_masks_of_an_older_run_are_not_mixed_with_new_ones(tmp_path: Path) -> None:
    (tmp_path / "000007.png").write_bytes(b"x")
    with pytest.raises(OutputError, match=r"holds 000007\.png already"):
        open_masks(disc(40, 50), save=tmp_path)


def test_a_place_that_cannot_be_written_to(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="cannot write masks to"):
        open_masks(disc(40, 50), save=tmp_path / "file" / "masks")
