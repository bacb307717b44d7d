"""The specification of ``iic::PatchReplace``: hand-computed cases and what it must never do."""

from __future__ import annotations

import numpy as np
import pytest

from iic_rt.reference.patch_replace import patch_replace

P = 4  # margin 2


def maps(rows: int, columns: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Detail that tells every pixel apart, no hole, and nothing to copy."""
    pixels = np.arange(rows * columns * P**2, dtype=float)
    detail = pixels.reshape(1, 1, rows * P, columns * P)
    grid = (1, 1, rows, columns)
    return detail, np.zeros_like(detail), np.zeros((1, 1, 2, rows, columns), np.int32), np.zeros(grid)


def test_one_patch_is_copied_as_it_is() -> None:
    detail, inside, offset, share = maps(1, 3)
    inside[..., 4:8] = 1
    offset[0, 0, 1, 0, 1], share[0, 0, 0, 1] = 4, 1
    mixed, missing = patch_replace(detail, inside, offset, share)
    np.testing.assert_array_equal(mixed[..., 4:8], detail[..., 8:12])
    np.testing.assert_array_equal(mixed[..., :4], detail[..., :4])
    assert not missing.any()


def test_neighbours_are_blended_linearly_over_the_margins() -> None:
    detail, inside, offset, share = maps(1, 6)
    detail[:] = np.repeat(np.arange(6.0), P)  # each patch has its own shade
    inside[..., 8:16] = 1
    offset[0, 0, 1, 0, 2:4], share[0, 0, 0, 2:4] = (-8, 8), 1
    mixed, _ = patch_replace(detail, inside, offset, share)
    # The margins belong to the neighbours of the sources: 1/8 and 3/8 of 4 over 0, then 3/8 and 1/8 of 1 over 5.
    np.testing.assert_allclose(mixed[0, 0, 0, 8:16], [0, 0, 0.5, 1.5, 3.5, 4.5, 5, 5])


def test_beyond_the_border_the_nearest_pixel_is_read() -> None:
    detail, inside, offset, share = maps(1, 3)
    inside[..., 4:8] = 1
    share[0, 0, 0, :2] = 1
    offset[0, 0, 1, 0, :2] = 8, 4  # the first is replaced too, so that its margin reaches over
    mixed, _ = patch_replace(detail, inside, offset, share)
    row = detail[0, 0, 0]
    assert mixed[0, 0, 0, 4] == 0.625 * row[8] + 0.375 * row[11]  # right of the map's last pixel


def test_shares_mix_the_sources() -> None:
    detail, inside, _, _ = maps(1, 3)
    inside[..., 4:8] = 1
    offset, share = np.zeros((1, 2, 2, 1, 3), np.int32), np.zeros((1, 2, 1, 3))
    offset[0, :, 1, 0, 1], share[0, :, 0, 1] = (-4, 4), (0.25, 0.75)
    mixed, _ = patch_replace(detail, inside, offset, share)
    np.testing.assert_allclose(mixed[..., 4:8], 0.25 * detail[..., :4] + 0.75 * detail[..., 8:])


@pytest.mark.parametrize("spoilt", [np.nan, 1e9])
def test_nothing_inside_is_ever_read(spoilt: float) -> None:
    detail, inside, offset, share = maps(2, 4)
    inside[..., 2:10] = 1
    offset[0, 0, 0, 1, 1:3], offset[0, 0, 1, :, 1:3], share[0, 0, :, 1:3] = (
        -4,
        (-4, -8),
        1,
    )  # half of patch 0 is unknown itself
    mixed, missing = patch_replace(detail, inside, offset, share)
    again, _ = patch_replace(np.where(inside > 0, spoilt, detail), inside, offset, share)
    reached = (inside > 0) & (missing == 0)
    assert reached.any()
    np.testing.assert_array_equal(again[reached], mixed[reached])


def test_what_cannot_be_copied_passes_and_is_missing() -> None:
    detail, inside, offset, share = maps(1, 3)
    inside[..., 2:10] = 1
    offset[0, 0, 1, 0, 1], share[0, 0, 0, 1] = -4, 1
    mixed, missing = patch_replace(detail, inside, offset, share)
    # Patch 1 and its margin are written, but where patch 0 is unknown itself.
    assert missing[0, 0, 0].tolist() == [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 0, 0]
    np.testing.assert_array_equal(mixed[missing > 0], detail[missing > 0])


@pytest.mark.parametrize(
    ("p", "offset", "pixels"), [(4, -3, -3), (8, -3, -6), (6, 1, 2), (6, -1, -1), (6, 3, 5), (2, -1, 0)]
)
def test_an_offset_in_quarters_of_a_patch_is_rounded_to_pixels(p: int, offset: int, pixels: int) -> None:
    detail = np.arange(5.0 * p).reshape(1, 1, 1, 5 * p).repeat(p, 2)
    inside = np.zeros_like(detail)
    inside[..., 2 * p + p // 2] = 1
    share, moves = np.zeros((1, 1, 1, 5)), np.zeros((1, 1, 2, 1, 5), np.int32)
    share[..., 2], moves[0, 0, 1, 0, 2] = 1, offset
    mixed, missing = patch_replace(detail, inside, moves, share)
    if pixels == 0:
        assert missing[..., 2 * p + p // 2].all()  # itself
    else:
        assert (mixed[..., 2 * p + p // 2] == 2 * p + p // 2 + pixels).all()
