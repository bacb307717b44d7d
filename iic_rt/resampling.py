"""Weights that shrink an image to the loop's resolution and enlarge what the loop made.

Every operand that depends on the factor is made here and given to the graphs as an input, so that one graph serves
every size. A factor is the side of a region over the side that the loop runs at.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["BASE_REACH", "PATCH", "area_weights", "base_weights", "enlarge_weights"]

PATCH = 4  # working pixels on a side of a patch; a matrix of weights makes one patch, or is made of one
BASE_REACH = 3  # working pixels around a patch that its enlargement reads

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
    """Weights [p, 10] that make p = 4 * factor pixels of the base out of 4 working pixels and 3 on either side.

    A cubic B-spline on the result blurred by [1, 2, 1] / 4: what is left out of the base is the detail, which guided
    upsampling takes from real patches. The blur leaves the finest octave of the loop's own result to them as well.
    """
    offset = _offsets(factor)

    def spline(x: NDArray[np.float64]) -> NDArray[np.float64]:
        x = np.abs(x)
        near, far = 2 / 3 - x**2 * (1 - x / 2), (2 - x) ** 3 / 6
        return np.where(x < 1, near, np.where(x < 2, far, 0.0))

    return np.asarray(sum(w * spline(offset - d) for d, w in ((-1, 0.25), (0, 0.5), (1, 0.25))), np.float32)


def enlarge_weights(factor: float) -> Array:
    """Weights [p, 10] like :func:`base_weights` that enlarge plainly: cubic convolution (Keys 1981, a = -3/4).

    At factor 1 they hand the pixels through.
    """
    a = -0.75
    x = np.abs(_offsets(factor))
    near, far = (a + 2) * x**3 - (a + 3) * x**2 + 1, a * (x**3 - 5 * x**2 + 8 * x - 4)
    return np.asarray(np.where(x < 1, near, np.where(x < 2, far, 0.0)), np.float32)


def _offsets(factor: float) -> NDArray[np.float64]:
    """Distance [p, 10] in working pixels of every pixel of an enlarged patch from every working pixel it may read."""
    p = round(PATCH * factor)
    centre = (np.arange(p)[:, None] + 0.5) * PATCH / p - 0.5
    return np.asarray(centre - np.arange(-BASE_REACH, PATCH + BASE_REACH)[None, :])
