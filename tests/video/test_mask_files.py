from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from iic_rt.errors import InputError
from iic_rt.video.frame_masks import FrameMasks, open_masks
from iic_rt.video.mask_files import natural_order
from tests.video.scenes import SHAPE, Pixels, disc

FRAME = np.zeros((*SHAPE, 3), np.uint8)


def all_masks(masks: FrameMasks, frames: int) -> list[Pixels | None]:
    return [masks.mask(FRAME, i) for i in range(frames)]


def discs(count: int) -> list[Pixels]:
    return [disc(20 + 5 * i, 60) for i in range(count)]


def folder_of(tmp_path: Path, masks: list[Pixels], name: str = "mask{}.png") -> Path:
    for i, mask in enumerate(masks):
        cv2.imwrite(str(tmp_path / name.format(i)), mask)
    return tmp_path


def test_one_mask_for_all(tmp_path: Path) -> None:
    mask = disc(50, 50)
    cv2.imwrite(str(tmp_path / "m.png"), mask)
    for source in (mask, mask > 0, mask[..., None], tmp_path / "m.png", str(tmp_path / "m.png")):
        with open_masks(source) as masks:
            assert masks.count is None
            assert masks.trust is None
            assert all((m == mask).all() for m in all_masks(masks, 3))
            masks.finish(3)


def test_black_may_be_the_hole(tmp_path: Path) -> None:
    mask = disc(50, 50)
    folder = folder_of(tmp_path, [255 - mask] * 2)
    for source in (255 - mask, folder, folder / "mask0.png", np.stack([255 - mask] * 2), lambda *_: 255 - mask):
        with open_masks(source, mask_hole="black") as masks:
            assert (masks.mask(FRAME, 1) == mask).all()


def test_an_array_of_masks() -> None:
    stack = np.stack(discs(3))
    with open_masks(stack, frames=3) as masks:
        assert masks.count == 3
        assert all((a == b).all() for a, b in zip(all_masks(masks, 3), stack, strict=True))
        with pytest.raises(InputError, match=r"holds 3 masks, and frame 3 .* at least 4 frames"):
            masks.mask(FRAME, 3)


def test_a_folder_is_read_in_natural_order(tmp_path: Path) -> None:
    made = discs(12)
    folder = folder_of(tmp_path, made)
    (folder / "notes.txt").write_text("x")
    (folder / "._mask0.png").write_bytes(b"x")
    with open_masks(folder) as masks:
        assert masks.count == 12
        assert all((a == b).all() for a, b in zip(all_masks(masks, 12), made, strict=True))


def test_natural_order_takes_any_name() -> None:
    names = ["10", "9", "a2b10", "a2b9", "a²", "٣", "1" * 5000, ""]
    assert [p.name for p in sorted(map(Path, names[:4]), key=natural_order)] == ["9", "10", "a2b9", "a2b10"]
    sorted(map(Path, names), key=natural_order)


def test_a_wrong_count_is_named_with_both(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, discs(3))
    with pytest.raises(InputError, match="3 masks and the stream has 5 frames"):
        open_masks(folder, frames=5)
    with open_masks(folder) as masks:
        all_masks(masks, 2)
        with pytest.raises(InputError, match="3 masks and the stream had 2 frames"):
            masks.finish(2)
        masks.mask(FRAME, 2)
        masks.finish(3)
        with pytest.raises(InputError, match="holds 3 masks, and frame 3 came"):
            masks.mask(FRAME, 3)


def test_the_first_mask_of_another_size_is_named(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, [*discs(2), np.zeros((50, 70), np.uint8), np.zeros((40, 70), np.uint8)])
    with open_masks(folder) as masks:
        all_masks(masks, 2)
        with pytest.raises(InputError, match=r"mask2\.png of frame 2 is 70x50 and the frame 160x120"):
            masks.mask(FRAME, 2)


def test_missing_and_empty_places(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="holds no mask"):
        open_masks(tmp_path / "empty")
    for name in ("no.png", "no.mp4", "no.json", "no"):
        with pytest.raises(InputError, match=r"does not exist|No such file"):
            open_masks(tmp_path / name)
    (tmp_path / "a.xyz").write_text("x")
    with pytest.raises(InputError, match=r"ending is '\.xyz'"):
        open_masks(tmp_path / "a.xyz")


def video_of(path: Path, masks: list[Pixels]) -> Path:
    av = pytest.importorskip("av")
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.height, stream.width = SHAPE
        stream.pix_fmt = "yuv420p"
        stream.bit_rate = 4_000_000
        for mask in masks:
            picture = av.VideoFrame.from_ndarray(np.dstack([mask] * 3), format="rgb24")
            container.mux(stream.encode(picture))
        container.mux(stream.encode())
    return path


def test_a_video_of_masks(tmp_path: Path) -> None:
    made = discs(8)
    path = video_of(tmp_path / "masks.mp4", made)
    with open_masks(path) as masks:
        for got, true in zip(all_masks(masks, 8), made, strict=True):
            assert got is not None
            assert set(np.unique(got)) == {0, 255}
            assert np.count_nonzero(got != true) < 0.1 * np.count_nonzero(true)
        assert (masks.mask(FRAME, 7) == got).all()
        masks.finish(8)
        with pytest.raises(InputError, match="forwards only"):
            masks.mask(FRAME, 3)
        with pytest.raises(InputError, match="holds 8 masks, and frame 8 came"):
            masks.mask(FRAME, 8)


def test_a_video_may_skip_frames_and_counts_what_is_left(tmp_path: Path) -> None:
    made = discs(8)
    path = video_of(tmp_path / "masks.mp4", made)
    with open_masks(path) as masks:
        got = masks.mask(FRAME, 5)
        assert got is not None
        assert np.count_nonzero(got != made[5]) < 0.1 * np.count_nonzero(made[5])
        with pytest.raises(InputError, match="8 masks and the stream had 6 frames"):
            masks.finish(6)


def test_a_damaged_video_is_named(tmp_path: Path) -> None:
    pytest.importorskip("av")
    (tmp_path / "bad.mp4").write_bytes(b"not a video at all")
    with pytest.raises(InputError, match=r"bad\.mp4 cannot be read as a video"):
        open_masks(tmp_path / "bad.mp4")


def test_without_pyav_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    (tmp_path / "masks.mp4").write_bytes(b"x")
    with pytest.raises(InputError, match=r"pip install 'iic-rt\[video\]'"):
        open_masks(tmp_path / "masks.mp4")
