from __future__ import annotations

import numpy as np
import pytest

from iic_rt.errors import InputError
from iic_rt.video.mask_source import as_mask, colour_frame, frame_shape


@pytest.mark.parametrize("shape", [(4, 6), (4, 6, 1), (4, 6, 3), (4, 6, 4)])
def test_frames_come_in_colour(shape: tuple[int, ...]) -> None:
    frame = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)
    image = colour_frame(frame)
    assert image.shape == (4, 6, 3)
    assert (image[..., 0] == frame.reshape(4, 6, -1)[..., 0]).all()
    assert frame_shape(frame) == (4, 6)


@pytest.mark.parametrize(
    ("frame", "text"),
    [
        (None, "NoneType"),
        (np.zeros(3, np.uint8), "shape"),
        (np.zeros((0, 3), np.uint8), "shape"),
        (np.zeros((3, 3, 2), np.uint8), "1, 3 or 4 channels"),
        (np.zeros((3, 3, 3), np.float32), "float32"),
    ],
)
def test_other_frames_are_refused(frame: object, text: str) -> None:
    with pytest.raises(InputError, match=text):
        colour_frame(frame)


def test_masks_of_both_scales() -> None:
    ones = np.array([[0, 1], [1, 0]], np.uint8)
    for mask in (ones, ones.astype(bool), ones[..., None], ones * np.uint8(200)):
        assert (as_mask(mask, "it") == ones * 255).all()
        assert (as_mask(mask, "it", inverted=True) == (1 - ones) * 255).all()
    assert not as_mask(ones * np.uint8(100), "it").any()


@pytest.mark.parametrize(
    ("mask", "text"), [(np.zeros((2, 2), np.float32), "float32"), (np.zeros((2, 2, 3), np.uint8), r"\(2, 2, 3\)")]
)
def test_other_masks_are_refused(mask: np.ndarray, text: str) -> None:
    with pytest.raises(InputError, match=f"it has .*{text}"):
        as_mask(mask, "it")
