"""The patch grid of guided upsampling: fixed at low resolution, its patches grow with the picture.

Every operand that depends on the factor is made here and given to the graphs as an input, so that one graph serves
every size.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "BASE_REACH",
    "FEW",
    "PATCH",
    "Blend",
    "base_weights",
    "blend",
    "patch_cells",
    "patch_weights",
    "windows",
]

PATCH = 4  # working pixels on a side of a patch; at high resolution a patch is PATCH * factor pixels wide
BASE_REACH = 3  # working pixels around a patch that its base is made of
FEW = 1 / 64  # share of patches: where fewer are wholly known, those with unknown pixels may be copied as well

Array = NDArray[np.float32]
Index = NDArray[np.int64]


def patch_cells(p: int) -> tuple[int, int]:
    """Side and margin of a patch of ``p`` pixels in cells of the feature map, which has half the resolution.

    Patches are read with a margin and blended where the margins overlap, so that their seams do not show.
    """
    return p // 2, max(1, p // 8)


def base_weights(factor: float) -> Array:
    """Weights [p, 10] that make p = 4 * factor pixels of the base out of 4 working pixels and 3 on either side.

    A cubic B-spline on the result blurred by [1, 2, 1] / 4: what is left out of the base is the detail, which guided
    upsampling takes from real patches. The blur leaves the finest octave of the loop's own result to them as well.
    """
    p = round(PATCH * factor)
    centre = (np.arange(p)[:, None] + 0.5) * PATCH / p - 0.5  # of every pixel, in working pixels
    tap = np.arange(-BASE_REACH, PATCH + BASE_REACH)[None, :]

    def spline(x: NDArray[np.float64]) -> NDArray[np.float64]:
        x = np.abs(x)
        near, far = 2 / 3 - x**2 * (1 - x / 2), (2 - x) ** 3 / 6
        return np.where(x < 1, near, np.where(x < 2, far, 0.0))

    return np.asarray(sum(w * spline(centre - tap - d) for d, w in ((-1, 0.25), (0, 0.5), (1, 0.25))), np.float32)


def windows(groups: int, p: int) -> Index:
    """Cells [groups * (half + 2 * margin)] of one axis that its patches read; the border's cells are repeated."""
    half, margin = patch_cells(p)
    start, offset = np.arange(groups)[:, None] * half, np.arange(-margin, half + margin)[None, :]
    return np.asarray(np.clip(start + offset, 0, groups * half - 1).ravel(), np.int64)


class Blend(NamedTuple):
    """How one axis of a map is made of windows: ``share * windows[first] + (1 - share) * windows[second]``."""

    first: Index  # [cells]
    second: Index  # [cells]
    share: Array  # [cells]


def blend(groups: int, p: int) -> Blend:
    """The inverse of :func:`windows`, linear across the margins that neighbours share."""
    half, margin = patch_cells(p)
    side = half + 2 * margin
    group, inside = np.divmod(np.arange(groups * half), half)
    low, high = (inside < margin) & (group > 0), (inside >= half - margin) & (group < groups - 1)
    first = group * side + inside + margin
    second = np.where(low, first - side + half, np.where(high, first + side - half, first))
    depth = np.where(low, inside, np.where(high, half - 1 - inside, margin)) + margin  # cells from the window's edge
    share = np.where(low | high, (depth + 0.5) / (2 * margin), 1.0)
    return Blend(np.asarray(first, np.int64), np.asarray(second, np.int64), np.asarray(share, np.float32))


def patch_weights(closed: NDArray[np.uint8], p: int) -> Array:
    """How much each patch may be copied: 1 when it is wholly open, 0 when nothing in it is.

    Args:
        closed: uint8 [S, S] in {0, 1}, pixels that are unknown or must not be copied.
        p: side of a patch in pixels; S is a multiple of it.

    Returns:
        float32 [S / p, S / p]. A patch between the two has its open share where few are wholly open, and 0 elsewhere.
        The paper counts a single known pixel as valid everywhere; but most patches at the border of a hole are most
        like themselves, would copy what they lack, and every hole would have to be filled twice.
    """
    groups = closed.shape[0] // p
    share = closed.reshape(groups, p, groups, p).mean((1, 3), dtype=np.float32)
    whole = share == 0
    return np.asarray(np.where(whole, 1, 1 - share if whole.mean() < FEW else 0), np.float32)
