"""Patches on the host: what may be copied, and search and replacement as the specifications say."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest

from iic_rt.patches import SearchOptions, margin_of, patch_weights, replace_patches, search_patches
from iic_rt.reference.patch_replace import patch_replace
from iic_rt.reference.patch_search import patch_search

SIDES = [4, 6, 8, 10, 12, 20, 64]  # of a patch in pixels: factors 1 to 16


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


def test_margins_never_reach_over_a_patch() -> None:
    for p in range(2, 100):
        assert 1 <= margin_of(p) <= p / 2


def scene(
    rng: np.random.Generator, rows: int, columns: int, *, valid: float = 0.6
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Descriptors whose products are exact in every type, holes, and weights of 0 and 1."""
    q = rng.integers(-2, 3, (1, rows * columns, 12)).astype(np.float32) / 4
    hole = (rng.random((1, rows, columns)) < 0.4).astype(np.float32)
    weight = (rng.random(hole.shape) < valid).astype(np.float32) * (1 - hole)
    return q, hole, weight


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (2, 9), (16, 16), (40, 40)])
@pytest.mark.parametrize(("best", "sweeps"), [(1, 0), (1, 1), (1, 5), (3, 0)])
def test_search_equals_the_specification(
    rng: np.random.Generator, dtype: str, rows: int, columns: int, best: int, sweeps: int
) -> None:
    options = SearchOptions(best=min(best, rows * columns), scale=8.0, coherence=3.0, sweeps=sweeps)
    q, hole, weight = scene(rng, rows, columns)
    expected, expected_share = patch_search(q, hole, weight, **asdict(options))
    source, share = search_patches(q[0].astype(dtype), hole[0], weight[0], options)
    assert (source.dtype, share.dtype) == (np.int32, np.float32)
    np.testing.assert_array_equal(source, expected[0])
    np.testing.assert_allclose(share, expected_share[0], atol=1e-6)


def test_weights_count_in_the_search(rng: np.random.Generator) -> None:
    options = SearchOptions(best=1, scale=8.0, coherence=2.0, sweeps=3)
    q, hole, _ = scene(rng, 20, 20)
    weight = rng.choice(np.float32([0, 0.1, 0.4, 1]), hole.shape)  # a patch may be in the hole and valid
    expected, _ = patch_search(q, hole, weight, **asdict(options))
    source, _ = search_patches(q[0], hole[0], weight[0], options)
    assert (source != expected[0]).mean() < 0.01  # equal but for sums in float32


@pytest.mark.parametrize("valid", [0.0, 1.0])
def test_search_with_nothing_to_find(rng: np.random.Generator, valid: float) -> None:
    q, hole, _ = scene(rng, 8, 8)
    hole = hole * (1 - valid)  # nothing to copy, then nothing to replace
    options = SearchOptions(best=1, scale=8.0, coherence=2.0, sweeps=2)
    source, share = search_patches(q[0], hole[0], np.full_like(hole[0], valid), options)
    assert not source.any()
    assert not share.any()


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("p", SIDES)
@pytest.mark.parametrize("best", [1, 3])
def test_replace_equals_the_specification(rng: np.random.Generator, dtype: str, p: int, best: int) -> None:
    rows, columns = 7, 5
    options = SearchOptions(best=best, scale=8.0, coherence=2.0, sweeps=2 if best == 1 else 0)
    source, share = search_patches(*(array[0] for array in scene(rng, rows, columns)), options)
    detail = rng.normal(size=(3, rows * p, columns * p)).astype(dtype)
    inside = (rng.random(detail.shape[1:]) < 0.5).astype(dtype)
    detail[:, (inside > 0) & (rng.random(inside.shape) < 0.1)] = 100  # what is not to be read
    expected, expected_missing = patch_replace(detail[None], inside[None, None], source[None], share[None])
    mixed = detail.copy()
    missing = replace_patches(mixed, inside, source, share)
    np.testing.assert_array_equal(missing, expected_missing[0, 0] > 0)
    np.testing.assert_allclose(mixed, expected[0], atol=1e-5 if dtype == "float32" else 2e-3)
    np.testing.assert_array_equal(mixed[:, inside == 0], detail[:, inside == 0])
    np.testing.assert_array_equal(mixed[:, missing], detail[:, missing])
