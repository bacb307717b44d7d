"""The specification of ``iic::PatchReplace``: hand-computed cases and what it must never do."""

from __future__ import annotations

import numpy as np
import pytest

from iic_rt.reference.patch_replace import patch_replace

HALF = 4  # margin 1


def maps(rows: int, columns: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Features that tell every cell apart, no hole, and nothing to copy."""
    cells = np.arange(rows * columns * HALF**2, dtype=float)
    features = cells.reshape(1, 1, rows * HALF, columns * HALF)
    grid = (1, 1, rows, columns)
    return features, np.zeros_like(features), np.zeros(grid, np.int32), np.zeros(grid)


def test_one_patch_is_copied_as_it_is() -> None:
    features, inside, source, share = maps(1, 3)
    inside[..., 4:8] = 1
    source[0, 0, 0, 1], share[0, 0, 0, 1] = 2, 1
    mixed, missing = patch_replace(features, inside, source, share)
    np.testing.assert_array_equal(mixed[..., 4:8], features[..., 8:12])
    np.testing.assert_array_equal(mixed[..., :4], features[..., :4])
    assert not missing.any()


def test_neighbours_are_blended_linearly_over_the_margins() -> None:
    features, inside, source, share = maps(1, 6)
    features[:] = np.repeat(np.arange(6.0), HALF)  # each patch has its own shade
    inside[..., 8:16] = 1
    source[0, 0, 0, 2:4], share[0, 0, 0, 2:4] = (0, 5), 1
    mixed, _ = patch_replace(features, inside, source, share)
    # The margins belong to the neighbours of the sources: 3/4 of 0 and 1/4 of 4, then 1/4 of 1 and 3/4 of 5.
    np.testing.assert_allclose(mixed[0, 0, 0, 8:16], [0, 0, 0, 1, 4, 5, 5, 5])


def test_beyond_the_border_the_nearest_cell_is_read() -> None:
    features, inside, source, share = maps(1, 3)
    inside[..., 4:8] = 1
    share[0, 0, 0, :2] = 1
    source[0, 0, 0, :2] = 2  # the first is replaced too, so that its margin reaches over
    mixed, _ = patch_replace(features, inside, source, share)
    row = features[0, 0, 0]
    assert mixed[0, 0, 0, 4] == 0.75 * row[8] + 0.25 * row[11]  # right of the map's last cell


def test_shares_mix_the_sources() -> None:
    features, inside, _, _ = maps(1, 3)
    inside[..., 4:8] = 1
    source, share = np.zeros((1, 2, 1, 3), np.int32), np.zeros((1, 2, 1, 3))
    source[0, :, 0, 1], share[0, :, 0, 1] = (0, 2), (0.25, 0.75)
    mixed, _ = patch_replace(features, inside, source, share)
    np.testing.assert_allclose(mixed[..., 4:8], 0.25 * features[..., :4] + 0.75 * features[..., 8:])


@pytest.mark.parametrize("spoilt", [np.nan, 1e9])
def test_nothing_inside_is_ever_read(spoilt: float) -> None:
    features, inside, source, share = maps(2, 4)
    inside[..., 2:10] = 1
    source[0, 0, :, 1:3], share[0, 0, :, 1:3] = 0, 1  # half of patch 0 is unknown itself
    mixed, missing = patch_replace(features, inside, source, share)
    again, _ = patch_replace(np.where(inside > 0, spoilt, features), inside, source, share)
    reached = (inside > 0) & (missing == 0)
    assert reached.any()
    np.testing.assert_array_equal(again[reached], mixed[reached])


def test_what_cannot_be_copied_passes_and_is_missing() -> None:
    features, inside, source, share = maps(1, 3)
    inside[..., 2:10] = 1
    source[0, 0, 0, 1], share[0, 0, 0, 1] = 0, 1
    mixed, missing = patch_replace(features, inside, source, share)
    # Patch 1 and its margin are written, but where patch 0 is unknown itself.
    assert missing[0, 0, 0].tolist() == [0, 0, 1, 0, 0, 0, 1, 1, 1, 1, 0, 0]
    np.testing.assert_array_equal(mixed[missing > 0], features[missing > 0])
