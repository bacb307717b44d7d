"""The operands of the patch grid."""

from __future__ import annotations

import numpy as np
import pytest

from iic_rt.bundle.shapes import patch_cells
from iic_rt.pipeline.patches import blend, patch_weights, windows
from iic_rt.resampling import PATCH, base_weights

SIDES = [6, 8, 10, 12, 20, 64]  # of a patch in pixels: factors 1.5 to 16


@pytest.mark.parametrize("p", SIDES)
def test_base_weights_keep_even_and_sloping_areas(p: int) -> None:
    weights = base_weights(p / PATCH)
    assert weights.shape == (p, 10)
    assert (weights >= 0).all()
    np.testing.assert_allclose(weights.sum(1), 1, atol=1e-6)
    slope = weights @ np.arange(-3, 7)
    np.testing.assert_allclose(slope, (np.arange(p) + 0.5) * PATCH / p - 0.5, atol=1e-5)


@pytest.mark.parametrize("p", SIDES)
@pytest.mark.parametrize("groups", [1, 2, 5])
def test_blend_undoes_windows(p: int, groups: int) -> None:
    half, margin = patch_cells(p)
    cells = np.random.default_rng(0).random(groups * half)
    read = cells[windows(groups, p)]
    assert len(read) == groups * (half + 2 * margin)
    first, second, share = blend(groups, p)
    np.testing.assert_allclose(share * read[first] + (1 - share) * read[second], cells, atol=1e-7)


def test_blend_goes_linearly_from_one_patch_to_the_next() -> None:
    groups, p = 2, 16
    half, margin = patch_cells(p)
    assert (half, margin) == (8, 2)
    side = half + 2 * margin
    values = np.repeat([0.0, 1.0], side)  # each patch has copied another shade
    first, second, share = blend(groups, p)
    mixed = share * values[first] + (1 - share) * values[second]
    np.testing.assert_allclose(mixed[: half - margin], 0)
    np.testing.assert_allclose(mixed[half - margin : half + margin], [0.125, 0.375, 0.625, 0.875])
    np.testing.assert_allclose(mixed[half + margin :], 1)


def test_patch_weights() -> None:
    copyable = np.ones((12, 12), np.uint8)
    copyable[:6, :6] = 0  # the first patch wholly
    copyable[0, 6] = 0  # a pixel of the second
    weights = patch_weights(copyable, 6)
    assert weights.dtype == np.float32
    assert weights.tolist() == [[0, 0], [1, 1]]
    copyable[6, [0, 6]] = 0  # a pixel of each of the others: none is whole now
    np.testing.assert_allclose(patch_weights(copyable, 6), [[0, 35 / 36], [35 / 36, 35 / 36]], rtol=1e-6)


@pytest.mark.parametrize("p", [*SIDES, 96])
def test_one_pixel_makes_a_patch_partial(p: int) -> None:
    copyable = np.ones((4 * p, 4 * p), np.uint8)
    copyable[p - 1, p] = 0
    weights = patch_weights(copyable, p)
    assert weights[0, 1] == 0
    assert weights.sum() == 15
