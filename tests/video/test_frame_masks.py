from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from iic_rt import Inpainter
from iic_rt.errors import InputError
from iic_rt.video.frame_masks import open_masks
from tests.video.scenes import SHAPE, Pixels, background, disc

FRAME = np.zeros((*SHAPE, 3), np.uint8)


class Own:
    """A source of a caller: the contract and nothing more."""

    closed = False

    def mask(self, frame: Any, index: int, pts: float | None) -> Pixels | None:
        return None if index % 2 else disc(50, 50)

    def close(self) -> None:
        self.closed = True


def test_a_source_of_the_caller() -> None:
    source = Own()
    with open_masks(source, hold_frames=1) as masks:
        assert masks.count is None
        assert masks.trust is None
        assert masks.warnings == ()
        assert all((masks.mask(FRAME, i) == disc(50, 50)).all() for i in range(4))
        masks.finish(4)
        with pytest.raises(InputError, match="the mask of frame 0 is 160x120 and the frame 80x60"):
            masks.mask(FRAME[::2, ::2], 0)
    assert source.closed


def test_opened_masks_are_a_source_themselves() -> None:
    source = Own()
    with open_masks(open_masks(source), grow=2) as masks:
        grown = masks.mask(FRAME, 0)
        assert grown is not None
        assert np.count_nonzero(grown) > np.count_nonzero(disc(50, 50))
    assert source.closed


def test_a_source_is_closed_when_an_option_is_wrong() -> None:
    source = Own()
    with pytest.raises(InputError, match="min_confidence"):
        open_masks(source, min_confidence=7)
    assert source.closed


def test_growing_comes_before_holding() -> None:
    given = [disc(50, 50, 10), None]
    with open_masks(lambda frame, index: given[index], grow=4, hold_frames=2, jitter=1) as masks:
        first, held = (masks.mask(FRAME, i) for i in range(2))
    assert first is not None
    assert (first == held).all()
    assert not (disc(50, 50, 14) & ~first).any()


def test_a_mask_of_everything_is_not_held() -> None:
    given = [np.full(SHAPE, 255, np.uint8), disc(50, 50), None]
    with open_masks(lambda frame, index: given[index], hold_frames=2, jitter=1) as masks:
        whole, then, held = (masks.mask(FRAME, i) for i in range(3))
    assert whole is not None
    assert whole.all()
    assert then is not None
    assert np.count_nonzero(then) < 2 * np.count_nonzero(disc(50, 50))
    assert (held == then).all()


def test_a_mask_may_be_changed_by_who_gets_it() -> None:
    with open_masks(disc(50, 50)) as masks:
        mask = masks.mask(FRAME, 0)
        assert mask is not None
        mask[:] = 0
        assert (masks.mask(FRAME, 1) == disc(50, 50)).all()


def test_only_the_size_of_a_frame_on_a_device_is_needed() -> None:
    class OnDevice:
        shape = (*SHAPE, 3)

    assert (open_masks(disc(50, 50)).mask(OnDevice(), 0) == disc(50, 50)).all()
    with pytest.raises(InputError, match="Copy the frame to the host"):
        open_masks("motion").mask(OnDevice(), 0)


@pytest.mark.parametrize(
    ("source", "options", "text"),
    [
        (3, {}, "masks cannot come from a int"),
        (None, {}, "masks cannot come from a NoneType"),
        (np.zeros(SHAPE, np.float32), {}, "float32"),
        (disc(9, 9), {"grow": 99}, "grow is 99"),
        (disc(9, 9), {"grow": "much"}, "grow is 'much'"),
        (disc(9, 9), {"hold_frames": -1}, "hold_frames is -1"),
        (disc(9, 9), {"jitter": 99}, "jitter is 99"),
        (disc(9, 9), {"mask_hole": "red"}, "mask_hole is 'red'"),
    ],
)
def test_wrong_calls(source: Any, options: dict[str, Any], text: str) -> None:
    with pytest.raises(InputError, match=text):
        open_masks(source, **options)


def test_masks_fill_frames(inpainter: Inpainter) -> None:
    frame = background()
    with open_masks({"frames": [{"frame": 0, "boxes": [[60, 40, 90, 80]]}, {"frame": 1}]}) as masks:
        mask = masks.mask(frame, 0)
        result = inpainter.inpaint(frame, mask)
        assert (result.image[mask == 0] == frame[mask == 0]).all()
        assert masks.mask(frame, 1) is None
