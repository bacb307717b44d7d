"""The patch grid of guided upsampling: fixed at low resolution, its patches grow with the region."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from iic_rt.bundle.shapes import patch_cells

__all__ = ["FEW", "Blend", "blend", "patch_weights", "windows"]

FEW = 1 / 64  # share of patches: where fewer are wholly known, those with unknown pixels may be copied as well

Array = NDArray[np.float32]
Index = NDArray[np.int64]


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
