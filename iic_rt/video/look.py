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

__all__ = ["NO_GUESS", "Look", "guard_of", "small_grey", "work_scale"]

Pixels = NDArray[np.uint8]
Floats = NDArray[np.floating[Any]]

WORK_SIDE = 640  # pixels of the longer side at which points are looked for and followed
GUARD_SHARE, GUARD_LEAST = 0.01, 3  # of the frame's shorter side, and pixels
MOST_POINTS, POINT_QUALITY, POINT_DISTANCE = 240, 0.005, 8  # OpenCV's good features to track
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
        avoid, prefer: as for :meth:`iic_rt.Inpainter.inpaint`.

    Attributes:
        colours: uint8 [H, W] or [H, W, 3], without alpha.
        hole: uint8 [H, W] in {0, 1}, grown; None where nothing is to be removed.
        clear: uint8 [H, W] in {0, 1}, pixels that are neither in the hole nor within the guard around it, nor avoided.
        avoided: uint8 [H, W] in {0, 1}, known pixels that nothing may be taken from; None for none.
        preferred: uint8 [H, W] in {0, 1}, known pixels that alone may be copied; None for all.
        zone: uint8 [H, W] in {0, 1}, what is not clear; None where all is.
        warnings: what is odd about the mask.

    Raises:
        InputError: the masks cannot be used.
    """

    def __init__(
        self, image: Pixels, mask: Any, options: InpaintOptions, *, avoid: Any = None, prefer: Any = None
    ) -> None:
        self.image: Pixels | None = image
        self.mask, self.options = mask, options
        self.warnings: tuple[InpaintWarning, ...] = ()
        nothing = np.zeros(image.shape[:2], np.uint8)
        masks, warnings = read_masks(
            nothing if mask is None else mask,
            avoid,
            prefer,
            shape=image.shape,
            mask_hole="white" if mask is None else options.mask_hole,
            grow=options.grow,
        )
        if mask is not None:
            self.warnings = warnings
        self.hole: Pixels | None = masks.hole if cv2.countNonZero(masks.hole) else None
        self.avoided: Pixels | None = None if masks.visible is None else 1 - masks.visible - masks.hole
        self.preferred: Pixels | None = masks.copyable
        self.colours = colours_of(image)
        self.zone: Pixels | None = self.avoided
        if self.hole is not None:
            side = 2 * guard_of(image.shape) + 1
            around = np.asarray(cv2.dilate(self.hole, np.ones((side, side), np.uint8)), np.uint8)
            self.zone = around if self.avoided is None else around | self.avoided
        self.clear: Pixels = 1 - (nothing if self.zone is None else self.zone)

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
        return work_scale(self.clear.shape)

    @cached_property
    def _grey(self) -> Pixels:
        return small_grey(self.colours, self._scale)

    @cached_property
    def _points(self) -> Floats:
        """float32 [n, 1, 2], x and y at the work's scale: corners on clear pixels, those around the holes first."""
        clear = _shrunk(self.clear, self._scale, cv2.INTER_NEAREST)
        found = []
        for part in self.parts:
            near = part.box.grown(max(24, part.box.longest // 2), *self.clear.shape)
            window = tuple(slice(int(s.start * self._scale), int(s.stop * self._scale) + 1) for s in near.slices)
            corners = _corners(self._grey[window], clear[window], MOST_POINTS // 2)
            found.append(corners + np.array([window[1].start, window[0].start], np.float32))
        found.append(_corners(self._grey, clear, MOST_POINTS))
        return np.concatenate(found)

    def follow(self, later: Look) -> tuple[Floats, Floats, int]:
        """Clear points of this frame that are clear in another as well.

        Returns:
            float32 [n, 2] twice, x and y in pixels of the frames: there and in ``later``. And how many were looked for.
        """
        points: Any = self._points
        nothing = np.zeros((0, 2), np.float32)
        if len(points) == 0:
            return nothing, nothing, 0
        found, status, _ = cv2.calcOpticalFlowPyrLK(
            self._grey, self._in_own_light(later), points, NO_GUESS, winSize=(WINDOW, WINDOW), maxLevel=LEVELS
        )
        height, width = later._grey.shape
        before, after = points[:, 0], np.asarray(found, np.float32)[:, 0]
        inside = (after > 0).all(1) & (after[:, 0] < width - 1) & (after[:, 1] < height - 1)
        kept = np.asarray(status, bool)[:, 0] & inside
        before, after = ((p[kept] + 0.5) / self._scale - 0.5 for p in (before, after))
        rows, columns = (np.clip(after[:, i].round().astype(int), 0, later.clear.shape[1 - i] - 1) for i in (1, 0))
        known = later.clear[rows, columns] > 0
        return before[known], after[known], len(points) - int((~known).sum())

    def flow(self, later: Look) -> tuple[Floats, Floats, float] | None:
        """Dense flow to another frame, at every eighth clear pixel.

        Returns:
            float32 [n, 2] twice, as :meth:`follow` has them, and the grey levels by which a typical pixel differs from
            where the flow ends; None where too little is clear.
        """
        grey = self._in_own_light(later)
        flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST).calc(self._grey, grey, NO_GUESS)
        height, width = self._grey.shape
        y, x = np.mgrid[4:height:8, 4:width:8]
        ends = np.stack((x, y), 2) + flow[y, x]
        columns, rows = (np.clip(ends[..., i].round().astype(int), 0, n - 1) for i, n in ((0, width), (1, height)))
        clear, clear_later = (_shrunk(look.clear, self._scale, cv2.INTER_NEAREST) for look in (self, later))
        both = (clear[y, x] & clear_later[rows, columns]) > 0
        if both.sum() < FEWEST_IN_FLOW:
            return None
        misfit = np.median(np.abs(self._grey[y, x].astype(int) - grey[rows, columns])[both])
        before, after = ((p[both] + 0.5) / self._scale - 0.5 for p in (np.stack((x, y), 2), ends))
        return before.astype(np.float32), after.astype(np.float32), float(misfit)

    def _in_own_light(self, later: Look) -> Pixels:
        """The grey of a later frame as bright as this one: the tracker takes brightness for motion."""
        both = _shrunk(self.clear & later.clear, self._scale, cv2.INTER_NEAREST)
        (mean, deviation), (mean_later, deviation_later) = (
            np.ravel(cv2.meanStdDev(grey, mask=both)).tolist() for grey in (self._grey, later._grey)
        )
        gain = float(np.clip(deviation / max(deviation_later, 1.0), 0.5, 2.0))
        if abs(mean_later - mean) < ALIKE_LIGHT and abs(gain - 1) < ALIKE_GAIN:
            return later._grey
        return np.asarray(cv2.convertScaleAbs(later._grey, alpha=gain, beta=mean - gain * mean_later), np.uint8)

    def resembles(self, later: Look) -> bool:
        """Whether two frames without corners show the same."""
        if self._grey.shape != later._grey.shape:
            return False
        both = _shrunk(self.clear & later.clear, self._scale, cv2.INTER_NEAREST)
        if not both.any():
            return False
        return cv2.mean(cv2.absdiff(self._grey, later._grey), mask=both)[0] < ALIKE


ALIKE_LIGHT, ALIKE_GAIN = 1.0, 0.02  # grey levels, and from 1: less does not disturb the tracker
FEWEST_IN_FLOW = 50
NO_GUESS: Any = None
ALIKE = 6.0  # grey levels of mean difference: noise, and less than a cut


def work_scale(shape: tuple[int, ...]) -> float:
    """By how much a frame of that shape is made smaller for points and flow."""
    return float(min(1.0, WORK_SIDE / max(shape[:2])))


def colours_of(image: Pixels) -> Pixels:
    """uint8 [H, W] or [H, W, 3], C-contiguous, without alpha."""
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[..., 0]
    return np.ascontiguousarray(image[..., :3] if image.ndim == 3 else image)


def small_grey(colours: Pixels, scale: float) -> Pixels:
    """The brightness of colours, at a scale."""
    grey = colours if colours.ndim == 2 else cv2.cvtColor(colours, cv2.COLOR_BGR2GRAY)
    return _shrunk(np.asarray(grey, np.uint8), scale, cv2.INTER_AREA)


def _shrunk(image: Pixels, scale: float, how: int) -> Pixels:
    if scale == 1:
        return image
    size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
    return np.asarray(cv2.resize(image, size, interpolation=how), np.uint8)


def _corners(grey: Pixels, where: Pixels, most: int) -> Floats:
    found = cv2.goodFeaturesToTrack(grey, most, POINT_QUALITY, POINT_DISTANCE, mask=where)
    return np.zeros((0, 1, 2), np.float32) if found is None else np.asarray(found, np.float32)
