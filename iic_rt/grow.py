"""Growing the hole beyond the mask: masks drawn tightly leave a rim of soft edges and of the object's shadow."""

from __future__ import annotations

from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["LARGEST_GROWTH", "Grow", "grow_hole"]

Pixels = NDArray[np.uint8]
Grow = int | Literal["auto"]

LARGEST_GROWTH = 64  # pixels
# "auto", from the look of hand-drawn and of tight masks (benchmarks.grow). It goes by the square root of an object's
# area: soft edges grow with the size, and on small objects three pixels would be much.
AUTO_SHARE = 0.02
AUTO_LEAST, AUTO_MOST = 3, 12  # pixels; the least for objects from 24 pixels up, below it goes by AUTO_SMALL_SHARE
AUTO_SMALL_SHARE = 1 / 8
AUTO_SMALLEST = 12.0  # pixels: dust and scratches are marked wholly or not at all


def grow_hole(hole: Pixels, grow: Grow) -> Pixels:
    """The hole and all pixels up to a distance of it.

    Args:
        hole: uint8 [H, W] in {0, 1}.
        grow: distance in pixels, or ``"auto"`` for each connected part by its own size.

    Returns:
        uint8 [H, W] in {0, 1}; the hole as it was where growing would leave no known pixel.
    """
    if grow == 0 or not hole.any():
        return hole
    margin = AUTO_MOST if grow == "auto" else grow
    found = [np.flatnonzero(hole.any(axis)) for axis in (1, 0)]
    window = tuple(slice(max(0, f[0] - margin), f[-1] + 1 + margin) for f in found)
    part = hole[window]
    distance, labels = cv2.distanceTransformWithLabels(
        1 - part, cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_CCOMP
    )
    if grow == "auto":
        size = np.sqrt(np.bincount(labels[part > 0], minlength=int(labels.max()) + 1))
        least = np.minimum(AUTO_LEAST, AUTO_SMALL_SHARE * size)
        radius = np.minimum(AUTO_MOST, np.ceil(np.maximum(AUTO_SHARE * size, least)))
        radius[size < AUTO_SMALLEST] = 0
        near = distance <= radius[labels]
    else:
        near = distance <= grow
    grown = hole.copy()
    grown[window] = near
    return hole if grown.all() else grown
