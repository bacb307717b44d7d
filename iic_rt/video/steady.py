"""Masks that do not flicker: held where a detector misses a frame, still where they tremble."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from iic_rt.checks import check_whole
from iic_rt.video.mask_source import Mask

__all__ = ["MOST_HELD", "MOST_JITTER", "Hold", "Still"]

MOST_HELD = 250  # frames; ages are counted in 8 bits
MOST_JITTER = 32  # pixels
SLIVER = 0.3  # of the square root of its area: a thinner remainder beside a mask is what a moving object left


class Hold:
    """Keeps what was marked for some frames where nothing is marked any more.

    An object that moves leaves a thin remainder beside its new mask, which is dropped. Any thicker remainder is an
    object, or a part of one, that was missed.

    Args:
        frames: how long, 0 to 250.

    Raises:
        InputError: out of range.
    """

    def __init__(self, frames: int) -> None:
        allowed = f"a whole number of frames from 0 to {MOST_HELD}"
        self._frames = check_whole(frames, "hold_frames", allowed, least=0, most=MOST_HELD)
        self._age: Mask | None = None  # frames since a pixel was marked; 255: long ago

    def __call__(self, mask: Mask | None, shape: tuple[int, int]) -> Mask | None:
        """The mask with what is held; ``mask`` and result uint8 [H, W] in {0, 255} or None."""
        if self._frames == 0:
            return mask
        age = self._age
        if age is None or age.shape != shape:
            age = np.full(shape, 255, np.uint8)
        age = age + (age < 255).astype(np.uint8)
        age[age > self._frames] = 255
        if mask is not None:
            age[mask > 0] = 0
            _drop_slivers(age, mask)
        self._age = age
        held = np.where(age <= self._frames, np.uint8(255), np.uint8(0))
        return held if held.any() else None


def _drop_slivers(age: Mask, mask: Mask) -> None:
    """Forgets remainders that lie close along the mask."""
    left = ((age > 0) & (age < 255)).astype(np.uint8)
    if not left.any():
        return
    count, labels, stats, _ = cv2.connectedComponentsWithStats(left, connectivity=8)
    distance = cv2.distanceTransform(255 - mask, cv2.DIST_L2, cv2.DIST_MASK_5)
    furthest = np.zeros(count)
    np.maximum.at(furthest, np.asarray(labels, np.int32)[left > 0], distance[left > 0])
    thin = furthest <= np.maximum(1.5, SLIVER * np.sqrt(stats[:, cv2.CC_STAT_AREA]))
    thin[0] = False
    age[thin[labels]] = 255


class Still:
    """Keeps a mask as it is while the masks that come in only tremble.

    What it gives covers the mask of every frame by ``jitter`` pixels, so it covers the object even where a trembling
    mask does not. It is up to 3 times ``jitter`` larger than the object while that is still, and up to 4 times behind
    an object that moves.

    Args:
        jitter: by how many pixels an edge is off its place at most, 0 to 32.

    Raises:
        InputError: out of range.
    """

    def __init__(self, jitter: int) -> None:
        allowed = f"a whole number of pixels from 0 to {MOST_JITTER}"
        self._jitter = check_whole(jitter, "jitter", allowed, least=0, most=MOST_JITTER)
        self._kept: Mask | None = None

    def __call__(self, mask: Mask | None, shape: tuple[int, int]) -> Mask | None:
        """The steady mask; ``mask`` and result uint8 [H, W] in {0, 255} or None."""
        if self._jitter == 0:
            return mask
        if mask is None:
            self._kept = None
            return None
        kept = self._kept if self._kept is not None and self._kept.shape == shape else np.zeros(shape, np.uint8)
        needed = _wider(mask, self._jitter)
        # Edges that are off by at most `jitter` never leave these limits, so an object that is still changes nothing.
        beyond = kept & ~_wider(mask, 4 * self._jitter)
        if beyond.any():
            kept = kept & ~_parts_with(kept, beyond)
        lacking = needed & ~kept
        if lacking.any():
            kept = kept | _wider(_parts_with(needed, lacking), self._jitter)
        self._kept = np.asarray(kept, np.uint8)
        return np.array(kept, np.uint8)


def _wider(mask: Mask, pixels: int) -> Mask:
    """Grown by a square: a box whose sides are off by so many pixels is covered up to its corners."""
    side = 2 * pixels + 1
    return np.asarray(cv2.dilate(mask, np.ones((side, side), np.uint8)), np.uint8)


def _parts_with(mask: Mask, marks: Mask) -> Mask:
    """The connected parts of a mask that hold a marked pixel."""
    count, labels = cv2.connectedComponents(mask, connectivity=8)
    chosen: NDArray[np.bool_] = np.zeros(count, np.bool_)
    chosen[labels[(marks & mask) > 0]] = True
    chosen[0] = False
    return np.asarray(np.where(chosen[labels], 255, 0), np.uint8)
