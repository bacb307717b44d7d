"""A mask of the first frame, carried along by optical flow and by the object's colours."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from iic_rt.errors import InpaintWarning, InputError, TrackLost
from iic_rt.geometry import Box, bounding_box
from iic_rt.video.grabcut import grabcut_mask
from iic_rt.video.mask_source import BaseSource, Mask, as_mask, colour_frame

__all__ = ["TrackMasks", "WhenLost"]

WhenLost = Literal["stop", "hold", "everything"]
Floats = NDArray[np.floating[Any]]

WORK_SIDE = 854  # pixels of the longer side that the flow is computed at
CUT_PIXELS = 60_000  # of the window in which the edge is cut anew; a larger window is cut at a smaller scale
BAND_SHARE, BAND_LEAST = 0.05, 2.0  # width of the band around the edge: share of the square root of the area, pixels
SMALLEST_PART = 0.02  # of the largest part's area: crumbs that a cut leaves
FLOW_SHARE, FLOW_LEAST = 0.01, 0.5  # how far forward and backward flow may differ (Sundaram et al., ECCV 2010)
BINS = 8  # of each channel in the histograms
# How much trust falls with the share of foreign colours; so did the overlap with true masks, measured on DAVIS.
COLOUR_WEIGHT = 4.0
NO_BOX = (0, 0, 0, 0)  # grabCut starts from masks here
MEMORY = 10  # frames over which an area must not collapse


class TrackMasks(BaseSource):
    """Carries a mask from frame to frame.

    The flow of the frame before says where the mask goes (DIS, both ways). In a band along its edge, a cut by colour
    then puts the edge where the object ends; the colours are those of the first frame, so errors do not add up.

    ``trust`` is the least of three: the share of the mask in which forward and backward flow agree, smoothed over a few
    frames; how far the colours inside the mask are the object's and not those that lay around it in the first frame;
    and what is left of the area of ten frames ago, from a half downwards.

    Args:
        first: mask of the first frame, bool or uint8 [H, W]; or a box x1, y1, x2, y2 around the object, which is cut
            out of the first frame (:func:`iic_rt.video.grabcut.grabcut_mask`).
        least_trust: below it the track is lost.
        when_lost: ``"stop"`` raises TrackLost. ``"hold"`` keeps the last mask where it is. ``"everything"`` masks whole
            frames, which cannot be filled and must be left out or blanked. The last two say ``"lost"`` in ``warnings``,
            and there is no way back: give a new mask.

    Raises:
        InputError: an option is out of range, or the mask marks nothing.
    """

    def __init__(
        self, first: NDArray[Any] | Sequence[float], *, least_trust: float = 0.4, when_lost: WhenLost = "stop"
    ) -> None:
        if when_lost not in get_args(WhenLost):
            raise InputError(f"when_lost is {when_lost!r}; allowed: {', '.join(get_args(WhenLost))}")
        if not 0 <= least_trust <= 1:
            raise InputError(f"least_trust is {least_trust}; allowed: 0 to 1")
        self._first: Mask | list[float]
        if isinstance(first, np.ndarray) and first.ndim > 1:
            self._first = as_mask(first, "the first mask")
            if not self._first.any():
                raise InputError("the first mask marks nothing; mark the object to carry along")
        else:
            self._first = list(first)
        self._least_trust, self._when_lost = least_trust, when_lost
        self._flow: Any = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        self._shape: tuple[int, ...] = ()
        self._lost = False
        self._mask: Mask = np.zeros((1, 1), np.uint8)  # at the scale of the work

    def mask(self, frame: Any, index: int, pts: float | None) -> Mask | None:
        image = colour_frame(frame)
        if not self._shape:
            return self._begin(image, index)
        if image.shape != self._shape:
            raise InputError(
                f"frame {index} is {image.shape[1]}x{image.shape[0]} and the first {self._shape[1]}x{self._shape[0]} "
                "pixels (width x height); a track needs frames of one size"
            )
        if not self._lost:
            self._carry(self._small(image))
            assert self.trust is not None
            self._lost = self.trust < self._least_trust or not self._mask.any()
        if not self._lost:
            self._last = self._whole(self._mask)
            return self._last
        assert self.trust is not None
        text = f"the track is lost at frame {index}: trust {self.trust:.2f}, least {self._least_trust:.2f}"
        if self._when_lost == "stop":
            raise TrackLost(f"{text}. Give a new mask from there on, or choose when_lost", index, self.trust)
        self.trust = 0.0
        self.warnings = self.warnings or (InpaintWarning("lost", f"{text}; {self._when_lost!r} from there on"),)
        return self._last if self._when_lost == "hold" else np.full(image.shape[:2], 255, np.uint8)

    def _begin(self, image: Mask, index: int) -> Mask:
        first = self._first if isinstance(self._first, np.ndarray) else grabcut_mask(image, self._first)
        if first.shape != image.shape[:2]:
            raise InputError(
                f"the first mask is {first.shape[1]}x{first.shape[0]} and frame {index} {image.shape[1]}x"
                f"{image.shape[0]} pixels (width x height); they must be equal"
            )
        self._shape = image.shape
        self._last = first
        small = self._small(image)
        self._mask = np.asarray(cv2.resize(first, small.shape[1::-1], interpolation=cv2.INTER_NEAREST), np.uint8)
        if not self._mask.any():
            raise InputError("the first mask is too small to be carried along; mark at least a few pixels")
        self._grey = _grey(small)
        self._areas = deque([cv2.countNonZero(self._mask)], MEMORY)
        self._smooth = 1.0
        self.trust = 1.0
        window = self._window(self._mask)
        self._own = _own_share(small[window], self._mask[window])
        self._own_at_first = _mean_own(self._own, small[window], self._mask[window])
        self._models = _learn(small[window], self._mask[window])
        return first

    def _carry(self, small: Mask) -> None:
        """The mask and its trust, one frame on."""
        grey = _grey(small)
        window = self._window(self._mask)
        before, after = np.ascontiguousarray(self._grey[window]), np.ascontiguousarray(grey[window])
        back, ahead = self._flow.calc(after, before, None), self._flow.calc(before, after, None)
        height, width = before.shape
        x = back[..., 0] + np.arange(width, dtype=np.float32)
        y = back[..., 1] + np.arange(height, dtype=np.float32)[:, None]
        moved = cv2.remap(self._mask[window], x, y, cv2.INTER_LINEAR) > 127
        ahead = np.asarray(cv2.remap(ahead, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32)
        agrees = _agrees(back, ahead)
        flow_trust = float(agrees[moved].mean()) if moved.any() else 0.0
        mask = np.zeros_like(self._mask)
        mask[window] = moved * np.uint8(255)
        if self._models is not None and moved.any():
            mask = self._snap(small, mask)
        self._grey, self._mask = grey, mask
        area = cv2.countNonZero(mask)
        left = min(1.0, 2 * area / self._areas[0])
        self._areas.append(area)
        if area == 0:
            self.trust = 0.0
            return
        window = self._window(mask)
        self._smooth += 0.3 * (flow_trust - self._smooth)  # one blurred frame is no loss
        own = _mean_own(self._own, small[window], mask[window]) / self._own_at_first
        colour_trust = 1 - COLOUR_WEIGHT * (1 - own)
        self.trust = max(0.0, min(1.0, self._smooth, colour_trust, left))

    def _snap(self, small: Mask, mask: Mask) -> Mask:
        """Cuts anew along the edge; what lies further inside or outside stays."""
        band = BAND_SHARE * cv2.countNonZero(mask) ** 0.5 + BAND_LEAST
        box = bounding_box(mask).grown(int(4 * band) + 1, *mask.shape)
        part, inside = small[box.slices], mask[box.slices]
        scale = min(1.0, (CUT_PIXELS / inside.size) ** 0.5)
        size = max(1, round(inside.shape[1] * scale)), max(1, round(inside.shape[0] * scale))
        shrunk = cv2.resize(inside, size, interpolation=cv2.INTER_NEAREST)
        state = np.where(shrunk > 0, np.uint8(cv2.GC_PR_FGD), np.uint8(cv2.GC_PR_BGD))
        band = max(1.0, band * scale)
        state[cv2.distanceTransform(shrunk, cv2.DIST_L2, cv2.DIST_MASK_3) > band] = cv2.GC_FGD
        state[cv2.distanceTransform(255 - shrunk, cv2.DIST_L2, cv2.DIST_MASK_3) > band] = cv2.GC_BGD
        if not (state & 1).any() or (state & 1).all():
            return mask
        image = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
        assert self._models is not None
        cv2.grabCut(image, state, NO_BOX, *self._models, 1, cv2.GC_EVAL_FREEZE_MODEL)
        cut = _without_crumbs((state & 1).astype(np.uint8)).astype(np.float32)
        snapped = np.zeros_like(mask)
        whole = cv2.resize(cut, inside.shape[::-1], interpolation=cv2.INTER_LINEAR) >= 0.5
        snapped[box.slices] = whole * np.uint8(255)
        return snapped

    @staticmethod
    def _window(mask: Mask) -> tuple[slice, slice]:
        """The mask with as much around it as it may move in a frame."""
        if not mask.any():
            return Box(0, 0, *mask.shape).slices
        box = bounding_box(mask)
        return box.grown(max(48, box.longest // 2), *mask.shape).slices

    @staticmethod
    def _small(image: Mask) -> Mask:
        scale = min(1.0, WORK_SIDE / max(image.shape[:2]))
        size = max(1, round(image.shape[1] * scale)), max(1, round(image.shape[0] * scale))
        return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)

    def _whole(self, mask: Mask) -> Mask | None:
        height, width = self._shape[:2]
        if mask.shape != (height, width):
            soft = cv2.resize(mask, (width, height), interpolation=cv2.INTER_LINEAR)
            mask = np.asarray(cv2.threshold(soft, 127, 255, cv2.THRESH_BINARY)[1], np.uint8)
        return mask.copy() if mask.any() else None


def _grey(image: Mask) -> Mask:
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), np.uint8)


def _agrees(back: Floats, ahead: Floats) -> NDArray[np.bool_]:
    """Whether going back and ahead again ends near the start; float32 [H, W, 2] each, in pixels."""
    error = ((back + ahead) ** 2).sum(2)
    return np.asarray(error < FLOW_SHARE * ((back**2).sum(2) + (ahead**2).sum(2)) + FLOW_LEAST)


def _histogram(image: Mask, mask: Mask) -> Floats:
    """Shares of the colours among the marked pixels, float64 [BINS, BINS, BINS]."""
    smooth = np.asarray(cv2.calcHist([image], [0, 1, 2], mask, [BINS] * 3, [0, 256] * 3), np.float64)
    for axis in range(3):  # a slight change of light moves colours into the next bin
        padded = np.pad(smooth, [(1, 1) if a == axis else (0, 0) for a in range(3)], mode="edge")
        low, high = (np.take(padded, range(start, start + BINS), axis) for start in (0, 2))
        smooth = 0.5 * smooth + 0.25 * (low + high)
    return smooth / max(float(smooth.sum()), 1e-9)


def _own_share(image: Mask, mask: Mask) -> Floats:
    """For every colour, how far it is the object's, 0 to 1, and not of what lies around it."""
    inside, around = _histogram(image, mask), _histogram(image, 255 - mask)
    return inside / (inside + around + 1e-6)


def _mean_own(own: Floats, image: Mask, mask: Mask) -> float:
    """The mean of that share over the marked pixels, of which there are some."""
    places = image[mask > 0] // (256 // BINS)
    return max(1e-6, float(own[places[:, 0], places[:, 1], places[:, 2]].mean()))


def _learn(image: Mask, mask: Mask) -> tuple[Floats, Floats] | None:
    """Colour models of background and object for grabCut; None where the window holds only one of them."""
    if (mask > 0).all():
        return None
    cv2.setRNGSeed(0)  # it starts from clusters that are drawn at random
    models = np.zeros((1, 65)), np.zeros((1, 65))
    state = (mask > 0).astype(np.uint8)  # GC_BGD is 0 and GC_FGD 1
    cv2.grabCut(np.ascontiguousarray(image), state, NO_BOX, *models, 1, cv2.GC_INIT_WITH_MASK)
    return models


def _without_crumbs(mask: Mask) -> Mask:
    """uint8 [H, W] in {0, 1} without parts that are tiny beside the largest."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    if count <= 2:
        return mask
    areas = stats[:, cv2.CC_STAT_AREA]
    kept = areas >= SMALLEST_PART * areas[1:].max()
    kept[0] = False
    return np.asarray(kept[labels], np.uint8)
