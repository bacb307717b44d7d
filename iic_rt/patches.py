"""The patch grid of guided upsampling on the host: which patches may be copied, the search for them, and the copying.

The grid is fixed at low resolution; its patches grow with the region. What search and replacement compute is specified
in ``iic_rt.reference``.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["FEW", "SearchOptions", "margin_of", "patch_weights", "replace_patches", "search_patches"]

FEW = 1 / 64  # share of patches: where fewer are wholly known, those with unknown pixels may be copied as well
ROWS_PER_BLOCK = 1024  # hole patches whose logits are held at once
PIXELS_PER_BLOCK = 1 << 16  # that are copied at once, so that they stay in the cache
SMALLEST = np.float32(1e-6)  # weight of a pixel, below which no patch reaches it
NEIGHBOURS = ((-1, 0), (1, 0), (0, -1), (0, 1))

Array = NDArray[np.float32]
Index = NDArray[np.intp]


@dataclass(frozen=True)
class SearchOptions:
    """The attributes of ``iic::PatchSearch``; a bundle has them fixed.

    Attributes:
        best: patches that are kept for each hole patch, 1 to all.
        scale: factor of the cosine.
        coherence: what an agreeing neighbour adds to a logit, 0 or more.
        sweeps: over the hole; above 0 only with ``best`` = 1.
    """

    best: int
    scale: float
    coherence: float
    sweeps: int


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
        ``source`` int32 and ``share`` float32, both [best, rows, columns].
    """
    best = options.best
    source = np.zeros((best, hole.size), np.int32)
    share = np.zeros((best, hole.size), np.float32)
    holes, valid = np.flatnonzero(hole > 0), np.flatnonzero(weight > 0)
    if len(holes) and len(valid):
        d = np.asarray(q, np.float32)
        bias = np.full(hole.size, -np.inf, np.float32)
        bias[valid] = np.log(weight.ravel()[valid])
        keys, key_bias = np.ascontiguousarray((d[valid] * np.float32(options.scale)).T), bias[valid]
        for at in range(0, len(holes), ROWS_PER_BLOCK):
            block = holes[at : at + ROWS_PER_BLOCK]
            logit = d[block] @ keys
            logit += key_bias
            kept = _greatest(logit, min(best, len(valid)))
            part = np.take_along_axis(logit, kept, 1)
            part = np.exp(part - part[:, :1])
            source[: kept.shape[1], block] = valid[kept].T
            share[: kept.shape[1], block] = (part / part.sum(1, keepdims=True)).T
        if options.sweeps:
            _make_coherent(source[0].reshape(hole.shape), hole > 0, d, bias, options)
    return source.reshape(best, *hole.shape), share.reshape(best, *hole.shape)


def _greatest(logit: Array, count: int) -> Index:
    """Columns of the ``count`` greatest values of each row, the greatest first, of equal ones the lower column."""
    if count == 1:
        return np.asarray(logit.argmax(1)[:, None])
    return np.argsort(-logit, axis=1, kind="stable")[:, :count]


def _make_coherent(
    source: NDArray[np.int32],
    is_hole: NDArray[np.bool_],
    d: Array,
    bias: Array,
    options: SearchOptions,
) -> None:
    """The sweeps of the specification; ``source`` [rows, columns] is changed."""
    rows, columns = source.shape
    padded = np.pad(is_hole, 1)  # so that every patch has four neighbours
    at = np.full(padded.shape, -1, np.intp)  # source of each patch with padding, row * columns + column
    at[1:-1, 1:-1] = source
    r, c = np.nonzero(is_hole)
    even = (r + c) % 2 == 0
    halves = [(r[colour], c[colour]) for colour in (even, ~even)]
    for _ in range(options.sweeps):
        changed = False
        for r, c in halves:
            if not len(r):
                continue
            own, number = at[r + 1, c + 1], r * columns + c
            candidates = [own]
            allowed = [np.ones(len(r), np.bool_)]
            for up, left in NEIGHBOURS:
                near = at[r + 1 + up, c + 1 + left]
                row, column = near // columns - up, near % columns - left
                fits = padded[r + 1 + up, c + 1 + left] & (row >= 0) & (row < rows) & (column >= 0) & (column < columns)
                moved = np.where(fits, row * columns + column, own)
                allowed.append(fits & (bias[moved] > -np.inf))
                candidates.append(np.where(allowed[-1], moved, own))
            found, ok = np.stack(candidates), np.stack(allowed)  # [5, n]
            # The logits of the candidates that differ from the source alone; the others lose nothing by being -inf.
            value = (
                np.einsum("nd,knd->kn", d[number] * np.float32(options.scale), d[found], optimize=False) + bias[found]
            )
            agree = ((found[:, None] == found[None, 1:]) & ok[None, 1:]).sum(1)
            value = np.where(ok, value + np.float32(options.coherence) * agree, -np.inf)
            chosen = np.take_along_axis(found, value.argmax(0)[None], 0)[0]
            changed |= bool((chosen != own).any())
            at[r + 1, c + 1] = chosen
        if not changed:
            break
    source[:] = at[1:-1, 1:-1]


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
    detail: NDArray[np.floating], inside: NDArray[Any], source: NDArray[np.int32], share: Array
) -> NDArray[np.bool_]:
    """``iic::PatchReplace`` for one image, in place: ``iic_rt.reference.patch_replace``, without the axis of the batch.

    Args:
        detail: float32 or float16 [C, h, w]; its pixels inside the hole are written.
        inside: [h, w], above 0 = a pixel to write.
        source: int32 [best, rows, columns].
        share: float32 [best, rows, columns].

    Returns:
        ``missing``, bool [h, w].
    """
    height, width = inside.shape
    is_inside = np.asarray(inside > 0)
    flat, known = detail.reshape(len(detail), -1), ~is_inside.ravel()
    missing = np.zeros(height * width, np.bool_)
    pixels = np.flatnonzero(is_inside)
    down, across = _axis(height, source.shape[1]), _axis(width, source.shape[2])
    for at in range(0, len(pixels), PIXELS_PER_BLOCK):
        block = pixels[at : at + PIXELS_PER_BLOCK]
        r, c = np.divmod(block, width)
        picked, weights = [], []
        for axis, other in product(range(2), repeat=2):
            patch_row, patch_column = down.patch[axis][r], across.patch[other][c]
            part = down.weight[axis][r] * across.weight[other][c]
            for chosen, of_chosen in zip(source, share, strict=True):
                j = chosen[patch_row, patch_column]
                y = np.clip(r + (j // source.shape[2] - patch_row) * down.p, 0, height - 1)
                x = np.clip(c + (j % source.shape[2] - patch_column) * across.p, 0, width - 1)
                pixel = y * width + x
                picked.append(pixel)
                weights.append(part * of_chosen[patch_row, patch_column] * known[pixel])
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
