"""Random operands of the operators and how near a kernel must come, shared by tests and measurements."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from cpp_ext.kernel_library import MatchSizes, ReplaceSizes, SearchSizes
from iic_rt.reference.patch_match import PATCH, patch_match
from iic_rt.reference.patch_replace import patch_replace
from iic_rt.reference.patch_search import patch_search

__all__ = [
    "MatchOperands",
    "ReplaceOperands",
    "SearchOperands",
    "check_match",
    "check_replace",
    "check_search",
    "make_match_operands",
    "make_replace_operands",
    "make_search_operands",
    "sources_of",
]

Array = NDArray[np.generic]
UNIT = 2.0**-3  # of the entries of exact descriptors: whole numbers up to 2 times this


@dataclass(frozen=True)
class SearchOperands:
    """Arguments of :func:`iic_rt.reference.patch_search.patch_search`."""

    q: Array  # [B, rows * columns, D], float32 or float16
    hole: NDArray[np.float32]  # [B, rows, columns] in {0, 1}
    weight: NDArray[np.float32]  # [B, rows, columns] in [0, 1]
    best: int
    scale: float
    exact: bool  # the logits are the same numbers in float32 and float64, so that the choice is too

    @property
    def sizes(self) -> SearchSizes:
        return SearchSizes(*self.hole.shape, self.q.shape[2], self.best, int(self.q.dtype == np.float16))

    @property
    def arrays(self) -> tuple[Array, ...]:
        return self.q, self.hole, self.weight

    @property
    def outputs(self) -> tuple[Array, ...]:
        """Arrays of the shapes and types of ``offset`` and ``share``, not yet written."""
        batch, rows, columns = self.hole.shape
        offset = np.empty((batch, self.best, 2, rows, columns), np.int32)
        return offset, np.empty((batch, self.best, rows, columns), np.float32)


def make_search_operands(
    grid: tuple[int, int, int],
    descriptor: int,
    dtype: str,
    *,
    holes: float = 0.3,
    valid: float = 0.7,
    best: int = 1,
    exact: bool = True,
) -> SearchOperands:
    """Descriptors of ``grid`` = (batch, rows, columns) patches; ``holes`` and ``valid`` are shares of the patches.

    ``exact``: small whole numbers times a power of two, with many equal logits, weights of 0 and 1, and a scale that is
    a power of two. Otherwise a smooth field of unit vectors with noise, as a picture has, weights between 0 and 1, and
    the scale of the release.
    """
    batch, rows, columns = grid
    rng = np.random.default_rng(batch + 3 * rows + 5 * columns + 7 * descriptor)
    hole = (rng.random(grid) < holes).astype(np.float32)
    # As in a picture, a hole patch is hardly ever valid; where it is, it is most like itself.
    mask = (rng.random(grid) < valid) & ((hole == 0) | (rng.random(grid) < 0.1) | (holes == 1))
    if exact:
        q = rng.integers(-2, 3, (batch, rows * columns, descriptor)) * UNIT
        return SearchOperands(q.astype(dtype), hole, mask.astype(np.float32), best, 4.0, True)
    q = np.stack([_smooth_field(rng, rows, columns, descriptor) for _ in range(batch)])
    q = (q / np.linalg.norm(q, axis=3, keepdims=True)).reshape(batch, rows * columns, descriptor)
    weight = (rng.uniform(0.1, 1, grid) * mask).astype(np.float32)
    return SearchOperands(q.astype(dtype), hole, weight, best, 180.0, False)


def _smooth_field(rng: np.random.Generator, rows: int, columns: int, channels: int) -> NDArray[np.float64]:
    """[rows, columns, channels]: what is near is alike, and there is noise."""
    field = rng.normal(size=(rows, columns, channels))
    smooth = np.stack([cv2.GaussianBlur(plane, (0, 0), 2) for plane in np.moveaxis(field, 2, 0)], 2)
    return np.asarray(smooth / np.sqrt((smooth**2).mean()) + 0.5 * field)


def sources_of(offset: NDArray[np.int32]) -> NDArray[np.int32]:
    """The numbers of the patches that the ``offset`` of ``iic::PatchSearch`` leads to: [B, best, rows * columns]."""
    batch, best, _, rows, columns = offset.shape
    steps = offset // PATCH
    np.testing.assert_array_equal(steps * PATCH, offset)
    row, column = steps[:, :, 0] + np.arange(rows)[:, None], steps[:, :, 1] + np.arange(columns)
    assert ((row >= 0) & (row < rows) & (column >= 0) & (column < columns)).all()
    return np.asarray(row * columns + column, np.int32).reshape(batch, best, rows * columns)


def check_search(given: SearchOperands, offset: NDArray[np.int32], share: NDArray[np.float32]) -> float:
    """Compares a result with the specification and returns the largest error of a logit.

    Exact operands: the offsets are equal and the shares are within 1e-6. Others: the logit of each patch chosen is
    within the error of float32 sums of the one at its place, no patch is chosen twice, and the shares are the softmax
    of the logits of what was chosen.

    Raises:
        AssertionError: something is further off.
    """
    if given.exact:
        expected, shares = patch_search(*given.arrays, best=given.best, scale=given.scale)
        np.testing.assert_array_equal(offset, expected)
        np.testing.assert_allclose(share, shares, atol=1e-6)
        return 0.0
    limit = given.scale * 2.0**-20
    source = sources_of(offset)
    return max(_check_logits(given, b, source[b], share[b].reshape(given.best, -1), limit) for b in range(len(source)))


def _check_logits(
    given: SearchOperands, b: int, source: NDArray[np.int32], share: NDArray[np.float32], limit: float
) -> float:
    holes, valid = np.flatnonzero(given.hole[b] > 0), np.flatnonzero(given.weight[b] > 0)
    if not len(valid):
        holes = holes[:0]
    count = min(given.best, len(valid))
    chooses = np.zeros(source.shape, np.bool_)
    chooses[:count, holes] = True
    np.testing.assert_array_equal(source[~chooses], np.nonzero(~chooses)[1])  # an offset of 0: the patch itself
    assert not share[~chooses].any()
    if not len(holes):
        return 0.0
    chosen = source[:count, holes].T
    assert np.isin(chosen, valid).all()
    assert all(len(set(row)) == count for row in chosen)
    q = given.q[b].astype(np.float64)
    logit = given.scale * q[holes] @ q[valid].T + np.log(given.weight[b].ravel()[valid].astype(np.float64))
    got = np.take_along_axis(logit, np.searchsorted(valid, chosen), 1)
    error = float(np.abs(got - -np.sort(-logit, 1)[:, :count]).max())
    assert error <= limit, f"{given.sizes}: a logit is off by {error:.2e}, allowed are {limit:.0e}"
    raised = np.exp(got - got[:, :1])
    np.testing.assert_allclose(share[:count, holes].T, raised / raised.sum(1, keepdims=True), atol=2 * limit)
    return error


@dataclass(frozen=True)
class MatchOperands:
    """Arguments of :func:`iic_rt.reference.patch_match.patch_match`."""

    features: Array  # [B, C, 4 * rows, 4 * columns], float32 or float16
    valid: NDArray[np.float32]  # [B, 4 * rows, 4 * columns] in {0, 1}
    offset: NDArray[np.int32]  # [B, 1, 2, rows, columns]
    share: NDArray[np.float32]  # [B, 1, rows, columns] in {0, 1}
    steps: tuple[int, ...]
    exact: bool  # the costs are the same numbers in float32 and float64, so that the choice is too

    @property
    def sizes(self) -> MatchSizes:
        batch, _, rows, columns = self.share.shape
        return MatchSizes(batch, self.features.shape[1], rows, columns, int(self.features.dtype == np.float16))

    @property
    def arrays(self) -> tuple[Array, ...]:
        return self.features, self.valid, self.offset, self.share

    @property
    def outputs(self) -> tuple[Array, ...]:
        """Arrays of the shapes and types of ``matched`` and ``cost``, not yet written."""
        return np.empty_like(self.offset), np.empty_like(self.share)


def make_match_operands(
    grid: tuple[int, int, int],
    channels: int,
    dtype: str,
    *,
    holes: float = 0.3,
    valid: float = 0.7,
    steps: tuple[int, ...] = (2, 1),
    exact: bool = True,
) -> MatchOperands:
    """Features of ``grid`` = (batch, rows, columns) patches; ``holes`` is a share of the patches, ``valid`` of pixels.

    Offsets lead anywhere in the image and up to two patches beyond its border; where nothing is a hole they are any
    number. ``exact``: features of small whole numbers, so that many costs are equal. Otherwise a smooth field with
    noise.
    """
    batch, rows, columns = grid
    rng = np.random.default_rng(batch + 3 * rows + 5 * columns + 7 * channels)
    height, width = PATCH * rows, PATCH * columns
    shape = batch, channels, height, width
    if exact:
        features = rng.integers(-2, 3, shape).astype(np.float64)
    else:
        fields = [_smooth_field(rng, height, width, channels) for _ in range(batch)]
        features = np.stack([np.moveaxis(field, 2, 0) for field in fields])
    share = (rng.random((batch, 1, rows, columns)) < holes).astype(np.float32)
    offset = np.empty((batch, 1, 2, rows, columns), np.int32)
    for axis, (pixels, place) in enumerate(((height, np.arange(rows)[:, None]), (width, np.arange(columns)))):
        to = rng.integers(-2 * PATCH, pixels + 2 * PATCH, (batch, 1, rows, columns))
        offset[:, :, axis] = np.where(share > 0, to - PATCH * place, rng.integers(-(2**31), 2**31, to.shape))
    is_valid = (rng.random((batch, height, width)) < valid).astype(np.float32)
    return MatchOperands(features.astype(dtype, order="C"), is_valid, offset, share, steps, exact)


def check_match(given: MatchOperands, matched: NDArray[np.int32], cost: NDArray[np.float32]) -> float:
    """Compares a result with the specification and returns the largest relative error of a cost.

    Exact operands: both are equal. Others: the costs are those of the offsets and of the specification's offsets, but
    for the rounding of float32 sums; which of two offsets of nearly one cost is taken is left open.

    Raises:
        AssertionError: something is further off.
    """
    expected, costs = patch_match(*given.arrays, steps=given.steps)
    if given.exact:
        np.testing.assert_array_equal(matched, expected)
        np.testing.assert_array_equal(cost, costs)
        return 0.0
    is_hole = np.broadcast_to(given.share[:, :, None] > 0, matched.shape)
    np.testing.assert_array_equal(matched[~is_hole], given.offset[~is_hole])
    # With nothing valid all keep their own offset, and the specification says what it costs.
    _, own = patch_match(given.features, np.zeros_like(given.valid), matched, given.share, steps=(1,))
    np.testing.assert_allclose(cost, own, rtol=1e-5)
    np.testing.assert_allclose(cost, costs, rtol=1e-5)
    return float((np.abs(cost - costs) / np.maximum(costs, 1e-30)).max())


@dataclass(frozen=True)
class ReplaceOperands:
    """Arguments of :func:`iic_rt.reference.patch_replace.patch_replace` in its order."""

    detail: Array  # [B, C, h, w], float32 or float16, NaN inside the hole
    inside: Array  # [B, 1, h, w] in {0, 1}, of the same type
    offset: NDArray[np.int32]  # [B, best, 2, rows, columns]
    share: NDArray[np.float32]  # [B, best, rows, columns]

    @property
    def sizes(self) -> ReplaceSizes:
        _, best, rows, columns = self.share.shape
        return ReplaceSizes(*self.detail.shape, rows, columns, best, int(self.detail.dtype == np.float16))

    @property
    def arrays(self) -> tuple[Array, ...]:
        return self.detail, self.inside, self.offset, self.share

    @property
    def outputs(self) -> tuple[Array, ...]:
        """Arrays of the shapes and types of ``mixed`` and ``missing``, not yet written."""
        return np.empty_like(self.detail), np.empty_like(self.inside)


def make_replace_operands(
    grid: tuple[int, int, int],
    channels: int,
    p: int,
    dtype: str,
    *,
    holes: float = 0.3,
    best: int = 1,
) -> ReplaceOperands:
    """Detail of ``grid`` = (batch, rows, columns) patches of ``p`` x ``p`` pixels, values in [-1, 1].

    The hole is a rectangle that is ``holes`` of the map, cut across the patches, and single pixels of others. Offsets
    lead anywhere in the map and up to two patches beyond it; shares add up to 1 or, at one patch in ten, to 0. What no
    result may depend on is NaN: the pixels of the hole.
    """
    batch, rows, columns = grid
    rng = np.random.default_rng(batch + 3 * rows + 5 * columns + 7 * channels + 11 * p)
    height, width = rows * p, columns * p
    inside = np.zeros((batch, 1, height, width))
    tall, wide = round(height * holes**0.5), round(width * holes**0.5)
    inside[:, :, (height - tall) // 2 : (height + tall) // 2, (width - wide) // 2 : (width + wide) // 2] = 1
    inside[rng.random(inside.shape) < 0.1 * holes] = 1
    offset = np.empty((batch, best, 2, rows, columns), np.int32)
    for axis, place in enumerate((np.arange(rows)[:, None], np.arange(columns))):
        # In quarters of a patch.
        to = rng.integers(-2 * PATCH, PATCH * (place.size + 2), (batch, best, rows, columns))
        offset[:, :, axis] = to - PATCH * place
    share = rng.random((batch, best, rows, columns))
    share[:] = share / share.sum(1, keepdims=True) * (rng.random((batch, 1, rows, columns)) < 0.9)
    detail = rng.uniform(-1, 1, (batch, channels, height, width))
    detail = np.where(inside > 0, np.nan, detail)
    return ReplaceOperands(detail.astype(dtype), inside.astype(dtype), offset, share.astype(np.float32))


def check_replace(given: ReplaceOperands, mixed: Array, missing: Array) -> float:
    """Compares a result with the specification and returns the largest error of a pixel that is copied to.

    In float32 the error is that of a mean of at most 16 values; in float16 that of rounding it, 2^-12 below 1.

    Raises:
        AssertionError: a copied pixel is further off, a pixel that passes is not equal bit for bit, or ``missing`` is
            wrong.
    """
    is_half = given.detail.dtype == np.float16
    expected, lost = patch_replace(*given.arrays)
    np.testing.assert_array_equal(missing, lost)
    copied = np.broadcast_to((given.inside > 0) & (missing == 0), mixed.shape)
    bits = np.uint16 if is_half else np.uint32
    np.testing.assert_array_equal(mixed[~copied].view(bits), given.detail[~copied].view(bits))
    if not copied.any():
        return 0.0
    error = float(np.abs(mixed[copied] - expected[copied]).max())
    limit = 2.0**-12 + 2e-6 if is_half else 2e-6
    assert error <= limit, f"{given.sizes}: off by {error:.2e}, allowed are {limit:.0e}"
    return error
