"""The operands of the patch grid, and the numpy specification of the replacement."""

from __future__ import annotations

import numpy as np
import pytest

from iic_rt.patch_replace import patch_replace
from iic_rt.patches import PATCH, base_weights, blend, patch_cells, patch_weights, windows

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
    unknown = np.zeros((12, 12), np.uint8)
    unknown[:6, :6] = 1  # the first patch wholly
    unknown[0, 6] = 1  # a pixel of the second
    weights = patch_weights(unknown, 6)
    assert weights.dtype == np.float32
    assert weights.tolist() == [[0, 0], [1, 1]]
    unknown[6, [0, 6]] = 1  # a pixel of each of the others: none is whole now
    np.testing.assert_allclose(patch_weights(unknown, 6), [[0, 35 / 36], [35 / 36, 35 / 36]])


def test_replace_by_hand() -> None:
    q = np.array([[[1.0, 0], [0, 1], [0.6, 0.8]]])
    v = np.array([[[1.0], [3.0], [7.0]]])
    out, replaced = patch_replace(q, q, v, np.array([[0, 0, 1]]), np.array([[1.0, 2.0, 0.0]]), scale=2.0)
    a, b = np.exp(1.2), 2 * np.exp(1.6)
    np.testing.assert_allclose(out[0, :, 0], [1, 3, (a + 3 * b) / (a + b)])
    assert replaced.tolist() == [[0, 0, 1]]


def test_replace_without_a_valid_patch_tells() -> None:
    rng = np.random.default_rng(0)
    q, v = rng.normal(size=(2, 5, 3)), rng.normal(size=(2, 5, 4))
    weight = np.stack((np.zeros(5), np.ones(5)))
    out, replaced = patch_replace(q, q, v, np.ones((2, 5)), weight, scale=3.0)
    np.testing.assert_array_equal(out[0], v[0])
    assert (out[1] != v[1]).all()
    assert replaced.tolist() == [[0] * 5, [1] * 5]


def test_replace_never_reads_what_is_not_valid() -> None:
    rng = np.random.default_rng(1)
    q, v = rng.normal(size=(1, 6, 3)), rng.normal(size=(1, 6, 4))
    hole, weight = np.array([[1, 0, 0, 0, 0, 0]]), np.array([[0.0, 0, 1, 1, 0, 1]])
    expected, _ = patch_replace(q, q, v, hole, weight, scale=5.0)
    spoilt = v.copy()
    spoilt[:, [1, 4]] = np.nan
    out, _ = patch_replace(q, q, spoilt, hole, weight, scale=5.0)
    np.testing.assert_array_equal(out[:, 0], expected[:, 0])


def test_replace_at_a_large_scale_copies_the_nearest() -> None:
    rng = np.random.default_rng(2)
    q = rng.normal(size=(1, 50, 8))
    q /= np.linalg.norm(q, axis=2, keepdims=True)
    v = rng.normal(size=(1, 50, 3))
    hole = (np.arange(50) < 5).astype(float)[None]
    out, _ = patch_replace(q, q, v, hole, 1 - hole, scale=1e4)
    nearest = 5 + np.argmax(q[0, :5] @ q[0, 5:].T, axis=1)
    np.testing.assert_allclose(out[0, :5], v[0, nearest], atol=1e-6)
