"""Between the loop and the pixels, in numpy: the seam, and the way back into the image."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from iic_rt.resampling import BASE_REACH, PATCH

__all__ = ["close_seam", "composite", "enlarge"]

Array = NDArray[np.float32]
Pixels = NDArray[np.uint8]


def close_seam(y: Array, m: Array) -> Array:
    """Leads what was filled to the known pixels beside it.

    Near the hole's border the mean of the filled pixels is moved to that of the known ones; only the means, so the
    detail of what was filled stays. Means are taken over 5 x 5 pixels, weighted like a tent, and the change fades with
    the share of known pixels among them: full beside the border, none from the third pixel on.

    Args:
        y: [1, 3, s, s], the loop's result.
        m: [1, 1, s, s] in {0, 1}, what it has filled.

    Returns:
        [1, 3, s + 12, s + 12] in about [-1, 1], its border repeated six times.
    """
    picture = np.clip(y.astype(np.float64), -1, 1)
    known = 1 - m.astype(np.float64)
    known_share, filled_share = _tent(known), _tent(1 - known)
    known_mean = _tent(picture * known) / np.maximum(known_share, 1e-6)
    filled_mean = _tent(picture * (1 - known)) / np.maximum(filled_share, 1e-6)
    strength = np.minimum(2 * known_share, 1) * (1 - known)
    closed = picture + strength * (known_mean - filled_mean)
    border = ((0, 0), (0, 0), (BASE_REACH, BASE_REACH), (BASE_REACH, BASE_REACH))
    return np.pad(closed, border, mode="edge").astype(np.float32)


def _tent(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean over 3 x 3 pixels, taken twice; what lies outside the image does not count."""
    for _ in range(2):
        sums, count = np.zeros_like(values), np.zeros_like(values)
        padded, ones = (np.pad(v, ((0, 0), (0, 0), (1, 1), (1, 1))) for v in (values, np.ones_like(values)))
        h, w = values.shape[2:]
        for dy in range(3):
            for dx in range(3):
                sums += padded[:, :, dy : dy + h, dx : dx + w]
                count += ones[:, :, dy : dy + h, dx : dx + w]
        values = sums / count
    return values


def enlarge(low: Array, weights: Array) -> NDArray[np.float64]:
    """[1, C, a, b] -> [1, C, h, S]: every 4 pixels, and 6 on either side, make the p pixels of ``weights`` [p, 16]."""
    found = low.astype(np.float64)
    for axis in (2, 3):
        groups = (found.shape[axis] - 2 * BASE_REACH) // PATCH
        matrix = np.zeros((groups * len(weights), found.shape[axis]))
        for group in range(groups):
            rows = slice(group * len(weights), (group + 1) * len(weights))
            matrix[rows, group * PATCH : group * PATCH + weights.shape[1]] = weights
        found = np.moveaxis(np.tensordot(matrix, found, ([1], [axis])), 0, axis)
    return found


def composite(low: Array, weights: Array, image: Pixels, hole: Pixels, order: Array, keep: Array) -> Pixels:
    """The image with its hole filled by the enlarged result.

    Args:
        low: [1, 3, a, b] of :func:`close_seam`, or a part of it.
        weights: [p, 16] of ``iic_rt.resampling.enlarge_weights`` or ``base_weights``.
        image: uint8 [h, S, C].
        hole: uint8 [h, S], nonzero = filled; everywhere else ``image`` comes back bit for bit.
        order: [C, 3], makes the image's channels of RGB.
        keep: [C, 1, 1], above 0: this channel comes back bit for bit.
    """
    rgb = enlarge(low, weights)[0]
    channels = np.einsum("ck,khw->hwc", order.astype(np.float64), rgb)
    pixels = np.rint(np.clip(channels * 127.5 + 127.5, 0, 255)).astype(np.uint8)
    return np.where((hole > 0)[..., None] & (keep[:, 0, 0] == 0), pixels, image)
