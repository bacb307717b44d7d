"""The scene without what was removed, as far as it is known: carried from frame to frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from iic_rt.components import Component
from iic_rt.geometry import Box
from iic_rt.video.camera import Motion, motion_between
from iic_rt.video.exposure import Exposure, fit_exposure
from iic_rt.video.look import Look
from iic_rt.video.movers import movers_far, movers_near, own_motion

__all__ = ["Plate"]

Pixels = NDArray[np.uint8]
Floats = NDArray[np.floating[Any]]

NOTHING, FILLED, NEAR, CLEAR = range(4)  # invented; seen close to a hole; seen

CUBIC_SIDE = 5  # pixels around the nearest that cubic interpolation may take in
MEAN_OVER = 8  # frames that noise is averaged over, before a camera that stands still
ODD = 25.0  # grey levels: a pixel that changes by more shows something else, which has to stay to be believed
ODD_RATE = 1 / 50  # how fast
RING = 32  # pixels around a hole in which light and fit are compared
CHANGED_LIGHT = 0.5  # grey levels; less is left as it is, since measuring it would add flicker
RENEWED_AFTER = 250  # frames, so that slow changes do not add up until nothing is found again

# Trust: 1 is seen and still there; below LEAST_TRUST a pixel is filled again.
LEAST_TRUST = 0.3
NEAR_TRUST, FILLED_TRUST = 0.8, 0.6
MOVED_FADE, LOOSE_FADE, LIGHT_FADE = 0.99, 0.85, 0.995  # a frame: errors of the motion, and of the light, add up
MOST_AVOIDED = 0.5  # share of what is clear: if all goes its own way, there is nothing else to fill from
MISFIT_ALLOWED, MISFIT_SCALE = 8.0, 30.0  # grey levels around the hole: textures that move by themselves


class Plate:
    """What is known of the scene, in the place and in the light of the newest frame.

    No pixel of it was ever under the mask of its own frame: it holds what was seen and what was filled in.

    Attributes:
        cuts: how often all was forgotten because a frame showed something else.
        still: whether the camera stood still at the newest frame.
    """

    def __init__(self) -> None:
        self.cuts = 0
        self.still = False
        self._anchor: Look | None = None  # the frame that motion and light are measured from
        self._age = 0  # frames since the anchor
        self._averaged = 0  # frames in the mean of what is seen
        self._values: Floats = np.zeros((0, 0), np.float32)  # [H, W] or [H, W, 3]
        self._kind: Pixels = np.zeros((0, 0), np.uint8)
        self._trust: Floats = np.zeros((0, 0), np.float32)
        self._movers: Pixels = np.zeros((0, 0), np.uint8)  # what goes its own way near a hole, uint8 [H, W] in {0, 1}
        self._is_blind = True  # what moves is not known from one frame

    def meet(self, look: Look, later: Sequence[Look] = ()) -> None:
        """Goes on to the next frame, and takes what it shows.

        Args:
            look: the frame.
            later: frames after it, in their order, which may show what is hidden now.
        """
        motion = None
        if self._anchor is not None and self._anchor.colours.shape == look.colours.shape:
            motion = motion_between(self._anchor, look)
        if motion is None:
            self.cuts += self._anchor is not None
            self._begin(look)
        elif motion.still:
            self._stay(look)
        else:
            self._move(look, motion)
        self._look_ahead(look, later)
        if self._age == 0:
            self._anchor = look.without_hole(self._values)

    def movers(self, look: Look) -> Pixels | None:
        """What goes its own way near the hole and should not be continued into it: uint8 [H, W]; None for nothing."""
        near = self._movers & look.clear
        return near if 0 < np.count_nonzero(near) < MOST_AVOIDED * np.count_nonzero(look.clear) else None

    def left(self, look: Look) -> Pixels:
        """Of the hole, what has to be filled: uint8 [H, W] in {0, 1}."""
        assert look.hole is not None
        return look.hole & (self._trust < LEAST_TRUST)

    def trust(self, look: Look) -> Floats:
        """float32 [H, W] in [0, 1]; 1 outside the hole."""
        assert look.hole is not None
        return np.where(look.hole > 0, self._trust, np.float32(1))

    def put_into(self, look: Look, image: Pixels, *, grain: bool = True) -> None:
        """Writes what is known of the hole into an image of the frame's shape.

        Args:
            grain: with the noise of the frame's surroundings, so that it is no dead patch in a picture that is alive.
        """
        assert look.hole is not None
        target = _colours(image)
        for part in look.parts:
            slices = part.box.slices
            hidden = (look.hole[slices] > 0) & (part.mask > 0) & (self._kind[slices] > NOTHING)
            values = self._values[slices]
            if grain and self.still and self._averaged >= MEAN_OVER // 2:
                noise = self._noise(look, part)
                values = values if noise is None else values + noise
            target[slices][hidden] = values[hidden].round().clip(0, 255)

    def keep(self, look: Look, image: Pixels, left: Pixels, confidence: Floats | None) -> None:
        """Takes over what was filled.

        Args:
            look: the frame.
            image: the filled image.
            left: uint8 [H, W] in {0, 1}, what of it was filled.
            confidence: float32 [H, W] in [0, 1], of the filled pixels; None: not known.
        """
        new = left > 0
        fresh = _colours(image)[new].astype(np.float32)
        trust = FILLED_TRUST if confidence is None else 0.4 + 0.5 * confidence[new]
        old = self._trust[new] * (self._kind[new] > NOTHING)  # of pixels that are not trusted any more, a part stays
        share = old / (old + trust)
        self._values[new] += (fresh - self._values[new]) * (1 - share if fresh.ndim == 1 else (1 - share)[:, None])
        self._kind[new] = FILLED
        self._trust[new] = trust
        if self._age == 0:
            self._anchor = look.without_hole(self._values)

    def _begin(self, look: Look) -> None:
        self.still = False
        self._values = look.colours.astype(np.float32)
        self._kind = np.where(look.clear > 0, np.uint8(CLEAR), np.uint8(NEAR))
        self._trust = np.where(look.clear > 0, np.float32(1), np.float32(NEAR_TRUST))
        for mask in (look.hole, look.avoided):
            if mask is not None:
                hidden = mask > 0
                self._values[hidden], self._kind[hidden], self._trust[hidden] = 0, NOTHING, 0
        self._movers = np.zeros_like(self._kind)
        self._is_blind = True
        self._age = 0
        self._averaged = 1

    def _stay(self, look: Look) -> None:
        assert self._anchor is not None
        self.still, self._is_blind = True, False
        self._movers = np.zeros_like(self._kind)
        changed = False
        for part in look.parts:
            fit = self._fit(self._anchor.colours, self._anchor.clear, look, part.box)
            if fit is not None and fit.change > CHANGED_LIGHT:
                self._relight(part, fit)
                changed = True
            self._doubt(part, fit)
        self._age = 0 if changed or self._age >= RENEWED_AFTER else self._age + 1
        if changed:
            self._averaged = 0  # the mean was of another light
        self._averaged += 1
        self._refresh(look)

    def _refresh(self, look: Look) -> None:
        """Takes what a frame from the same place shows, into the mean."""
        seen = look.clear
        known = np.asarray(self._kind == CLEAR, np.uint8) * np.uint8(255)
        rate = 1 / min(self._averaged, MEAN_OVER)
        if rate == 1:
            cv2.copyTo(look.colours.astype(np.float32), seen, self._values)
        else:
            change = cv2.absdiff(cv2.convertScaleAbs(self._values), look.colours)
            if change.ndim == 3:
                change = cv2.transform(change, np.full((1, 3), 0.6))
            odd = np.asarray(cv2.threshold(change, ODD, 255, cv2.THRESH_BINARY)[1], np.uint8)
            cv2.accumulateWeighted(look.colours, self._values, rate, mask=~odd & known & (seen * np.uint8(255)))
            slow = odd & known & (seen * np.uint8(255))
            cv2.accumulateWeighted(look.colours, self._values, ODD_RATE, mask=slow)
            first = seen & (known == 0)
            self._values[first > 0] = look.colours[first > 0]
        cv2.copyTo(np.full_like(self._kind, CLEAR), seen, self._kind)
        cv2.copyTo(np.ones_like(self._trust), seen, self._trust)
        self._take_near(look)

    def _take_near(self, look: Look) -> None:
        """Pixels close to a hole that were not seen better: what the frame shows of them."""
        if look.zone is None or look.hole is None:
            return
        for part in look.parts:
            slices = part.box.slices
            near = (
                (look.zone[slices] > look.hole[slices])
                & (self._movers[slices] == 0)
                & ((self._kind[slices] < CLEAR) | self._faint(slices))
            )
            if look.avoided is not None:
                near &= look.avoided[slices] == 0
            self._values[slices][near] = look.colours[slices][near]
            self._kind[slices][near] = NEAR
            self._trust[slices][near] = NEAR_TRUST

    def _faint(self, slices: tuple[slice, slice]) -> NDArray[np.bool_]:
        return np.asarray(self._trust[slices] < LEAST_TRUST)

    def _move(self, look: Look, motion: Motion) -> None:
        """Carries what is hidden to where it is now; all else is as the frame shows it."""
        self.still = False
        _spread(self._values, self._kind > NOTHING)
        old = self._values, self._kind, self._trust
        self._values = look.colours.astype(np.float32)
        self._kind = look.clear * np.uint8(CLEAR)
        self._trust = look.clear.astype(np.float32)
        self._movers = np.zeros_like(self._kind)
        fade = LOOSE_FADE if motion.loose else MOVED_FADE
        carried = []
        for part in look.parts:
            back = np.linalg.inv(motion.around(part.box))
            window = part.box.grown(RING, *look.clear.shape)
            values = _warp(old[0], back, window, cv2.INTER_CUBIC)
            kind = _warp(old[1], back, window, cv2.INTER_NEAREST)
            trust = _warp(old[2], back, window, cv2.INTER_NEAREST) * np.float32(fade)
            fit = _fit_in(values, (kind >= NEAR) & (look.clear[window.slices] > 0), look.colours[window.slices])
            if fit is not None:
                values = fit.apply(values)
            values[kind == NOTHING], trust[kind == NOTHING] = 0, 0
            own = np.zeros(kind.shape, np.bool_)
            own[part.box.moved(-window.top, -window.left).slices] = part.mask > 0
            carried.append((window, own, back, values, kind, trust))
            self._put(window, own, values, kind, trust)
            self._doubt(part, fit)
        if carried:
            back = np.linalg.inv(motion.matrix)
            flow = own_motion(self._values, old[0], back)
            # Far from a hole, where near and far things move differently as well. It may come to lie behind the hole.
            away = movers_far(flow, look.clear)
            self._kind[away > 0], self._trust[away > 0] = NOTHING, 0
            self._movers |= away
            for window, own, own_back, values, kind, trust in carried:
                movers = movers_near(flow, window, back, own_back, values, look, own | (kind == NOTHING))
                movers &= look.clear[window.slices]
                if not movers.any():
                    continue
                self._movers[window.slices] |= movers
                self._put(window, movers > 0, values, kind, trust)
                if self._is_blind:  # what was filled before one could tell what moves
                    blind = own & (kind == FILLED)
                    kind[blind], trust[blind] = NOTHING, 0
                    self._put(window, blind, values, kind, trust)
        self._is_blind = False
        self._take_near(look)
        self._age = 0
        self._averaged = 1

    def _put(self, window: Box, where: NDArray[np.bool_], values: Floats, kind: Pixels, trust: Floats) -> None:
        """Takes over the chosen pixels of a window."""
        for mine, given in ((self._values, values), (self._kind, kind), (self._trust, trust)):
            mine[window.slices][where] = given[where]

    def _look_ahead(self, look: Look, later: Sequence[Look]) -> None:
        """Takes what later frames show of what was never seen until now."""
        if look.hole is None or not later:
            return
        wanted = look.hole & (self._kind < NEAR)
        if not wanted.any():
            return
        # The others were looked at when they came, by the frames before this one.
        asked = later if (wanted & (self._kind == NOTHING)).any() else later[-1:]
        for other in asked:
            if other.colours.shape != look.colours.shape:
                return
            if self.still and not (wanted & other.clear).any():
                continue  # before a camera that stands still it hides the same
            motion = motion_between(look, other)
            if motion is None:
                return
            for part in look.parts:
                if wanted[part.box.slices].any():
                    self._take_later(look, other, part, motion, wanted)
            if not wanted.any():
                return

    def _take_later(self, look: Look, other: Look, part: Component, motion: Motion, wanted: Pixels) -> None:
        window = part.box.grown(RING, *look.clear.shape)
        ahead = motion.around(part.box)
        values = _warp(other.colours.astype(np.float32), ahead, window, cv2.INTER_CUBIC)
        clear = _warp(other.clear, ahead, window, cv2.INTER_NEAREST)
        fit = _fit_in(values, clear & look.clear[window.slices], look.colours[window.slices])
        if fit is None or fit.misfit > MISFIT_ALLOWED + MISFIT_SCALE / 2:
            return
        inside, slices = part.box.moved(-window.top, -window.left).slices, part.box.slices
        taken = (wanted[slices] > 0) & (clear[inside] > 0)
        self._values[slices][taken] = fit.apply(values[inside][taken])
        self._kind[slices][taken] = CLEAR
        self._trust[slices][taken] = 1.0
        wanted[slices][taken] = 0

    def _fit(self, before: Pixels, clear: Pixels, look: Look, box: Box) -> Exposure | None:
        window = box.grown(RING, *look.clear.shape).slices
        return _fit_in(before[window], clear[window] & look.clear[window], look.colours[window])

    def _relight(self, part: Component, fit: Exposure) -> None:
        """What is hidden, in the light of the frame."""
        own, slices = part.mask > 0, part.box.slices
        self._values[slices][own] = fit.apply(self._values[slices][own])
        self._trust[slices][own] *= LIGHT_FADE

    def _doubt(self, part: Component, fit: Exposure | None) -> None:
        """Trust falls where the surroundings are not what they were."""
        if fit is not None and fit.misfit > MISFIT_ALLOWED:
            own = part.mask > 0
            self._trust[part.box.slices][own] *= max(0.0, 1 - (fit.misfit - MISFIT_ALLOWED) / MISFIT_SCALE)

    def _noise(self, look: Look, part: Component) -> Floats | None:
        """How a frame differs from the mean of what was seen, at a place beside a part of the hole: float32 like it."""
        box = part.box
        rows, columns = box.bottom - box.top, box.right - box.left
        for down, right in ((0, columns), (0, -columns), (rows, 0), (-rows, 0)):
            there = box.moved(down, right)
            if there != there.inside(*look.clear.shape) or not look.clear[there.slices].all():
                continue
            noise = look.colours[there.slices] - self._values[there.slices]
            typical = 1.4826 * float(np.median(np.abs(noise)))
            return np.clip(noise, -3 * typical, 3 * typical)
        return None


def _colours(image: Pixels) -> Pixels:
    """The colours of an image, without alpha: a view [H, W] or [H, W, 3]."""
    if image.ndim == 2:
        return image
    return image[..., 0] if image.shape[2] == 1 else image[..., :3]


def _warp(array: NDArray[Any], matrix: Floats, window: Box, how: int) -> NDArray[Any]:
    """A window of an array that is moved by a matrix, which takes its places to those in the array."""
    shift = np.array([[1, 0, window.left], [0, 1, window.top], [0, 0, 1]], np.float64)
    border = cv2.BORDER_CONSTANT if how == cv2.INTER_NEAREST else cv2.BORDER_REPLICATE
    return np.asarray(
        cv2.warpPerspective(
            array,
            matrix @ shift,
            (window.right - window.left, window.bottom - window.top),
            flags=how | cv2.WARP_INVERSE_MAP,
            borderMode=border,
        )
    )


def _spread(values: Floats, known: NDArray[np.bool_]) -> None:
    """Gives unknown pixels beside known ones the mean of these, in place: cubic interpolation takes them in."""
    left, top, width, height = cv2.boundingRect(np.asarray(~known, np.uint8))
    if not width:
        return
    window = Box(top, left, top + height, left + width).grown(CUBIC_SIDE, *known.shape).slices
    here, given = known[window], values[window]
    count = cv2.boxFilter(here.astype(np.float32), -1, (CUBIC_SIDE, CUBIC_SIDE), normalize=False)
    total = cv2.boxFilter((given.T * here.T).T, -1, (CUBIC_SIDE, CUBIC_SIDE), normalize=False)
    beside = ~here & (count > 0.5)
    given[beside] = (total[beside].T / count[beside]).T


def _fit_in(before: NDArray[Any], both: NDArray[Any], after: Pixels) -> Exposure | None:
    """From the pixels that both show: bool or uint8 [h, w]."""
    chosen = np.flatnonzero(both)
    return fit_exposure(*(np.reshape(a, (both.size, -1))[chosen] for a in (before, after)))
