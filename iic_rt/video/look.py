"""What the memory of a stream needs of a frame: its colours, its hole, and points that can be found again."""

from __future__ import annotations

from copy import copy
from functools import cached_property
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from iic_rt.components import Component, find_components
from iic_rt.errors import InpaintWarning
from iic_rt.masks import read_masks
from iic_rt.options import InpaintOptions

__all__ = ["Look", "guard_of"]

Pixels = NDArray[np.uint8]
Floats = NDArray[np.floating[Any]]

WORK_SIDE = 640  # pixels of the longer side at which points are looked for and followed
GUARD_SHARE, GUARD_LEAST = 0.01, 3  # of the frame's shorter side, and pixels
MOST_POINTS, POINT_QUALITY, POINT_DISTANCE = 300, 0.005, 7  # OpenCV's good features to track
WINDOW, LEVELS = 15, 4  # pixels and pyramid levels of the tracker: about 60 pixels of motion at the work's scale


def guard_of(shape: tuple[int, ...]) -> int:
    """Pixels around a hole that may still show the object's rim or its shadow, for a frame of that shape."""
    return max(GUARD_LEAST, round(GUARD_SHARE * min(shape[:2])))


class Look:
    """A frame and its mask, as the memory looks at them.

    Args:
        image: uint8 [H, W], [H, W, 1], [H, W, 3] or [H, W, 4]. It is read until the frame's turn is over.
        mask: as for :meth:`iic_rt.Inpainter.inpaint`; None: nothing is to be removed.
        options: of the frame; they say how to read the mask and how far to grow it.

    Attributes:
        colours: uint8 [H, W] or [H, W, 3], without alpha.
        hole: uint8 [H, W] in {0, 1}, grown; None where nothing is to be removed.
        clear: uint8 [H, W] in {0, 1}, pixels that are neither in the hole nor within the guard around it.
        zone: uint8 [H, W] in {0, 1}, the rest; None where all is clear.
        warnings: what is odd about the mask.

    Raises:
        InputError: the mask cannot be used.
    """

    def __init__(self, image: Pixels, mask: Any, options: InpaintOptions) -> None:
        self.image: Pixels | None = image
        self.mask, self.options = mask, options
        self.warnings: tuple[InpaintWarning, ...] = ()
        hole = None
        if mask is not None:
            masks, self.warnings = read_masks(
                mask, None, None, shape=image.shape, mask_hole=options.mask_hole, grow=options.grow
            )
            hole = masks.hole if cv2.countNonZero(masks.hole) else None
        self.hole: Pixels | None = hole
        self.colours = colours_of(image)
        self.zone: Pixels | None = None
        if hole is None:
            self.clear: Pixels = np.ones(image.shape[:2], np.uint8)
        else:
            side = 2 * guard_of(image.shape) + 1
            self.zone = np.asarray(cv2.dilate(hole, np.ones((side, side), np.uint8)), np.uint8)
            self.clear = 1 - self.zone

    def without_hole(self, values: Floats) -> Look:
        """What may be kept when the frame is gone: nothing of what the hole hid.

        Args:
            values: float32 like ``colours``, taken in its place.
        """
        kept = copy(self)
        for name in ("_grey", "_points"):  # they were made with the hole's pixels
            kept.__dict__.pop(name, None)
        kept.colours = self.colours.copy()
        kept.image = kept.mask = None
        if self.hole is not None:
            hidden = self.hole > 0
            kept.colours[hidden] = values[hidden].round().clip(0, 255)
        return kept

    @cached_property
    def parts(self) -> list[Component]:
        """Of the zone."""
        return [] if self.zone is None else find_components(self.zone)

    @cached_property
    def _scale(self) -> float:
        return min(1.0, WORK_SIDE / max(self.clear.shape))

    @cached_property
    def _grey(self) -> Pixels:
        grey = self.colours if self.colours.ndim == 2 else cv2.cvtColor(self.colours, cv2.COLOR_BGR2GRAY)
        return np.asarray(_shrunk(grey, self._scale, cv2.INTER_AREA), np.uint8)

    @cached_property
    def _points(self) -> Floats:
        """float32 [n, 1, 2], x and y at the work's scale: corners on clear pixels, those around the holes first."""
        clear = _shrunk(self.clear, self._scale, cv2.INTER_NEAREST)
        found = []
        for part in self.parts:
            window = np.zeros_like(clear)
            near = part.box.grown(max(24, part.box.longest // 2), *self.clear.shape)
            rows, columns = (slice(int(s.start * self._scale), int(s.stop * self._scale) + 1) for s in near.slices)
            window[rows, columns] = clear[rows, columns]
            found.append(_corners(self._grey, window, MOST_POINTS // 2))
        found.append(_corners(self._grey, clear, MOST_POINTS))
        return np.concatenate(found)

    def follow(self, later: Look) -> tuple[Floats, Floats, int]:
        """Clear points of this frame that are clear in another as well.

        Returns:
            float32 [n, 2] twice, x and y in pixels of the frames: there and in ``later``. And how many were looked for.
        """
        points = self._points
        nothing = np.zeros((0, 2), np.float32)
        if len(points) == 0:
            return nothing, nothing, 0
        found, status, _ = cv2.calcOpticalFlowPyrLK(
            self._grey, later._grey, points, None, winSize=(WINDOW, WINDOW), maxLevel=LEVELS
        )
        height, width = later._grey.shape
        before, after = points[:, 0], np.asarray(found, np.float32)[:, 0]
        inside = (after > 0).all(1) & (after[:, 0] < width - 1) & (after[:, 1] < height - 1)
        kept = np.asarray(status, bool)[:, 0] & inside
        before, after = ((p[kept] + 0.5) / self._scale - 0.5 for p in (before, after))
        rows, columns = (np.clip(after[:, i].round().astype(int), 0, later.clear.shape[1 - i] - 1) for i in (1, 0))
        known = later.clear[rows, columns] > 0
        return before[known], after[known], len(points) - int((~known).sum())

    def resembles(self, later: Look) -> bool:
        """Whether two frames without corners show the same."""
        if self._grey.shape != later._grey.shape:
            return False
        both = _shrunk(self.clear & later.clear, self._scale, cv2.INTER_NEAREST)
        if not both.any():
            return False
        return cv2.mean(cv2.absdiff(self._grey, later._grey), mask=both)[0] < ALIKE


ALIKE = 6.0  # grey levels of mean difference: noise, and less than a cut


def colours_of(image: Pixels) -> Pixels:
    """uint8 [H, W] or [H, W, 3], C-contiguous, without alpha."""
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[..., 0]
    return np.ascontiguousarray(image[..., :3] if image.ndim == 3 else image)


def _shrunk(image: Pixels, scale: float, how: int) -> Pixels:
    if scale == 1:
        return image
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    return np.asarray(cv2.resize(image, size, interpolation=how), np.uint8)


def _corners(grey: Pixels, where: Pixels, most: int) -> Floats:
    found = cv2.goodFeaturesToTrack(grey, most, POINT_QUALITY, POINT_DISTANCE, mask=where)
    return np.zeros((0, 1, 2), np.float32) if found is None else np.asarray(found, np.float32)
