"""The specification of ``iic::PatchMatch``: hand-computed cases and what it must never do."""

from __future__ import annotations

import numpy as np
import pytest

from iic_rt.reference.patch_match import COHERENCE, PATCH, patch_match


def scene(rows: int = 2, columns: int = 8) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Features of no pattern, everything valid, offsets of 0, and no hole patch."""
    rng = np.random.default_rng(3)
    features = rng.integers(0, 100, (1, 2, PATCH * rows, PATCH * columns)).astype(float)
    valid = np.ones((1, *features.shape[2:]))
    return features, valid, np.zeros((1, 1, 2, rows, columns), np.int32), np.zeros((1, 1, rows, columns))


def test_the_cost_by_hand() -> None:
    features, valid, offset, share = scene(1, 3)
    features[:] = 0
    features[0, 0, 0, 4] = 3  # compared where the patch lies
    features[0, 1, 2, 8] = 2  # and 4 pixels to the right, as its first pixel but one
    features[0, 0, 1, 5] = 50  # between the pixels that are compared
    share[0, 0, 0, 1], offset[0, 0, 1, 0, 1] = 1, 4
    matched, cost = patch_match(features, np.zeros_like(valid), offset, share, steps=[1])
    np.testing.assert_array_equal(matched, offset)  # nothing is valid
    # 3 is compared with 0 in the three rows that lie above the image or on its first one: -2, 0.
    # 2 is compared with 0 as the patch's own pixel (0 in its source) and as the source's (0 at the patch).
    assert cost[0, 0, 0].tolist() == [0, 2 * 9 + 4 + 4, 0]


def test_a_copy_is_found_pixel_by_pixel() -> None:
    features, valid, offset, share = scene()
    share[0, 0, 0, 1] = 1
    offset[0, 0, 1, 0, 1] = 16
    features[..., 0:12, 2:12] = features[..., 0:12, 17:27]  # 15 to the right of the patch and all around it
    matched, cost = patch_match(features, valid, offset, share, steps=[2, 1])
    assert matched[0, 0, :, 0, 1].tolist() == [0, 15]
    assert cost[0, 0, 0, 1] == 0
    assert not np.delete(matched.reshape(2, -1), 1, axis=1).any()


def test_neighbours_hand_on_their_offsets() -> None:
    features, valid, offset, share = scene(2, 16)
    features[..., 2:30] = features[..., 34:62]
    share[0, 0, 0, 1:4] = 1
    offset[0, 0, 1, 0, 1:4] = 32, 20, 20
    for steps, right in (([1], [32, 32, 20]), ([2], [32, 20, 32]), ([1, 1], [32, 32, 32]), ([2, 1], [32, 32, 32])):
        matched, _ = patch_match(features, valid * 0 + (np.arange(64) % 4 == 0), offset, share, steps=steps)
        assert matched[0, 0, 1, 0, 1:4].tolist() == right, steps


@pytest.mark.parametrize(("own", "theirs", "chosen"), [(2, 3, 20), (1, 3, 32), (0, 1, 32)])
def test_neighbours_that_agree_count(own: int, theirs: int, chosen: int) -> None:
    features, valid, offset, share = scene(1, 16)
    features[:] = 0
    share[0, 0, 0, 1:4] = 1
    offset[0, 0, 1, 0, 1:4] = 20, 32, 20
    # The second patch begins at pixel 8. So many pixels of what it copies, at 8 + 32 and 8 + 20, are unlike it.
    features[0, 0, 3, [40, 42, 44][:own]] = features[0, 0, 3, [26, 28, 30][:theirs]] = 1
    matched, cost = patch_match(features, valid * 0 + (np.arange(64) % 4 == 0), offset, share, steps=[1])
    assert matched[0, 0, 1, 0, 2] == chosen
    assert cost[0, 0, 0, 2] == (own if chosen == 32 else theirs)  # undivided


def test_of_equal_ones_the_own_is_kept() -> None:
    features, valid, offset, share = scene()
    features[:] = 7
    share[:] = 1
    offset[0, 0, 1] = 4
    matched, cost = patch_match(features, valid, offset, share, steps=[4, 2, 1])
    np.testing.assert_array_equal(matched, offset)
    assert not cost.any()


@pytest.mark.parametrize("steps", [[1], [8, 4, 2, 1], [64]])
def test_what_is_not_valid_or_outside_is_never_chosen(steps: list[int]) -> None:
    features, valid, offset, share = scene(4, 6)
    rng = np.random.default_rng(1)
    valid = (rng.random(valid.shape) < 0.4).astype(float)
    share[:] = rng.random(share.shape) < 0.6
    rows, columns = np.mgrid[:4, :6]
    offset[0, 0] = PATCH * np.stack((rng.integers(0, 4, (4, 6)) - rows, rng.integers(0, 6, (4, 6)) - columns))
    before, cost_before = patch_match(features, np.zeros_like(valid), offset, share, steps=steps)
    matched, cost = patch_match(features, valid, offset, share, steps=steps)
    np.testing.assert_array_equal(before, offset)
    assert (cost <= (1 + 4 * COHERENCE) ** len(steps) * cost_before).all()  # at most with four that agree
    changed = (matched != offset).any(2)[0, 0]
    assert not changed[share[0, 0] == 0].any()
    for r, c in np.argwhere(changed):
        y, x = PATCH * r + matched[0, 0, 0, r, c], PATCH * c + matched[0, 0, 1, r, c]
        assert 0 <= y <= 12
        assert 0 <= x <= 20
        assert valid[0, y, x] > 0
