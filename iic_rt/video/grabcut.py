"""A mask from a box that is drawn around an object, by graph cuts over its colours."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from iic_rt.errors import InputError
from iic_rt.video.mask_source import Mask, colour_frame
from iic_rt.video.shapes import check_boxes

__all__ = ["grabcut_mask"]

ROUNDS = 5
NO_BOX = (0, 0, 0, 0)  # the start is a mask
WORK_PIXELS = 120_000  # a larger window is cut at a smaller scale: the time goes with the pixels
SURROUNDINGS = 0.4  # of the box's sides: how much of what lies around it the colours of the background come from
LEAST_FOUND = 0.02  # share of the box; a cut that leaves less has found nothing


def grabcut_mask(frame: Any, box: Sequence[float]) -> Mask:
    """Cuts an object out of a box (Rother et al., "GrabCut", SIGGRAPH 2004; OpenCV's implementation).

    Args:
        frame: uint8 [H, W] or [H, W, C], channels in any order.
        box: x1, y1, x2, y2 in pixels, around the whole object.

    Returns:
        uint8 [H, W] in {0, 255}. The whole box where the object's colours cannot be told from those around it.

    Raises:
        InputError: not a frame, or the box is empty or lies outside it.
    """
    image = colour_frame(frame)
    height, width = image.shape[:2]
    corners = check_boxes([list(box)], "box")
    if len(corners) != 1:
        raise InputError("the box is empty; give [x1, y1, x2, y2]")
    left, top = np.floor(corners[0, :2]).astype(int).clip(0, (width, height))
    right, bottom = np.ceil(corners[0, 2:]).astype(int).clip(0, (width, height))
    if right <= left or bottom <= top:
        raise InputError(
            f"the box {corners[0].tolist()} holds no pixel of the frame, which is {width}x{height} (width x height)"
        )
    mask = np.zeros((height, width), np.uint8)
    mask[top:bottom, left:right] = 255
    across, down = int(SURROUNDINGS * (right - left)) + 2, int(SURROUNDINGS * (bottom - top)) + 2
    window = (
        slice(max(0, top - down), min(height, bottom + down)),
        slice(max(0, left - across), min(width, right + across)),
    )
    part, inside = image[window], mask[window]
    scale = min(1.0, (WORK_PIXELS / inside.size) ** 0.5)
    size = max(1, round(inside.shape[1] * scale)), max(1, round(inside.shape[0] * scale))
    small = cv2.resize(part, size, interpolation=cv2.INTER_AREA)
    known = cv2.resize(inside, size, interpolation=cv2.INTER_NEAREST)
    state = np.where(known > 0, np.uint8(cv2.GC_PR_FGD), np.uint8(cv2.GC_BGD))
    if not (state == cv2.GC_BGD).any() or not (state == cv2.GC_PR_FGD).any():
        return mask  # a box of the whole frame leaves no background to learn
    cv2.setRNGSeed(0)  # it starts from clusters that are drawn at random
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(small, state, NO_BOX, *models, ROUNDS, cv2.GC_INIT_WITH_MASK)
    cut = ((state == cv2.GC_FGD) | (state == cv2.GC_PR_FGD)).astype(np.float32)
    if cut.sum() < LEAST_FOUND * (known > 0).sum():
        return mask
    found = cv2.resize(cut, inside.shape[::-1], interpolation=cv2.INTER_LINEAR) >= 0.5
    mask[window] = np.where(found, inside, np.uint8(0))
    return mask
