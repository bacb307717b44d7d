from __future__ import annotations

import numpy as np
import pytest

from iic_rt.errors import InputError
from iic_rt.video.grabcut import grabcut_mask
from tests.video.scenes import background, overlap, with_object


def test_an_object_is_cut_out_of_its_box() -> None:
    frame, true = with_object(background(), 80, 60)
    mask = grabcut_mask(frame, (58, 38, 102.5, 82))
    assert mask.dtype == np.uint8
    assert set(np.unique(mask)) == {0, 255}
    assert overlap(mask, true) > 0.9
    assert (grabcut_mask(frame, (58, 38, 102.5, 82)) == mask).all()


def test_nothing_is_marked_outside_the_box() -> None:
    frame, _ = with_object(background(), 80, 60)
    mask = grabcut_mask(frame, (70, 50, 95, 75))
    mask[50:75, 70:95] = 0
    assert not mask.any()


def test_a_large_object_at_a_smaller_scale() -> None:
    frame, true = with_object(background(shape=(720, 1280)), 600, 350, radius=200)
    assert overlap(grabcut_mask(frame, (390, 140, 810, 560)), true) > 0.9


def test_the_box_stays_where_nothing_can_be_told_apart() -> None:
    flat = np.full((120, 160, 3), 90, np.uint8)
    mask = grabcut_mask(flat, (20, 20, 60, 60))
    assert mask[20:60, 20:60].all()
    assert grabcut_mask(flat, (-5, -5, 900, 900)).all()


@pytest.mark.parametrize("box", [(0, 0, 0, 0), (200, 0, 300, 50), (9, 9, 3, 12), (1, 2, 3), (), (0, 0, np.nan, 1)])
def test_other_boxes_are_refused(box: tuple[float, ...]) -> None:
    with pytest.raises(InputError, match="box"):
        grabcut_mask(np.zeros((120, 160, 3), np.uint8), box)
