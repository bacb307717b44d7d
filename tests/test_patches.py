"""Patches on the host: what may be copied, and search, match and replacement as the specifications say."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import asdict

import numpy as np
import pytest

from iic_rt.patches import (
    MATCH_STEPS,
    SearchOptions,
    margin_of,
    match_patches,
    match_places,
    patch_weights,
    refine,
    replace_patches,
    search_patches,
)
from iic_rt.reference.patch_match import patch_match
from iic_rt.reference.patch_replace import patch_replace
from iic_rt.reference.patch_search import patch_search
from iic_rt.reference.refine import copied_softly, matched_twice
from iic_rt.resampling import guide_taps

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
@pytest.mark.parametrize("best", [1, 3])
def test_search_equals_the_specification(
    rng: np.random.Generator, dtype: str, rows: int, columns: int, best: int
) -> None:
    options = SearchOptions(best=min(best, rows * columns), scale=8.0)
    q, hole, weight = scene(rng, rows, columns)
    expected, expected_share = patch_search(q, hole, weight, **asdict(options))
    offset, share = search_patches(q[0].astype(dtype), hole[0], weight[0], options)
    assert (offset.dtype, share.dtype) == (np.int32, np.float32)
    np.testing.assert_array_equal(offset, expected[0])
    np.testing.assert_allclose(share, expected_share[0], atol=1e-6)


def test_weights_count_in_the_search(rng: np.random.Generator) -> None:
    options = SearchOptions(best=1, scale=8.0)
    q, hole, _ = scene(rng, 20, 20)
    weight = rng.choice(np.float32([0, 0.1, 0.4, 1]), hole.shape)  # a patch may be in the hole and valid
    expected, _ = patch_search(q, hole, weight, **asdict(options))
    offset, _ = search_patches(q[0], hole[0], weight[0], options)
    assert (offset != expected[0]).mean() < 0.01  # equal but for sums in float32


def test_search_stays_on_its_thread() -> None:
    """Threads of numpy's products would spin, and take cores from the engine for long after."""
    program = """
import time, numpy as np
from iic_rt.patches import SearchOptions, search_patches
q = np.random.default_rng(0).standard_normal((4096, 76)).astype(np.float32)
hole = (np.arange(4096) < 800).reshape(64, 64).astype(np.float32)
time.sleep(0.3)  # numpy's threads spin for a while when they start as well
began = time.process_time(), time.thread_time()
for _ in range(10):
    search_patches(q, hole, 1 - hole, SearchOptions(best=1, scale=8.0))
print((time.process_time() - began[0]) / (time.thread_time() - began[1]))
"""
    environment = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    done = subprocess.run([sys.executable, "-c", program], env=environment, check=True, capture_output=True, text=True)
    assert float(done.stdout) < 1.5  # of all threads by this one; others that spin make it 2 and more


@pytest.mark.parametrize("valid", [0.0, 1.0])
def test_search_with_nothing_to_find(rng: np.random.Generator, valid: float) -> None:
    q, hole, _ = scene(rng, 8, 8)
    hole = hole * (1 - valid)  # nothing to copy, then nothing to replace
    options = SearchOptions(best=1, scale=8.0)
    offset, share = search_patches(q[0], hole[0], np.full_like(hole[0], valid), options)
    assert not offset.any()
    assert not share.any()


def test_match_places_by_hand() -> None:
    copyable = np.ones((16, 16), np.uint8)
    copyable[11, 4] = 0  # a quarter of working pixel (5, 2)
    expected = np.zeros((8, 8))
    expected[:5, :5] = 1
    expected[2:6, :3] = 0
    np.testing.assert_array_equal(match_places(copyable, 8), expected)


def offsets(rng: np.random.Generator, rows: int, columns: int) -> np.ndarray:
    """To patches somewhere in the image."""
    row, column = np.mgrid[:rows, :columns]
    to = rng.integers(0, rows, row.shape) - row, rng.integers(0, columns, row.shape) - column
    return 4 * np.stack(to).astype(np.int32)


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (3, 12), (9, 8)])
@pytest.mark.parametrize("channels", [3, 6])
@pytest.mark.parametrize("steps", [[1], [8, 4, 2, 1]])
def test_match_equals_the_specification(
    rng: np.random.Generator, rows: int, columns: int, channels: int, steps: list[int]
) -> None:
    features = rng.integers(0, 40, (channels, 4 * rows, 4 * columns)).astype(np.float32)  # their sums are exact
    valid = (rng.random(features.shape[1:]) < 0.7).astype(np.float32)
    share = (rng.random((rows, columns)) < 0.6).astype(np.float32)
    offset = offsets(rng, rows, columns)
    expected, _ = patch_match(features[None], valid[None], offset[None, None], share[None, None], steps=steps)
    matched = match_patches(features.transpose(1, 2, 0), valid, offset, share, steps)
    assert matched.dtype == np.int32
    np.testing.assert_array_equal(matched, expected[0, 0])


def test_match_without_a_hole(rng: np.random.Generator) -> None:
    offset = offsets(rng, 4, 4)
    matched = match_patches(
        rng.random((16, 16, 3), np.float32), np.ones((16, 16), np.float32), offset, np.zeros((4, 4), np.float32)
    )
    np.testing.assert_array_equal(matched, offset)


def test_refine_equals_the_specification(rng: np.random.Generator) -> None:
    low = rng.uniform(-1, 1, (3, 44, 44)).astype(np.float32)
    hole = np.zeros((32, 32), np.float32)
    hole[9:22, 7:20] = 1
    valid = match_places((hole == 0).astype(np.uint8), 32)
    share = hole.reshape(8, 4, 8, 4).max((1, 3))
    offset = np.zeros((2, 8, 8), np.int32)
    offset[1] = np.where(share > 0, 12, 0)
    refined, matched = refine(low, hole, valid, offset, share)
    batch = [array[None] for array in (low, hole[None], valid, offset[None], share[None])]
    expected = matched_twice(*batch, taps=guide_taps(), steps=MATCH_STEPS)
    np.testing.assert_array_equal(matched, expected[0, 0])
    softly = copied_softly(low[None], hole[None, None], expected, share[None, None], margin=6)
    np.testing.assert_allclose(refined, softly[0], atol=1e-5)
    known = refined[:, 6:-6, 6:-6][:, hole == 0]
    np.testing.assert_array_equal(known, low[:, 6:-6, 6:-6][:, hole == 0])


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("p", SIDES)
@pytest.mark.parametrize("best", [1, 3])
def test_replace_equals_the_specification(rng: np.random.Generator, dtype: str, p: int, best: int) -> None:
    rows, columns = (7, 5) if p < 64 else (3, 3)  # the specification looks at every pixel, slowly
    options = SearchOptions(best=best, scale=8.0)
    offset, share = search_patches(*(array[0] for array in scene(rng, rows, columns)), options)
    offset += rng.integers(-3, 4, offset.shape, np.int32)  # a match moves them by less than a patch
    detail = rng.normal(size=(3, rows * p, columns * p)).astype(dtype)
    inside = (rng.random(detail.shape[1:]) < 0.5).astype(dtype)
    detail[:, (inside > 0) & (rng.random(inside.shape) < 0.1)] = 100  # what is not to be read
    expected, expected_missing = patch_replace(detail[None], inside[None, None], offset[None], share[None])
    mixed = detail.copy()
    missing = replace_patches(mixed, inside, offset, share)
    np.testing.assert_array_equal(missing, expected_missing[0, 0] > 0)
    np.testing.assert_allclose(mixed, expected[0], atol=1e-5 if dtype == "float32" else 2e-3)
    np.testing.assert_array_equal(mixed[:, inside == 0], detail[:, inside == 0])
    np.testing.assert_array_equal(mixed[:, missing], detail[:, missing])
