"""Components cover a mask exactly, each pixel once, and are few."""

from __future__ import annotations

import numpy as np
import pytest

from iic_rt.components import LARGEST_CELL, MOST_COMPONENTS, find_components, shrink


def covered(mask: np.ndarray) -> np.ndarray:
    count = np.zeros(mask.shape, int)
    for component in find_components(mask):
        assert component.mask.shape == tuple(s.stop - s.start for s in component.box.slices)
        assert component.mask.any(0)[[0, -1]].all()  # the box is the smallest
        assert component.mask.any(1)[[0, -1]].all()
        count[component.box.slices] += component.mask
    return count


@pytest.mark.parametrize("shape", [(1, 1), (5, 900), (300, 400), (1300, 2100), (4000, 3000)])
def test_every_pixel_once(shape: tuple[int, int], rng: np.random.Generator) -> None:
    mask = np.zeros(shape, np.uint8)
    for _ in range(12):
        top, left = (int(rng.integers(n)) for n in shape)
        mask[top : top + int(rng.integers(1, 200)), left : left + int(rng.integers(1, 200))] = 1
        mask[tuple(int(rng.integers(n)) for n in shape)] = 1
    np.testing.assert_array_equal(covered(mask), mask)


def test_many_are_grouped(rng: np.random.Generator) -> None:
    mask = (rng.random((700, 900)) < 0.01).astype(np.uint8)
    assert 0 < len(find_components(mask)) <= MOST_COMPONENTS
    np.testing.assert_array_equal(covered(mask), mask)


def test_what_lies_in_the_box_of_another_is_not_its_own() -> None:
    mask = np.zeros((200, 200), np.uint8)
    mask[10:190, 10:14] = mask[186:190, 10:190] = 1
    mask[50:60, 100:110] = 1
    sizes = sorted(int(component.mask.sum()) for component in find_components(mask))
    assert sizes == [100, int(mask.sum()) - 100]


@pytest.mark.parametrize("shape", [(4000, 3000), (8000, 6000)])
def test_one_pixel_is_seen_in_the_smaller_copy(shape: tuple[int, int]) -> None:
    mask = np.zeros(shape, np.uint8)
    mask[shape[0] - 1, shape[1] // 2] = 1
    small, cell = shrink(mask)
    assert 1 < cell <= LARGEST_CELL
    assert small.sum() == 1
    assert not find_components(np.zeros((5, 5), np.uint8))
