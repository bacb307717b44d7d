"""The specification of ``iic::PatchSearch``: hand-computed cases and what it must never do."""

from __future__ import annotations

from typing import Any

import numpy as np

from iic_rt.reference.patch_search import patch_search

PLAIN: dict[str, Any] = {"best": 1, "scale": 1.0, "coherence": 0.0, "sweeps": 0}


def line(*values: float) -> np.ndarray:
    """Descriptors [1, N, 2] at these angles."""
    angles = np.array(values)
    return np.stack((np.cos(angles), np.sin(angles)), 1)[None]


def row(*values: float) -> np.ndarray:
    """[1, 1, N]."""
    return np.array(values, float)[None, None]


def test_the_best_and_their_shares_by_hand() -> None:
    q = np.array([[[1.0, 0], [0, 1], [0.6, 0.8], [-1, 0]]])
    source, share = patch_search(q, row(0, 0, 1, 0), row(1, 2, 0, 1), **PLAIN | {"best": 2, "scale": 2.0})
    assert source[0, :, 0].tolist() == [[0, 0, 1, 0], [0, 0, 0, 0]]
    first, second = 2 * np.exp(1.6), np.exp(1.2)
    np.testing.assert_allclose(share[0, :, 0, 2], [first / (first + second), second / (first + second)])
    assert share.sum() == 1


def test_all_of_them_are_equation_5() -> None:
    rng = np.random.default_rng(0)
    q = rng.normal(size=(2, 20, 4))
    hole = (np.arange(20) < 6).astype(float).reshape(1, 4, 5).repeat(2, 0)
    weight = 1 - hole
    source, share = patch_search(q, hole, weight, **PLAIN | {"best": 20, "scale": 3.0})
    for b in range(2):
        logits = 3 * q[b, :6] @ q[b, 6:].T
        expected = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
        found = np.zeros((6, 20))
        np.put_along_axis(found, source[b].reshape(20, 20)[:14, :6].T, share[b].reshape(20, 20)[:14, :6].T, 1)
        np.testing.assert_allclose(found[:, 6:], expected)
    assert not share[:, 14:].any()


def test_nothing_valid_and_nothing_to_replace() -> None:
    q = line(0, 1, 2)
    for hole, weight in ((row(1, 1, 1), row(0, 0, 0)), (row(0, 0, 0), row(1, 1, 1))):
        source, share = patch_search(q, hole, weight, **PLAIN | {"sweeps": 2})
        assert not source.any()
        assert not share.any()


def test_the_lower_number_comes_first() -> None:
    source, _ = patch_search(line(0, 0, 0, 0), row(0, 0, 0, 1), row(1, 1, 1, 0), **PLAIN | {"best": 3})
    assert source[0, :, 0, 3].tolist() == [0, 1, 2]


def test_a_neighbour_is_continued_where_that_costs_little() -> None:
    """Patches 6 and 7 are to be replaced: 6 looks like 1, and 7 a little more like 4 than like 2, which follows 1."""
    q = line(0.0, 1.0, 2.0, 4.0, 2.1, 5.0, 1.0, 2.06)
    hole, weight = row(0, 0, 0, 0, 0, 0, 1, 1), row(1, 1, 1, 1, 1, 1, 0, 0)
    apart, _ = patch_search(q, hole, weight, **PLAIN)
    assert apart[0, 0, 0, 6:].tolist() == [1, 4]
    together, share = patch_search(q, hole, weight, **PLAIN | {"coherence": 0.1, "sweeps": 1})
    assert together[0, 0, 0, 6:].tolist() == [1, 2]
    assert share[0, 0, 0].tolist() == hole[0, 0].tolist()
    dear, _ = patch_search(q, hole, weight, **PLAIN | {"scale": 1000.0, "coherence": 0.1, "sweeps": 1})
    assert dear[0, 0, 0, 6:].tolist() == [1, 4]


def test_what_is_not_valid_or_outside_is_never_continued() -> None:
    q = line(0, 0, 0, 0, 0, 0)
    # 3 copies 2; 4 would continue with 3, which is in the hole, and 5 lies beside 4.
    source, _ = patch_search(q, row(0, 0, 0, 1, 1, 1), row(0, 0, 1, 0, 0, 0), **PLAIN | {"coherence": 9.0, "sweeps": 3})
    assert source[0, 0, 0].tolist() == [0, 0, 0, 2, 2, 2]


def test_the_second_half_of_a_sweep_sees_the_first() -> None:
    """Four alike patches in a row, which all begin with patch 0."""
    hole, weight = row(*[0] * 6, 1, 1, 1, 1), row(*[1] * 6, 0, 0, 0, 0)
    source, _ = patch_search(line(*[0.0] * 10), hole, weight, **PLAIN | {"coherence": 1.0, "sweeps": 1})
    # First 6 and 8: 8 continues 7. Then 7 and 9: 7 is continued already, which equals continuing 6, and 9 continues 8.
    assert source[0, 0, 0, 6:].tolist() == [0, 0, 1, 2]
