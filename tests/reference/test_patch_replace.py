"""The specification of ``iic::PatchReplace``: hand-computed cases and what it must never do."""

from __future__ import annotations

import numpy as np

from iic_rt.reference.patch_replace import patch_replace


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
