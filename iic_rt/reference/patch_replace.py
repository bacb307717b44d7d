"""``iic::PatchReplace``, version 5, in numpy: the specification that graphs and kernels are compared with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["patch_replace"]

Values = NDArray[np.floating]
SMALLEST = 1e-6  # weight of a pixel, below which no patch reaches it


def patch_replace(
    detail: Values, inside: Values, offset: NDArray[np.int32], share: Values
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Copies patches into the hole, blended where they overlap (Eq. 6 of the paper).

    A patch is ``p`` = h / rows pixels wide and copied with a margin of ``p // 2`` pixels on every side; beyond the
    border the nearest pixel is read. Along either axis its weight is 1, and where margin and neighbour overlap it falls
    linearly over the ``2 * margin`` pixels around their common edge, so that both add up to 1. A pixel inside the hole
    becomes the mean of what the patches over it copy, weighted by both axes and the share. An offset of ``o`` quarters
    of a patch is ``floor((o * p + 2) / 4)`` pixels. Pixels inside the hole are never read.

    Args:
        detail: [B, C, h, w], at least two pixels a patch, as many rows of pixels in each as columns.
        inside: [B, 1, h, w], above 0 = a pixel to write.
        offset: [B, best, 2, rows, columns], of ``iic::PatchSearch`` or ``iic::PatchMatch``.
        share: [B, best, rows, columns], of ``iic::PatchSearch``; 0 = nothing is copied.

    Returns:
        ``mixed`` [B, C, h, w], and ``missing`` [B, 1, h, w], 1 for pixels inside the hole that nothing was copied to.
        These and all pixels outside are handed through.
    """
    mixed, missing = np.array(detail, np.float64), np.array(inside > 0, np.float64)
    rows, columns = share.shape[2:]
    height, width = detail.shape[2:]
    p = height // rows
    for b, _, r, c in np.argwhere(inside > 0):
        total, reached = np.zeros(detail.shape[1]), 0.0
        for patch_row, tall in _patches_over(r, p, rows):
            for patch_column, wide in _patches_over(c, p, columns):
                for move, part in zip(
                    offset[b, :, :, patch_row, patch_column], share[b, :, patch_row, patch_column], strict=True
                ):
                    y = _nearest(r + (move[0] * p + 2) // 4, height)
                    x = _nearest(c + (move[1] * p + 2) // 4, width)
                    if inside[b, 0, y, x] > 0:
                        continue
                    total += tall * wide * part * detail[b, :, y, x]
                    reached += tall * wide * part
        if reached > SMALLEST:
            mixed[b, :, r, c], missing[b, 0, r, c] = total / reached, 0
    return mixed, missing


def _patches_over(pixel: int, p: int, patches: int) -> list[tuple[int, float]]:
    """The one or two patches of an axis over a pixel of it, with their weights."""
    margin, own, at = p // 2, pixel // p, pixel % p
    if at < margin and own > 0:
        neighbour, depth = own - 1, at
    elif at >= p - margin and own < patches - 1:
        neighbour, depth = own + 1, p - 1 - at
    else:
        return [(own, 1.0)]
    weight = (depth + margin + 0.5) / (2 * margin)
    return [(own, weight), (neighbour, 1 - weight)]


def _nearest(pixel: int, length: int) -> int:
    """The pixel of an axis, or the nearest one inside the image."""
    return min(max(pixel, 0), length - 1)  # on single numbers several times as fast as numpy's clip
