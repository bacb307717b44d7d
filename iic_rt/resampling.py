"""Weights that shrink an image to the loop's resolution and enlarge what the loop made.

Every operand that depends on the factor is made here and given to the graphs as an input, so that one graph serves
every size. A factor is the side of a region over the side that the loop runs at.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["BASE_REACH", "PATCH", "area_weights", "base_weights", "enlarge_weights", "guide_taps"]

PATCH = 4  # working pixels on a side of a patch; a matrix of weights makes one patch, or is made of one
BASE_REACH = 6  # working pixels around a patch that its enlargement reads
BASE_SIGMA = 1.0  # working pixels, of the blur that makes the base: chosen by the look of results and their distance
GUIDE_SIGMA = 1.5  # working pixels, of the blur under which the loop's result and real patches are alike

Array = NDArray[np.float32]


def area_weights(factor: float) -> Array:
    """Weights [4, p] that shrink p pixels to 4 by area, p = 4 * factor: crop pixels that count for each working pixel.

    Four, because then every crop side that is a multiple of a quarter of the working size shrinks exactly.
    """
    p = round(PATCH * factor)
    out, inside = np.arange(PATCH)[:, None] / PATCH, np.arange(p)[None, :] / p
    overlap = np.minimum(out + 1 / PATCH, inside + 1 / p) - np.maximum(out, inside)
    return np.asarray((np.maximum(overlap, 0) * PATCH).round(12), np.float32)


def base_weights(factor: float) -> Array:
    """Weights [p, 16] that make p = 4 * factor pixels of the base out of 4 working pixels and 6 on either side.

    A Gaussian, cut where it is small: what is left out of the base is the detail, which guided upsampling copies at
    full resolution.
    """
    x = _offsets(factor)
    reach = BASE_REACH - 0.5  # that every pixel of a patch has on either side
    weights = np.maximum(np.exp(-0.5 * (x / BASE_SIGMA) ** 2) - np.exp(-0.5 * (reach / BASE_SIGMA) ** 2), 0)
    # Samples of a Gaussian do not quite keep slopes: their mean is moved to the pixel.
    weights *= 1 - x * (weights * x).sum(1, keepdims=True) / (weights * x**2).sum(1, keepdims=True)
    return np.asarray(weights / weights.sum(1, keepdims=True), np.float32)


def guide_taps() -> Array:
    """Weights [13] of a Gaussian, along either axis, that make the guide which patches are matched to."""
    x = np.arange(-BASE_REACH, BASE_REACH + 1)
    weights = np.exp(-0.5 * (x / GUIDE_SIGMA) ** 2)
    return np.asarray(weights / weights.sum(), np.float32)


def enlarge_weights(factor: float) -> Array:
    """Weights [p, 16] like :func:`base_weights` that enlarge plainly: cubic convolution (Keys 1981, a = -3/4).

    At factor 1 they hand the pixels through.
    """
    a = -0.75
    x = np.abs(_offsets(factor))
    near, far = (a + 2) * x**3 - (a + 3) * x**2 + 1, a * (x**3 - 5 * x**2 + 8 * x - 4)
    return np.asarray(np.where(x < 1, near, np.where(x < 2, far, 0.0)), np.float32)


def _offsets(factor: float) -> NDArray[np.float64]:
    """Distance [p, 16] in working pixels of every pixel of an enlarged patch from every working pixel it may read."""
    p = round(PATCH * factor)
    centre = (np.arange(p)[:, None] + 0.5) * PATCH / p - 0.5
    return np.asarray(centre - np.arange(-BASE_REACH, PATCH + BASE_REACH)[None, :])
