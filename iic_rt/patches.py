"""The patch grid of guided upsampling on the host: which patches may be copied, search, match, and the copying.

The grid is fixed at low resolution; its patches grow with the region. What the three compute is specified in
``iic_rt.reference``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any

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
ROWS_PER_BLOCK = 48  # hole patches whose logits are held at once, so that they stay in the cache
# Of a product that OpenBLAS, which numpy comes with, computes on the calling thread. Its other threads would wait for
# the next product by spinning, for tens of milliseconds, and take cores from the engine and from other inpainters.
MOST_MULTIPLICATIONS = 1 << 18
LANES = 16  # columns of a product that a vector unit of 512 bits computes at once
PIXELS_PER_BLOCK = 1 << 16  # that are copied at once, so that they stay in the cache
SMALLEST = np.float32(1e-6)  # weight of a pixel, below which no patch reaches it
MATCH_STEPS = (8, 4, 2, 1, 1, 1)  # of the sweeps of a match, in patches to a neighbour and in pixels
WINDOW = (-2, 0, 2, 4)  # pixels that are compared, from the first one of a patch, along either axis
NOWHERE = 1 << 62  # an offset that no patch has
COHERENCE = np.float32(1)  # by how much a cost counts less for each patch beside that has the same offset
NEIGHBOURS = ((-1, 0), (1, 0), (0, -1), (0, 1))
AROUND = [(up, left) for up, left in product((-1, 0, 1), repeat=2) if up or left]

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
        keys = _in_pieces(d[valid] * np.float32(options.scale))
        bias = np.full(len(keys) * keys.shape[2], -np.inf, np.float32)
        bias[: len(valid)] = np.log(weight.ravel()[valid])
        for at in range(0, len(holes), ROWS_PER_BLOCK):
            block = holes[at : at + ROWS_PER_BLOCK]
            logit = np.empty((len(block), len(bias)), np.float32)
            pieces = logit.reshape(len(block), len(keys), -1)
            np.matmul(d[block], keys, out=pieces.transpose(1, 0, 2))
            logit += bias
            kept = _greatest(logit, min(best, len(valid)))
            part = np.take_along_axis(logit, kept, 1)
            part = np.exp(part - part[:, :1])
            share[: kept.shape[1], block] = (part / part.sum(1, keepdims=True)).T
            source = valid[kept].T  # [best, n]
            offset[: kept.shape[1], 0, block] = PATCH * (source // columns - block // columns)
            offset[: kept.shape[1], 1, block] = PATCH * (source % columns - block % columns)
    return offset.reshape(best, 2, *hole.shape), share.reshape(best, *hole.shape)


def _in_pieces(keys: Array) -> Array:
    """[n, D] as [pieces, D, columns], so small that a block's product with one runs on the calling thread."""
    n, width = keys.shape
    columns = max(1, MOST_MULTIPLICATIONS // (width * ROWS_PER_BLOCK * LANES)) * LANES
    pieces = -(-n // columns)
    padded = np.zeros((pieces * columns, width), np.float32)
    padded[:n] = keys
    return np.ascontiguousarray(padded.reshape(pieces, columns, width).transpose(0, 2, 1))


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

    In an image of every second pixel what is compared lies side by side, so one copy takes a row of it.

    Args:
        features: float32 [h, w, C].
        margin: pixels around the image that places are counted in as well.
    """

    def __init__(self, features: Array, margin: int) -> None:
        before, after = -WINDOW[0], WINDOW[-1] + 2
        padded = cv2.copyMakeBorder(features, before, after, before, after, cv2.BORDER_REPLICATE)
        height, width, channels = padded.shape
        height, width = height // 2, width // 2
        self._down = width * np.arange(len(WINDOW))
        halves = padded.reshape(height, 2, width, 2, channels).transpose(1, 3, 0, 2, 4)
        flat = np.ascontiguousarray(halves)
        # numpy copies a value of any size several times as fast as a row of an array.
        row = np.dtype((np.void, len(WINDOW) * channels * flat.itemsize))
        self._rows = np.ndarray(4 * height * width - len(WINDOW) + 1, row, flat, strides=flat.strides[-2:-1])
        number = np.arange(4 * height * width).reshape(2, 2, height, width).transpose(2, 0, 3, 1)
        inside = number.reshape(padded.shape[:2])[: features.shape[0], : features.shape[1]]
        self._first = np.pad(inside, margin).ravel()

    def __call__(self, place: Index) -> Array:
        """float32 [n, 16 * C], for patches whose first pixels these are, counted over the image with its margin."""
        rows = self._rows[self._first.take(place)[:, None] + self._down]
        return np.asarray(rows.view(np.float32))


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
    (height, width, _), patches = features.shape, np.argwhere(share > 0)
    matched: NDArray[np.int32] = offset.copy()
    if not len(patches):
        return matched
    # Places and offsets are single numbers, over the image with a margin that no candidate leads out of. That
    # margin also keeps different offsets of patches side by side different numbers.
    margin = PATCH * max(steps)
    line = width + 2 * margin
    windows = _Windows(features, margin)
    is_valid = np.zeros((height + 2 * margin, line), np.bool_)
    last = height - PATCH + 1, width - PATCH + 1
    is_valid[margin : margin + last[0], margin : margin + last[1]] = valid[: last[0], : last[1]] > 0
    is_valid = is_valid.ravel()

    r, c = patches.T
    place = (PATCH * r + margin) * line + PATCH * c + margin
    target = windows(place)

    def cost(patch: Index, to: Index) -> Array:
        difference = windows(to)
        difference -= target.take(patch, 0)
        return np.asarray(np.einsum("nj,nj->n", difference, difference))

    everyone = np.arange(len(patches))

    def neighbours(step: int) -> Index:
        """[4, n], which hole patches are so far above, below, to the left and to the right; -1 where there is none."""
        number = np.full((share.shape[0] + 2 * step, share.shape[1] + 2 * step), -1)
        number[r + step, c + step] = everyone
        return np.stack([number[r + step * (1 + up), c + step * (1 + left)] for up, left in NEIGHBOURS])

    own = matched[0, r, c].astype(np.intp) * line + matched[1, r, c]
    own_cost, beside = cost(everyone, place + own), neighbours(1)
    before = np.full((len(NEIGHBOURS) + len(AROUND), len(own)), NOWHERE)  # the candidates of the sweep before
    costs = np.empty(before.shape, np.float32)  # theirs, where they may be copied; once computed they stay true
    for step in steps:
        near = neighbours(step)
        moved = [own + step * (up * line + left) for up, left in AROUND]
        candidates = np.stack((own, *np.where(near < 0, own, own[near]), *moved))
        agrees = candidates[:, None] == np.where(beside < 0, NOWHERE, own[beside])  # [13, 4, n]
        divisors = 1 + COHERENCE * agrees.sum(1, dtype=np.float32)
        chosen, chosen_cost, least = own.copy(), own_cost.copy(), own_cost / divisors[0]
        others = candidates[1:]
        for candidate, divisor, found, was in zip(others, divisors[1:], costs, before, strict=True):
            to = place + candidate
            other = (candidate != own) & is_valid[to]
            new = np.flatnonzero(candidate != was)
            found[new] = own_cost[new]  # of those that are the patch's own
            new = new[other[new]]
            found[new] = cost(new, to[new])
            score = found / divisor
            better = np.flatnonzero(other & (score < least))
            least[better], chosen[better], chosen_cost[better] = score[better], candidate[better], found[better]
        before, own, own_cost = others, chosen, chosen_cost
    to = place + own
    matched[:, r, c] = to // line - margin - PATCH * r, to % line - margin - PATCH * c
    return matched


def replace_patches(
    detail: NDArray[np.floating], inside: NDArray[Any], offset: NDArray[np.int32], share: Array
) -> NDArray[np.bool_]:
    """``iic::PatchReplace`` for one image, in place: ``iic_rt.reference.patch_replace``, without the axis of the batch.

    The image is taken apart into cells between the middles of patches. All pixels of a cell are copied with the same
    four patches, those around its corner.

    Args:
        detail: float32 or float16 [C, h, w]; its pixels inside the hole are written.
        inside: [h, w], above 0 = a pixel to write.
        offset: int32 [best, 2, rows, columns].
        share: float32 [best, rows, columns].

    Returns:
        ``missing``, bool [h, w].
    """
    height, width = inside.shape
    p, (rows, columns) = height // share.shape[1], share.shape[1:]
    margin, at = margin_of(p), np.arange(p)
    is_inside = np.asarray(inside > 0)
    flat, known = detail.reshape(len(detail), -1), ~is_inside.ravel()
    missing: NDArray[np.bool_] = is_inside.copy()

    # Around the image a border of patches that copy nothing. A cell's first patch is the one above and to the left.
    shares = np.pad(share, ((0, 0), (1, 1), (1, 1)))
    moves = np.pad((offset * p + PATCH // 2) // PATCH, ((0, 0), (0, 0), (1, 1), (1, 1)))  # pixels
    second = np.minimum(1, (at + 0.5) / (2 * margin)).astype(np.float32)  # weight of the patch below or to the right
    weights = 1 - second, second
    cells = np.zeros((p * (rows + 1), p * (columns + 1)), np.bool_)
    cells[margin : margin + height, margin : margin + width] = is_inside
    cells = cells.reshape(rows + 1, p, columns + 1, p).transpose(0, 2, 1, 3)
    row, column = np.nonzero(cells.any((2, 3)))
    per_block = max(1, PIXELS_PER_BLOCK // p**2)
    for first in range(0, len(row), per_block):
        r, c = row[first : first + per_block], column[first : first + per_block]
        y, x = (p * cell[:, None] - margin + at for cell in (r, c))  # [n, p]
        total = np.zeros((len(r), p, p), np.float32)
        values = np.zeros((len(flat), *total.shape), np.float32)
        for below, right in product(range(2), repeat=2):
            part = weights[below][:, None] * weights[right]
            patch = r + below, c + right
            for move, of_move in zip(moves, shares, strict=True):
                down, across = (distance[patch][:, None] for distance in move)
                to_y, to_x = np.clip(y + down, 0, height - 1), np.clip(x + across, 0, width - 1)
                pixel = (width * to_y)[:, :, None] + to_x[:, None]
                weight = part * of_move[patch][:, None, None] * known.take(pixel)
                total += weight
                for plane, value in zip(flat, values, strict=True):
                    value += plane.take(pixel) * weight
        reached = cells[r, c] & (total > SMALLEST)
        pixel = ((width * y)[:, :, None] + x[:, None])[reached]
        total = total[reached]
        for plane, value in zip(flat, values, strict=True):
            plane[pixel] = value[reached] / total
        missing.ravel()[pixel] = False
    return missing
