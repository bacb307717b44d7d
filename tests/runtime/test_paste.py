"""Pasting writes hole pixels only, at the right place."""

from __future__ import annotations

import numpy as np
import pytest

from iic_rt.loop import State
from iic_rt.paste import lead_in, paste
from iic_rt.reference import area_weights, prepare
from iic_rt.regions import Box, Region, crop, find_regions


@pytest.mark.parametrize("shape", [(64, 64), (100, 90), (300, 200), (50, 400)])
@pytest.mark.parametrize("feather", [0, 3])
def test_a_smooth_picture_comes_back(shape: tuple[int, int], feather: float) -> None:
    """Shrinks a ramp without a hole, pastes it into one: any shift of a pixel would show in the values."""
    height, width = shape
    yy, xx = np.mgrid[:height, :width]
    ramp = np.stack([xx * 200 / width, yy * 200 / height, (xx + yy) * 100 / (height + width)], 2)
    image = np.rint(ramp).astype(np.uint8)
    hole = np.zeros(shape, np.uint8)
    hole[height // 4 : height // 2, width // 3 : width // 2] = 1
    target, confidence, left = image.copy(), np.ones(shape, np.float32), np.ones(shape, np.uint8)
    target[hole > 0] = 0
    for region in find_regions(hole, working_size=64, context=2):
        nothing = np.zeros((region.side, region.side), np.uint8)
        y, _ = prepare(crop(image, region), nothing, area_weights(region.side / 64))
        state = State(y[0], np.zeros((64, 64), np.float32), np.full((64, 64), 0.75, np.float32))
        paste(target, confidence, left, hole, region, state, feather=feather)
    steepest = np.abs(np.diff(ramp, axis=0)).max() + np.abs(np.diff(ramp, axis=1)).max()
    reach = feather * region.side / 64  # the feather is a mean over the known side
    tolerance = 1 if feather == 0 else 1 + reach * steepest
    assert np.abs(target.astype(int) - image)[hole > 0].max() <= tolerance
    np.testing.assert_array_equal(target[hole == 0], image[hole == 0])
    assert (confidence[hole > 0] == 0.75).all()
    assert (confidence[hole == 0] == 1).all()
    assert (left == 1 - hole).all()


def test_another_regions_hole_is_not_written() -> None:
    hole = np.zeros((64, 200), np.uint8)
    hole[20:40, 20:30] = 1
    hole[20:40, 33:40] = 1  # within the feather's reach, in another box
    image = np.full((64, 200, 3), 9, np.uint8)
    regions = find_regions(hole[:, :31], working_size=64, context=2)
    state = State(np.zeros((3, 64, 64), np.float32), np.zeros((64, 64), np.float32), np.ones((64, 64), np.float32))
    paste(image, np.ones(hole.shape, np.float32), hole.copy(), hole, regions[0], state, feather=8)
    assert (image[20:40, 33:40] == 9).all()
    assert (image[25:35, 24] != 9).all()


def test_feather_meets_the_known_side() -> None:
    known = np.full((20, 20, 3), 100, np.uint8)
    inside = np.zeros((20, 20), bool)
    inside[5:15, 5:15] = True
    filled = np.full((20, 20, 3), 200, np.float32)
    led = lead_in(filled, known, inside, ~inside, 3)[10, 5:15, 0]
    assert led[0] < 140
    assert (np.diff(led[:5]) >= 0).all()
    assert (led[3:7] == 200).all()


def test_feather_without_known_pixels_changes_nothing() -> None:
    filled = np.full((8, 8, 3), 200, np.float32)
    everything = np.ones((8, 8), bool)
    np.testing.assert_array_equal(lead_in(filled, np.zeros((8, 8, 3), np.uint8), everything, ~everything, 3), filled)


def test_another_regions_hole_does_not_lead_this_one() -> None:
    """Neighbouring parts of one wire touch: what the window holds under the other part is no result."""
    hole = np.zeros((64, 200), np.uint8)
    hole[20:40, 20:40] = 1
    image = np.full((64, 200, 3), 90, np.uint8)
    region = Region(0, 0, 128, Box(20, 20, 40, 30))  # the left half of the hole
    state = State(np.zeros((3, 64, 64), np.float32), np.zeros((64, 64), np.float32), np.ones((64, 64), np.float32))
    results = []
    for other in (0, 255):
        detail = np.full((128, 128, 3), 60, np.uint8)
        detail[:, 30:] = other
        made = image.copy()
        arrays = np.ones(hole.shape, np.float32), hole.copy(), hole
        paste(made, *arrays, region, state, feather=4, detail=detail)
        results.append(made)
    np.testing.assert_array_equal(*results)
    assert (results[0][20:40, 30:] == 90).all()
