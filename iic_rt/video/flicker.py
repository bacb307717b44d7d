"""How much what was filled flickers, beside what lies around it."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from iic_rt.geometry import bounding_box

__all__ = ["Flicker"]

Pixels = NDArray[np.uint8]

SIGMA = 2.0  # pixels of the low pass: finer changes are noise, which the eye forgives and the network smooths away
GAP, RING = 4, 16  # pixels: the low pass mixes both sides of the edge, so the ring begins behind a gap


class Flicker:
    """Compares each frame with the one before it, as frames go by.

    The difference of their luminance is low-passed by a Gaussian of 2 pixels. Its mean absolute value is taken over the
    pixels that both frames filled, and over a ring around what either of them filled. Their ratio is 1 where the
    filling changes as its surroundings do. The raw difference would hide it: the network smooths noise away, and then
    lets large patches breathe.
    """

    def __init__(self) -> None:
        self._before: tuple[NDArray[np.float32], Pixels] | None = None
        self._sums, self._counts = [0.0, 0.0], [0, 0]
        self.pairs = 0

    def add(self, image: Pixels, hole: Pixels | None) -> None:
        """The next frame.

        Args:
            image: uint8 [H, W] or [H, W, C], BGR.
            hole: uint8 [H, W] in {0, 1}, what was filled; None where the frame is none of the stream's own, so that no
                pair is made with it.
        """
        if hole is None or not hole.any():
            self._before = None
            return
        grey = np.asarray(image if image.ndim == 2 else cv2.cvtColor(image[..., :3], cv2.COLOR_BGR2GRAY), np.float32)
        before, self._before = self._before, (grey, hole)
        if before is None or before[0].shape != grey.shape:
            return
        either, both = before[1] | hole, before[1] & hole
        window = bounding_box(either).grown(2 * (GAP + RING), *grey.shape).slices
        change = np.abs(cv2.GaussianBlur(grey[window] - before[0][window], (0, 0), SIGMA))
        inner, outer = (_grown(either[window], by) for by in (GAP, GAP + RING))
        for i, place in enumerate((both[window] > 0, (outer > 0) & (inner == 0))):
            self._sums[i] += float(change[place].sum())
            self._counts[i] += int(place.sum())
        self.pairs += 1

    @property
    def hole(self) -> float | None:
        """Mean change inside, in grey levels; None before the first pair."""
        return self._sums[0] / self._counts[0] if self._counts[0] else None

    @property
    def ring(self) -> float | None:
        """Mean change around it, in grey levels; None before the first pair."""
        return self._sums[1] / self._counts[1] if self._counts[1] else None

    @property
    def ratio(self) -> float | None:
        """The first divided by the second; None where that is not known, or nothing changes around the hole."""
        return self.hole / self.ring if self.hole is not None and self.ring else None


def _grown(mask: Pixels, pixels: int) -> Pixels:
    ellipse = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * pixels + 1,) * 2)
    return np.asarray(cv2.dilate(mask, ellipse), np.uint8)
