"""Regions cover every hole once, stay on the ladder, and are few."""

from __future__ import annotations

import numpy as np
import pytest

from iic_rt.components import MOST_COMPONENTS
from iic_rt.geometry import Box, ladder_side
from iic_rt.masks import Masks
from iic_rt.pipeline.regions import MAX_PARTS, Region, crop, crop_masks, cut, find_regions, merge, place, reach, tight


def holes(height: int, width: int, *boxes: tuple[int, int, int, int]) -> np.ndarray:
    hole = np.zeros((height, width), np.uint8)
    for top, left, bottom, right in boxes:
        hole[top:bottom, left:right] = 1
    return hole


def check(hole: np.ndarray, working_size: int = 64, context: float = 2.0) -> list:
    regions = find_regions(Masks(hole), working_size=working_size, context=context)
    covered = np.zeros(hole.shape, int)
    for region in regions:
        covered[region.box.slices] += 1
        assert ladder_side(region.side, working_size) == region.side
        assert region.side >= max(working_size, region.box.longest)
        # the window holds its box, with something known around it unless the picture ends there
        assert region.top <= region.box.top
        assert region.box.bottom <= region.top + region.side
        assert region.left <= region.box.left
        assert region.box.right <= region.left + region.side
        assert crop(hole, region).shape == (region.side, region.side)
    assert (covered[hole > 0] == 1).all()
    assert covered.max() <= 1
    return regions


def test_one_small_hole_gets_the_working_size() -> None:
    (region,) = check(holes(300, 400, (100, 200, 120, 230)))
    assert region.side == 64
    assert (region.top, region.left) == (110 - 32, 215 - 32)


def test_context_follows_the_hole() -> None:
    (region,) = check(holes(500, 500, (100, 100, 200, 200)))
    assert region.side == ladder_side(200, 64) == 224
    (wide,) = check(holes(500, 500, (100, 100, 200, 200)), context=3)
    assert wide.side == 320


def test_far_holes_are_apart_and_near_ones_together() -> None:
    assert len(check(holes(300, 600, (10, 10, 30, 30), (200, 500, 220, 520)))) == 2
    assert len(check(holes(300, 600, (10, 10, 30, 30), (15, 32, 30, 40)))) == 1


def test_overlapping_boxes_are_merged() -> None:
    ring = holes(400, 400, (50, 50, 300, 300))
    ring[120:230, 120:230] = 0
    ring[150:170, 150:170] = 1  # a hole inside the ring: its box lies in the ring's
    assert len(check(ring)) == 1


@pytest.mark.parametrize("shape", [(20, 30), (64, 64), (5, 900), (900, 5), (100, 1), (333, 77)])
def test_any_size_and_aspect(shape: tuple[int, int], rng: np.random.Generator) -> None:
    hole = np.zeros(shape, np.uint8)
    hole[tuple(rng.integers(n) for n in shape)] = 1
    check(hole)
    hole[:, : max(1, shape[1] // 3)] = 1
    check(hole)


def test_noise_costs_few_regions(rng: np.random.Generator) -> None:
    hole = (rng.random((400, 600)) < 0.02).astype(np.uint8)
    assert len(check(hole)) <= MOST_COMPONENTS


def test_random_masks(rng: np.random.Generator) -> None:
    for _ in range(40):
        shape = tuple(int(n) for n in rng.integers(40, 500, 2))
        boxes = []
        for _ in range(int(rng.integers(1, 7))):
            top, left = (int(rng.integers(n - 1)) for n in shape)
            boxes.append((top, left, top + int(rng.integers(1, 120)), left + int(rng.integers(1, 120))))
        check(holes(*shape, *boxes))


def test_ladder() -> None:
    sides = sorted({ladder_side(n, 256) for n in range(1, 2049)})
    assert sides == [256, 384, 512, 640, 768, 896, 1024, 1280, 1536, 1792, 2048]


def test_the_crop_outside_the_picture_is_its_mirror() -> None:
    image = np.arange(20 * 64, dtype=np.uint32).reshape(20, 64).astype(np.uint8)
    (region,) = find_regions(Masks(holes(20, 64, (5, 5, 8, 8))), working_size=64, context=2)
    window = crop(image, region)
    top = -region.top
    np.testing.assert_array_equal(window[top : top + 20], image)
    np.testing.assert_array_equal(window[top - 1], image[1])


def test_box_arithmetic() -> None:
    a, b = Box(0, 0, 10, 10), Box(9, 9, 12, 30)
    assert a.meets(b)
    assert not a.meets(Box(10, 0, 12, 10))
    assert a.union(b) == Box(0, 0, 12, 30)
    assert b.moved(-9, 1) == Box(0, 10, 3, 31)
    assert b.grown(5, 14, 100) == Box(4, 4, 14, 35)


def test_a_wire_is_cut_and_a_blob_is_not() -> None:
    wire = np.zeros((600, 1000), np.uint8)
    for x in range(1000):
        wire[100 + x // 3 : 104 + x // 3, x] = 1
    regions = check(wire)
    assert 8 <= len(regions) <= MOST_COMPONENTS
    assert max(region.side for region in regions) <= 160  # 1280 in one piece
    blob = holes(600, 1000, (100, 100, 200, 450))
    assert len(check(blob)) == 1


def test_several_wires_are_cut_as_one_is() -> None:
    hole = np.zeros((1000, 1600), np.uint8)
    for row in (100, 400, 700):
        hole[row : row + 5] = 1
    regions = find_regions(Masks(hole), working_size=256, context=2)
    assert len(regions) > 20
    assert {region.side for region in regions} == {256}
    covered = np.zeros_like(hole)
    for region in regions:
        covered[region.box.slices] += 1
    assert (covered[hole > 0] == 1).all()


@pytest.mark.parametrize(
    ("box", "side", "start"),
    [
        (Box(100, 200, 120, 230), 64, (78, 183)),
        (Box(0, 0, 20, 31), 64, (0, 0)),
        (Box(290, 385, 300, 400), 64, (236, 336)),
        (Box(32, 32, 33, 33), 64, (0, 0)),
        (Box(33, 33, 35, 35), 64, (2, 2)),
        (Box(10, 10, 20, 20), 300, (0, 0)),
        (Box(10, 10, 20, 20), 310, (-5, 0)),
        (Box(10, 10, 20, 20), 448, (-74, -24)),
    ],
)
def test_a_window_is_centred_on_its_box_or_moved_inside(box: Box, side: int, start: tuple[int, int]) -> None:
    assert place(box, side, 300, 400) == Region(*start, side, box)


def test_the_window_of_a_region() -> None:
    region = Region(10, -4, 32, Box(20, 0, 30, 9))
    assert region.window == Box(10, -4, 42, 28)
    assert region.box_inside == Box(10, 4, 20, 13)


def test_a_joined_box_may_reach_one_that_was_passed_over() -> None:
    boxes = [Box(0, 20, 5, 25), Box(0, 0, 10, 10), Box(8, 8, 30, 30)]
    assert merge(boxes, lambda box: box.longest) == [Box(0, 0, 30, 30)]
    apart = [Box(0, 0, 10, 10), Box(0, 12, 10, 22), Box(0, 50, 4, 54)]
    assert sorted(map(str, merge(apart, lambda box: box.longest))) == sorted(map(str, apart))
    assert merge(apart, lambda box: max(22, box.longest)) == [Box(0, 50, 4, 54), Box(0, 0, 10, 22)]
    assert len(apart) == 3


def test_the_box_of_what_is_marked() -> None:
    hole = holes(20, 30, (5, 7, 6, 9), (10, 20, 12, 21))
    assert tight(Box(0, 0, 20, 30), hole) == Box(5, 7, 12, 21)
    assert tight(Box(6, 2, 20, 30), hole) == Box(10, 20, 12, 21)
    assert tight(Box(0, 0, 4, 30), hole) is None


@pytest.mark.parametrize("upright", [False, True])
def test_a_wire_is_halved_until_its_parts_are_short(upright: bool) -> None:
    hole, other = holes(90, 1100, (20, 30, 24, 1054)), holes(90, 1100, (70, 30, 74, 1054))
    box = Box(20, 30, 24, 1054)
    if upright:
        hole, other, box = np.ascontiguousarray(hole.T), other.T, Box(30, 20, 1054, 24)
    parts = cut(box, hole | other, 32)
    assert len(parts) == MAX_PARTS
    assert {part.longest for part in parts} == {64}
    assert len(cut(box, hole, 600)) == 2
    assert cut(box, hole, 1024) == [box]
    covered = np.zeros_like(hole)
    for part in parts:
        covered[part.slices] += 1
    np.testing.assert_array_equal(covered, hole)


def test_a_thick_bar_is_cut_into_parts_of_four_times_its_thickness() -> None:
    hole = holes(300, 4100, (50, 50, 250, 4050))  # so large that it is measured on a smaller copy
    assert [part.longest for part in cut(Box(50, 50, 250, 4050), hole, 32)] == [500] * 8


def test_of_a_part_that_bends_only_what_is_marked_is_kept() -> None:
    hole = holes(300, 300, (10, 10, 13, 250), (10, 247, 250, 250))
    parts = cut(Box(10, 10, 250, 250), hole, 32)
    assert max(part.longest for part in parts) <= 32
    assert sum(hole[part.slices].size for part in parts) < 2 * hole.sum()
    assert sum(int(hole[part.slices].sum()) for part in parts) == hole.sum()


@pytest.mark.parametrize(("near", "far", "side"), [(410, 900, 64), (409, 900, 96), (5, 0, 64), (5, 1, 96)])
def test_a_region_is_enlarged_until_enough_may_be_copied(near: int, far: int, side: int) -> None:
    copyable = np.zeros((300, 300), np.uint8)
    copyable[100:164, 100:164] = (np.arange(64 * 64) < near).reshape(64, 64)
    copyable[100:164, 164:180] = (np.arange(64 * 16) < far).reshape(64, 16)
    region = Region(100, 100, 64, Box(125, 125, 139, 139))
    found = reach(region, copyable, 64)
    assert found.side == side
    assert found.box == region.box
    assert found.top == 132 - side // 2


def test_regions_reach_as_far_as_what_may_be_copied() -> None:
    hole, right = holes(300, 900, (100, 100, 120, 120)), holes(300, 900, (0, 150, 300, 900))
    everything = 1 - hole
    for masks, side in (
        (Masks(hole), 64),
        (Masks(hole, everything), 64),
        (Masks(hole, right), 128),
        (Masks(hole, None, right), 128),
        (Masks(hole, everything, right), 128),
        (Masks(hole, right, right & holes(300, 900, (0, 200, 300, 900))), 224),
    ):
        (region,) = find_regions(masks, working_size=64, context=2)
        assert region.side == side
        assert region.box == Box(100, 100, 120, 120)


def test_masks_in_a_window_know_what_was_filled_and_what_is_hidden() -> None:
    hole = holes(40, 60, (10, 10, 14, 14), (10, 30, 14, 34))
    visible = 1 - holes(40, 60, (0, 40, 40, 60)) - hole
    copyable = visible & holes(40, 60, (0, 0, 5, 60))
    region = Region(0, 5, 40, Box(10, 10, 14, 14))
    left = hole.copy()
    first = crop_masks(Masks(hole), left, region)
    np.testing.assert_array_equal(first.hole, holes(40, 40, (10, 5, 14, 9)))
    np.testing.assert_array_equal(first.visible, 1 - crop(hole, region))
    np.testing.assert_array_equal(first.copyable, first.visible)
    left[10:14, 30:34] = 0  # the other region was filled
    masks = crop_masks(Masks(hole, visible, copyable), left, region)
    known = 1 - holes(40, 40, (10, 5, 14, 9), (0, 35, 40, 40))
    np.testing.assert_array_equal(masks.visible, known)
    may = holes(40, 40, (0, 0, 5, 40), (10, 25, 14, 29))
    np.testing.assert_array_equal(masks.copyable, may & known)
