"""The patch grid of guided upsampling on the host: which patches may be copied, search, match, and the copying.

The grid is fixed at low resolution; its patches grow with the region. What the three compute is specified in
``iic_rt.reference``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from iic_rt.resampling import BASE_REACH, PATCH, guide_taps

__all__ = [
    "FEW",
    "MATCH_STEPS",
    "SearchOptions",
    "margin_of",
    "match_patches",
    "match_places",
    "patch_weights",
    "refine",
    "replace_patches",
    "search_patches",
]

FEW = 1 / 64  # share of patches: where fewer are wholly known, those with unknown pixels may be copied as well
ROWS_PER_BLOCK = 1024  # hole patches whose logits are held at once
PIXELS_PER_BLOCK = 1 << 16  # that are copied at once, so that they stay in the cache
SMALLEST = np.float32(1e-6)  # weight of a pixel, below which no patch reaches it
MATCH_STEPS = (8, 4, 2, 1)  # of the sweeps of a match, in patches to a neighbour and in pixels
WINDOW = (-2, 0, 2, 4)  # pixels that are compared, from the first one of a patch, along either axis
NEIGHBOURS = ((-1, 0), (1, 0), (0, -1), (0, 1))
AROUND = [(up, left) for up, left in product((-1, 0, 1), repeat=2) if up or left]
NOWHERE = 1 << 24  # an offset that leads out of every image

Array = NDArray[np.float32]
Index = NDArray[np.intp]


@dataclass(frozen=True)
class SearchOptions:
    """The attributes of ``iic::PatchSearch``; a bundle has them fixed.

    Attributes:
        best: patches that are kept for each hole patch, 1 to all.
        scale: factor of the cosine.
    """

    best: int
    scale: float


def patch_weights(copyable: NDArray[np.uint8], p: int) -> Array:
    """How much each patch may be copied: 1 when all of it may be, 0 when nothing of it may.

    Args:
        copyable: uint8 [S, S] in {0, 1}.
        p: side of a patch in pixels; S is a multiple of it.

    Returns:
        float32 [S / p, S / p]. A patch between the two has its share where few are wholly copyable, and 0 elsewhere.
        The paper counts a single known pixel as valid everywhere; but most patches at the border of a hole are most
        like themselves, would copy what they lack, and every hole would have to be filled twice.
    """
    groups = copyable.shape[0] // p
    share = cv2.resize(copyable.astype(np.float32), (groups, groups), interpolation=cv2.INTER_AREA)
    whole = share > 1 - 0.5 / p**2
    return np.asarray(np.where(whole, 1, share if whole.mean() < FEW else 0), np.float32)


def margin_of(p: int) -> int:
    """Pixels that a patch of ``p`` x ``p`` pixels is copied with on every side.

    Patches are blended where the margins overlap, so that their seams do not show. Narrower margins are a little
    sharper and fit less well.
    """
    return p // 2


def match_places(copyable: NDArray[np.uint8], working_size: int) -> Array:
    """Where patches may be copied from, pixel by pixel: ``valid`` of ``iic::PatchMatch`` for one image.

    Args:
        copyable: uint8 [S, S] in {0, 1}.
        working_size: s.

    Returns:
        float32 [s, s] in {0, 1}, 1 for the first pixel of a patch that is copyable as a whole.
    """
    share = cv2.resize(copyable.astype(np.float32), (working_size, working_size), interpolation=cv2.INTER_AREA)
    whole = (share > 1 - 1e-4).astype(np.float32)
    # Each pixel becomes the least of the patch that begins with it; beyond the border there is nothing to copy.
    kernel = np.ones((PATCH, PATCH), np.uint8)
    return np.asarray(cv2.erode(whole, kernel, anchor=(0, 0), borderType=cv2.BORDER_CONSTANT, borderValue=0))


def search_patches(
    q: NDArray[np.floating], hole: Array, weight: Array, options: SearchOptions
) -> tuple[NDArray[np.int32], Array]:
    """``iic::PatchSearch`` for one image: ``iic_rt.reference.patch_search``, without the axis of the batch.

    Args:
        q: [rows * columns, D], float32 or float16.
        hole: float32 [rows, columns].
        weight: float32 [rows, columns].
        options: of the bundle.

    Returns:
        ``offset`` int32 [best, 2, rows, columns] and ``share`` float32 [best, rows, columns].
    """
    best, columns = options.best, hole.shape[1]
    offset = np.zeros((best, 2, hole.size), np.int32)
    share = np.zeros((best, hole.size), np.float32)
    holes, valid = np.flatnonzero(hole > 0), np.flatnonzero(weight > 0)
    if len(holes) and len(valid):
        d = np.asarray(q, np.float32)
        keys = np.ascontiguousarray((d[valid] * np.float32(options.scale)).T)
        bias = np.log(weight.ravel()[valid])
        for at in range(0, len(holes), ROWS_PER_BLOCK):
            block = holes[at : at + ROWS_PER_BLOCK]
            logit = d[block] @ keys
            logit += bias
            kept = _greatest(logit, min(best, len(valid)))
            part = np.take_along_axis(logit, kept, 1)
            part = np.exp(part - part[:, :1])
            share[: kept.shape[1], block] = (part / part.sum(1, keepdims=True)).T
            source = valid[kept].T  # [best, n]
            offset[: kept.shape[1], 0, block] = PATCH * (source // columns - block // columns)
            offset[: kept.shape[1], 1, block] = PATCH * (source % columns - block % columns)
    return offset.reshape(best, 2, *hole.shape), share.reshape(best, *hole.shape)


def _greatest(logit: Array, count: int) -> Index:
    """Columns of the ``count`` greatest values of each row, the greatest first, of equal ones the lower column."""
    if count == 1:
        return np.asarray(logit.argmax(1)[:, None])
    return np.argsort(-logit, axis=1, kind="stable")[:, :count]


def refine(
    low: Array, hole: NDArray[Any], valid: Array, offset: NDArray[np.int32], share: Array
) -> tuple[Array, NDArray[np.int32]]:
    """The ``refine`` graph for one image: moves what is copied to where it fits better, and copies it into the result.

    First the loop's result and what may be copied are compared as they look blurred, since the result is soft; then
    also as they are, with the copied pixels in the result, so that neighbours fit each other.

    Args:
        low: float32 [3, s + 12, s + 12], the loop's result, its border repeated.
        hole: [s, s], above 0 = filled by the loop.
        valid: float32 [s, s], of :func:`match_places`.
        offset: int32 [2, s / 4, s / 4], of :func:`search_patches`.
        share: float32 [s / 4, s / 4], of :func:`search_patches`.

    Returns:
        ``refined``, ``low`` with copied pixels in its hole, and ``matched``, ``offset`` after both rounds.
    """
    inner = slice(BASE_REACH, -BASE_REACH)
    image = low[:, inner, inner]
    taps = guide_taps()
    blurred = cv2.sepFilter2D(np.ascontiguousarray(low.transpose(1, 2, 0)), -1, taps, taps)
    guide = np.asarray(blurred[inner, inner], np.float32)
    matched = match_patches(guide, valid, offset, share)
    mixed = _copied(image, hole, matched, share)
    matched = match_patches(np.concatenate((mixed.transpose(1, 2, 0), guide), 2), valid, matched, share)
    mixed = _copied(image, hole, matched, share)
    # Towards the border of the hole the loop's result remains, which meets the known pixels.
    counts = np.stack((hole > 0, np.ones(hole.shape, np.bool_)), 2).astype(np.float32)
    inside, all_of_it = np.moveaxis(cv2.boxFilter(counts, -1, taps.shape * 2, borderType=cv2.BORDER_CONSTANT), 2, 0)
    image = image + np.maximum(2 * inside / all_of_it - 1, 0) * (mixed - image)
    return np.pad(image, ((0, 0), (BASE_REACH, BASE_REACH), (BASE_REACH, BASE_REACH)), mode="edge"), matched


def _copied(image: Array, hole: NDArray[Any], offset: NDArray[np.int32], share: Array) -> Array:
    mixed: Array = image.copy()
    replace_patches(mixed, hole, offset[None], share[None])
    return mixed


class _Windows:
    """What is compared, for every place that a patch may lie at.

    In an image of every second pixel what is compared lies side by side, so one gather takes a row of it.

    Args:
        features: float32 [h, w, C].
    """

    def __init__(self, features: Array) -> None:
        before, after = -WINDOW[0], WINDOW[-1] + 2
        padded = cv2.copyMakeBorder(features, before, after, before, after, cv2.BORDER_REPLICATE)
        height, width, channels = padded.shape
        self._height, self._width = height // 2, width // 2
        halves = padded.reshape(self._height, 2, self._width, 2, channels).transpose(1, 3, 0, 2, 4)
        flat = np.ascontiguousarray(halves).reshape(-1, channels)
        self._rows = np.lib.stride_tricks.as_strided(
            flat, (len(flat) - len(WINDOW) + 1, len(WINDOW) * channels), flat.strides, writeable=False
        )

    def __call__(self, y: Index, x: Index) -> Array:
        """float32 [n, 4, 4 * C], for patches whose first pixels these are."""
        first = (((y & 1) * 2 + (x & 1)) * self._height + (y >> 1)) * self._width + (x >> 1)
        found = np.empty((len(y), len(WINDOW), self._rows.shape[1]), np.float32)
        for i in range(len(WINDOW)):
            found[:, i] = self._rows[first + i * self._width]
        return found


def match_patches(
    features: Array, valid: Array, offset: NDArray[np.int32], share: Array, steps: Sequence[int] = MATCH_STEPS
) -> NDArray[np.int32]:
    """``iic::PatchMatch`` for one image: ``iic_rt.reference.patch_match``, without the axis of the batch and the cost.

    Args:
        features: float32 [h, w, C], channels last.
        valid: float32 [h, w].
        offset: int32 [2, h / 4, w / 4].
        share: float32 [h / 4, w / 4].
        steps: of the sweeps.

    Returns:
        ``matched``, int32 [2, h / 4, w / 4].
    """
    height, width, _ = features.shape
    matched: NDArray[np.int32] = offset.copy()
    r, c = np.nonzero(share > 0)
    if not len(r):
        return matched
    windows = _Windows(features)
    y, x = PATCH * r, PATCH * c
    target = windows(y, x)

    def cost(patches: Index, y: Index, x: Index) -> Array:
        difference = windows(y, x)
        difference -= target[patches]
        return np.asarray(np.einsum("nij,nij->n", difference, difference))

    own, everyone = matched[:, r, c], np.arange(len(r))
    least = cost(everyone, y + own[0], x + own[1])
    for step in steps:
        padded = np.full((2, share.shape[0] + 2 * step, share.shape[1] + 2 * step), NOWHERE, np.int32)
        padded[:, r + step, c + step] = own
        near = [padded[:, r + step * (1 + up), c + step * (1 + left)] for up, left in NEIGHBOURS]
        moved = [own + step * np.array([[up], [left]], np.int32) for up, left in AROUND]
        candidates = np.stack((*near, *moved))  # [12, 2, n]
        to_y, to_x = y + candidates[:, 0], x + candidates[:, 1]
        in_image = (to_y >= 0) & (to_y <= height - PATCH) & (to_x >= 0) & (to_x <= width - PATCH)
        candidate, patch = np.nonzero(in_image & (candidates != own).any(1))
        to_y, to_x = to_y[candidate, patch], to_x[candidate, patch]
        ok = valid[to_y, to_x] > 0
        candidate, patch = candidate[ok], patch[ok]
        costs = np.full(in_image.shape, np.inf, np.float32)
        costs[candidate, patch] = cost(patch, to_y[ok], to_x[ok])
        winner = costs.argmin(0)
        better = costs[winner, everyone] < least
        own = np.where(better, candidates[winner, :, everyone].T, own)
        least = np.where(better, costs[winner, everyone], least)
    matched[:, r, c] = own
    return matched


class _Axis(NamedTuple):
    """The two patches over each pixel of an axis, its own and the neighbour whose margin it lies in, and their weights.

    The second weighs nothing where there is none.
    """

    p: int  # pixels of a patch
    patch: tuple[Index, Index]  # [pixels] each
    weight: tuple[Array, Array]


def _axis(pixels: int, patches: int) -> _Axis:
    p = pixels // patches
    margin = margin_of(p)
    own, at = np.divmod(np.arange(pixels), p)
    low, high = (at < margin) & (own > 0), (at >= p - margin) & (own < patches - 1)
    depth = np.where(low, at, p - 1 - at)
    weight = np.where(low | high, (depth + margin + 0.5) / (2 * margin), 1).astype(np.float32)
    return _Axis(p, (own, np.where(low, own - 1, own + high)), (weight, 1 - weight))


def replace_patches(
    detail: NDArray[np.floating], inside: NDArray[Any], offset: NDArray[np.int32], share: Array
) -> NDArray[np.bool_]:
    """``iic::PatchReplace`` for one image, in place: ``iic_rt.reference.patch_replace``, without the axis of the batch.

    Args:
        detail: float32 or float16 [C, h, w]; its pixels inside the hole are written.
        inside: [h, w], above 0 = a pixel to write.
        offset: int32 [best, 2, rows, columns].
        share: float32 [best, rows, columns].

    Returns:
        ``missing``, bool [h, w].
    """
    height, width = inside.shape
    is_inside = np.asarray(inside > 0)
    flat, known = detail.reshape(len(detail), -1), ~is_inside.ravel()
    missing = np.zeros(height * width, np.bool_)
    pixels = np.flatnonzero(is_inside)
    down, across = _axis(height, share.shape[1]), _axis(width, share.shape[2])
    moves = offset * np.array([[[down.p]], [[across.p]]])
    moves = (moves + PATCH // 2) // PATCH  # pixels
    for at in range(0, len(pixels), PIXELS_PER_BLOCK):
        block = pixels[at : at + PIXELS_PER_BLOCK]
        r, c = np.divmod(block, width)
        picked, weights = [], []
        for axis, other in product(range(2), repeat=2):
            patch_row, patch_column = down.patch[axis][r], across.patch[other][c]
            part = down.weight[axis][r] * across.weight[other][c]
            for move, of_move in zip(moves, share, strict=True):
                y = np.clip(r + move[0, patch_row, patch_column], 0, height - 1)
                x = np.clip(c + move[1, patch_row, patch_column], 0, width - 1)
                pixel = y * width + x
                picked.append(pixel)
                weights.append(part * of_move[patch_row, patch_column] * known[pixel])
        total: Array = np.asarray(sum(weights), np.float32)
        reached = total > SMALLEST
        missing[block[~reached]] = True
        if not reached.all():
            block, total = block[reached], total[reached]
            picked, weights = [p[reached] for p in picked], [w[reached] for w in weights]
        parts = [w / total for w in weights]
        for plane in flat:
            value = np.take(plane, picked[0]) * parts[0]
            for pixel, part in zip(picked[1:], parts[1:], strict=True):
                value += np.take(plane, pixel) * part
            plane[block] = value
    return missing.reshape(height, width)
