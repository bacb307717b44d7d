"""How much brighter a frame is than another, from pixels that both show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Exposure", "fit_exposure"]

Floats = NDArray[np.floating[Any]]

FEWEST = 50  # pixels that anything is said from
MOST = 8_000
OUTLIER = 3.0  # times the typical deviation: what moved, not what became brighter
LEAST_CONTRAST = 10.0  # grey levels of standard deviation below which a gain cannot be told from an offset
LEAST_GAIN = 0.02  # by which a gain must differ from 1; a smaller one would be noise
WIDEST_GAIN = 2.0


@dataclass(frozen=True)
class Exposure:
    """Takes colours of an earlier frame to those of a later one.

    Attributes:
        gain: float64 [C].
        offset: float64 [C], grey levels.
        change: grey levels by which the mean colour changes, the most of all channels.
        misfit: grey levels by which a typical pixel differs after that: what moved, and noise.
    """

    gain: Floats
    offset: Floats
    change: float
    misfit: float

    def apply(self, colours: Floats) -> Floats:
        """float32 [..., C] in the light of the later frame."""
        return (colours * self.gain + self.offset).astype(np.float32)


def fit_exposure(before: Floats, after: Floats) -> Exposure | None:
    """From pixels [n, C] at the same places; None where there are too few."""
    if len(before) < FEWEST:
        return None
    step = -(-len(before) // MOST)
    before, after = before[::step].astype(np.float64), after[::step].astype(np.float64)
    channels = before.shape[1]
    gain, offset, misfit = np.ones(channels), np.zeros(channels), np.zeros(channels)
    change = np.zeros(channels)
    for c in range(channels):
        difference = after[:, c] - before[:, c]
        middle = np.median(difference)
        away = np.abs(difference - middle)
        kept = away <= OUTLIER * 1.4826 * max(float(np.median(away)), 0.5)
        x, y = before[kept, c], after[kept, c]
        mean_x, mean_y = x.mean(), y.mean()
        contrast = x.std()
        if contrast > LEAST_CONTRAST:
            # The ratio of the deviations, not the slope: noise in x would flatten that.
            ratio = float(np.clip(y.std() / contrast, 1 / WIDEST_GAIN, WIDEST_GAIN))
            if abs(ratio - 1) > LEAST_GAIN:
                gain[c] = ratio
        offset[c] = mean_y - gain[c] * mean_x
        change[c] = abs(mean_y - mean_x) + abs(gain[c] - 1) * contrast
        misfit[c] = np.median(np.abs(after[:, c] - gain[c] * before[:, c] - offset[c]))
    return Exposure(gain, offset, float(change.max()), float(misfit.mean()))
