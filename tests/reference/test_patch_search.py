"""The specification of ``iic::PatchSearch``: hand-computed cases and what it must never do."""

from __future__ import annotations

from typing import Any

import numpy as np

from iic_rt.reference.patch_search import patch_search

PLAIN: dict[str, Any] = {"best": 1, "scale": 1.0}


def line(*values: float) -> np.ndarray:
    """Descriptors [1, N, 2] at these angles."""
    angles = np.array(values)
    return np.stack((np.cos(angles), np.sin(angles)), 1)[None]


def row(*values: float) -> np.ndarray:
    """[1, 1, N]."""
    return np.array(values, float)[None, None]


def test_the_best_and_their_shares_by_hand() -> None:
    q = np.array([[[1.0, 0], [0, 1], [0.6, 0.8], [-1, 0]]])
    offset, share = patch_search(q, row(0, 0, 1, 0), row(1, 2, 0, 1), **PLAIN | {"best": 2, "scale": 2.0})
    assert offset[0, :, 1, 0].tolist() == [[0, 0, -4, 0], [0, 0, -8, 0]]  # 1, then 0; in quarters of a patch
    assert not offset[0, :, 0].any()
    first, second = 2 * np.exp(1.6), np.exp(1.2)
    np.testing.assert_allclose(share[0, :, 0, 2], [first / (first + second), second / (first + second)])
    assert share.sum() == 1


def test_all_of_them_are_equation_5() -> None:
    rng = np.random.default_rng(0)
    q = rng.normal(size=(2, 20, 4))
    hole = (np.arange(20) < 6).astype(float).reshape(1, 4, 5).repeat(2, 0)
    weight = 1 - hole
    offset, share = patch_search(q, hole, weight, **PLAIN | {"best": 20, "scale": 3.0})
    row_of, column_of = np.divmod(np.arange(20), 5)
    moves = offset.reshape(2, 20, 2, 20) // 4
    source = (row_of + moves[:, :, 0]) * 5 + column_of + moves[:, :, 1]
    for b in range(2):
        logits = 3 * q[b, :6] @ q[b, 6:].T
        expected = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        found = np.zeros((6, 20))
        np.put_along_axis(found, source[b, :14, :6].T, share[b].reshape(20, 20)[:14, :6].T, 1)
        np.testing.assert_allclose(found[:, 6:], expected)
    assert not share[:, 14:].any()


def test_nothing_valid_and_nothing_to_replace() -> None:
    q = line(0, 1, 2)
    for hole, weight in ((row(1, 1, 1), row(0, 0, 0)), (row(0, 0, 0), row(1, 1, 1))):
        offset, share = patch_search(q, hole, weight, **PLAIN)
        assert not offset.any()
        assert not share.any()


def test_the_lower_number_comes_first() -> None:
    offset, _ = patch_search(line(0, 0, 0, 0), row(0, 0, 0, 1), row(1, 1, 1, 0), **PLAIN | {"best": 3})
    assert offset[0, :, 1, 0, 3].tolist() == [-12, -8, -4]
