"""Things that move by themselves: what a frame shows of them is not what lies behind a hole."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from iic_rt.geometry import Box
from iic_rt.video.look import NO_GUESS, Look, small_grey, work_scale

__all__ = ["movers_far", "movers_near", "own_motion"]

Pixels = NDArray[np.uint8]
Floats = NDArray[np.floating[Any]]

OWN_MOTION = 1.5  # pixels a frame by which a thing moves against the background around a hole
FAR_MOTION = 3.0  # the same for what is not near a hole
LEAST_CHANGE = 2.5  # grey levels of a mean over 5 x 5 pixels: four times what the noise of a good sensor leaves of it
OWN_CHANGE = 30.0  # grey levels of change beside that of the light, for the same
SMALLEST_FLOW = 16  # pixels of a side; OpenCV refuses less


def own_motion(values: Floats, before: Floats, back: Floats) -> Floats:
    """How every pixel moved beside the motion of the frame.

    Args:
        values: float32 [H, W] or [H, W, 3], the frame without its hole.
        before: the same of the frame before.
        back: float64 [3, 3], takes places of this frame to the one before.

    Returns:
        float32 [h, w, 2] at the scale that flow is computed at, in pixels of the frame.
    """
    scale = work_scale(values.shape)
    now, was = (small_grey(np.asarray(cv2.convertScaleAbs(a), np.uint8), scale) for a in (values, before))
    to_frame = np.array([[1, 0, 0.5], [0, 1, 0.5], [0, 0, scale]]) / scale
    to_frame[:2, 2] -= 0.5
    matrix = np.linalg.inv(to_frame) @ back @ to_frame
    flags, border = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP, cv2.BORDER_TRANSPARENT
    was = np.asarray(cv2.warpPerspective(was, matrix, now.shape[::-1], dst=now.copy(), flags=flags, borderMode=border))
    if min(now.shape) < SMALLEST_FLOW:
        return np.zeros((*now.shape, 2), np.float32)
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST).calc(now, was, NO_GUESS)
    # Where nothing changed that can be seen, as in noise on an even wall, the flow means nothing.
    change = cv2.absdiff(*(cv2.boxFilter(grey, cv2.CV_32F, (5, 5)) for grey in (now, was)))
    seen = np.asarray(change >= LEAST_CHANGE, np.uint8)
    return np.asarray(cv2.copyTo(flow, seen) * np.float32(1 / scale), np.float32)


def movers_far(flow: Floats, clear: Pixels) -> Pixels:
    """What moves by itself anywhere in a frame, uint8 [H, W] in {0, 1}; ``clear`` are the pixels asked for."""
    found = _grown(_beyond(flow, FAR_MOTION))
    return clear & np.asarray(cv2.resize(found, clear.shape[::-1], interpolation=cv2.INTER_NEAREST), np.uint8)


def movers_near(
    flow: Floats, window: Box, back: Floats, own_back: Floats, before: Floats, look: Look, unknown: NDArray[np.bool_]
) -> Pixels:
    """What moves against the background, uint8 [h, w] in {0, 1}: it must not be taken for what lies behind a hole.

    Args:
        flow: float32 [h, w, 2], of the frame, smaller than it or not, beside its motion.
        window: that is asked for.
        back: float64 [3, 3], takes places of the frame to the one before.
        own_back: the same for the background in the window.
        before: float32 [h, w] or [h, w, 3], the window as it was, moved to where the background is now.
        look: the frame.
        unknown: bool [h, w], pixels that one of the frames does not show.
    """
    height, width = look.clear.shape
    scale = np.float32(flow.shape[1] / width), np.float32(flow.shape[0] / height)
    y, x = np.mgrid[window.top : window.bottom, window.left : window.right].astype(np.float32)
    column, row = (np.float32(0.5) * (s - 1) + p * s for p, s in zip((x, y), scale, strict=True))
    moved = cv2.remap(flow, column, row, cv2.INTER_LINEAR)
    places = np.stack((x, y), 2)
    came_from = cv2.perspectiveTransform((places + moved).reshape(1, -1, 2), back)
    expected = cv2.perspectiveTransform(places.reshape(1, -1, 2), own_back)
    apart = _beyond((came_from - expected).reshape(*x.shape, 2), OWN_MOTION)
    change = cv2.blur(before, (5, 5)) - cv2.blur(look.colours[window.slices], (5, 5))
    return _grown((apart | _beyond(change, OWN_CHANGE)) & ~unknown)


def _beyond(values: Floats, most: float) -> Pixels:
    """Where one of the channels is larger than ``most``, or smaller than ``-most``: uint8 [h, w] in {0, 1}."""
    channels = 1 if values.ndim == 2 else values.shape[2]
    inside = cv2.inRange(values, np.full(channels, -most), np.full(channels, most))
    return np.asarray(inside == 0, np.uint8)


def _grown(found: Pixels) -> Pixels:
    """Without single pixels, whole where only its edges show motion, and with its rim."""
    found = np.asarray(cv2.morphologyEx(found, cv2.MORPH_OPEN, np.ones((5, 5), np.uint8)), np.uint8)
    found = np.asarray(cv2.morphologyEx(found, cv2.MORPH_CLOSE, np.ones((21, 21), np.uint8)), np.uint8)
    return np.asarray(cv2.dilate(found, np.ones((9, 9), np.uint8)), np.uint8)
