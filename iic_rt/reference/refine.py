"""The ``refine`` graph in numpy: PatchMatch at the loop's resolution, and what is copied there."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from iic_rt.reference.patch_match import patch_match
from iic_rt.reference.patch_replace import patch_replace

__all__ = ["copied_softly", "matched_twice"]

Values = NDArray[np.floating]


def matched_twice(
    low: Values,
    m: Values,
    valid: Values,
    offset: NDArray[np.int32],
    share: Values,
    *,
    taps: Values,
    steps: Sequence[int],
) -> NDArray[np.int32]:
    """``offset`` after both matches: over the blurred result, then over that and the result with its copies together.

    Args:
        low: [B, 3, s + 2k, s + 2k], the loop's result with its border repeated k times.
        m: [B, 1, s, s], above 0 = filled by the loop.
        valid: [B, s, s], as ``iic::PatchMatch`` takes it.
        offset: [B, 1, 2, s / 4, s / 4], of ``iic::PatchSearch``.
        share: [B, 1, s / 4, s / 4], of ``iic::PatchSearch``.
        taps: [2k + 1], of the blur along either axis.
        steps: of ``iic::PatchMatch``.
    """
    guide = np.asarray(low, np.float64)
    for axis in (2, 3):
        guide = np.apply_along_axis(np.convolve, axis, guide, taps, "valid")
    k = len(taps) // 2
    roughly, _ = patch_match(guide, valid, offset, share, steps=steps)
    copied, _ = patch_replace(low[:, :, k:-k, k:-k], m, roughly, share)
    return patch_match(np.concatenate((copied, guide), 1), valid, roughly, share, steps=steps)[0]


def copied_softly(
    low: Values, m: Values, offset: NDArray[np.int32], share: Values, *, margin: int
) -> NDArray[np.float64]:
    """``refined``: what is copied, led over to the loop's result at the border of the hole, which meets known pixels.

    A copied pixel counts ``2 f - 1``, and at least 0, where ``f`` is the share of ``m`` in the window of ``margin``
    pixels on every side, as far as it lies inside the image.

    Args:
        low: [B, 3, s + 2 * margin, s + 2 * margin].
        m: [B, 1, s, s] in {0, 1}.
        offset: [B, 1, 2, s / 4, s / 4].
        share: [B, 1, s / 4, s / 4].
        margin: pixels that the border of ``low`` is repeated.

    Returns:
        Like ``low``.
    """
    own = np.asarray(low[:, :, margin:-margin, margin:-margin], np.float64)
    copied, _ = patch_replace(own, m, offset, share)
    sides = 2 * [(0, 0)] + 2 * [(margin, margin)]
    window = (2 * margin + 1, 2 * margin + 1)

    def sums(values: Values) -> NDArray[np.float64]:
        padded = np.pad(np.asarray(values, np.float64), sides)
        return np.asarray(np.lib.stride_tricks.sliding_window_view(padded, window, axis=(2, 3)).sum((4, 5)))

    weight = np.maximum(2 * sums(m) / sums(np.ones_like(m)) - 1, 0)
    return np.pad(own + weight * (copied - own), sides, mode="edge")
