"""How steady a filling is from frame to frame."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import pairwise

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.video_clips import Clip

__all__ = ["Flows", "flows_of", "moved_change", "warp_error"]

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]
Flows = list[tuple[Floats, NDArray[np.bool_]]]

# Forward and backward flow may differ so far (Sundaram et al., ECCV 2010).
FLOW_SHARE, FLOW_LEAST = 0.01, 0.5


def flows_of(truth: Sequence[Pixels]) -> Flows:
    """From every frame to the next, DIS on the truth: float32 [H, W, 2], and bool [H, W] where it is no occlusion."""
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    found = []
    for a, b in pairwise([cv2.cvtColor(image, cv2.COLOR_BGR2GRAY) for image in truth]):
        ahead, back = dis.calc(a, b, None), dis.calc(b, a, None)
        returned = cv2.remap(back, ends(ahead), None, cv2.INTER_LINEAR)
        allowed = FLOW_SHARE * ((ahead**2).sum(2) + (returned**2).sum(2)) + FLOW_LEAST
        found.append((ahead, ((ahead + returned) ** 2).sum(2) < allowed))
    return found


def ends(flow: Floats) -> Floats:
    """Where the flow leads to, float32 [H, W, 2]."""
    y, x = np.mgrid[: flow.shape[0], : flow.shape[1]].astype(np.float32)
    return flow + np.stack((x, y), 2)


def warp_error(images: Sequence[Pixels], holes: Sequence[Pixels], flows: Flows) -> float:
    """Grey levels by which the filling differs from that of the next frame, followed by the flow of the truth."""
    errors = []
    for (a, b), (hole, next_hole), (flow, is_seen) in zip(pairwise(images), pairwise(holes), flows, strict=False):
        to = ends(flow)
        both = (hole > 0) & is_seen & (cv2.remap(next_hole, to, None, cv2.INTER_NEAREST) > 0)
        if both.any():
            there = cv2.remap(b.astype(np.float32), to, None, cv2.INTER_LINEAR)
            errors.append(np.abs(there - a)[both].mean())
    return float(np.mean(errors))


def moved_change(clip: Clip, fill: Callable[[Clip], Iterable[tuple[Pixels, float]]]) -> float:
    """Mean change in grey levels of the filling when the mask alone moves by a pixel, in either direction."""
    frame, mask = clip.truth[0], clip.masks[0]  # nothing sticks out of the mask
    right, down = (np.roll(mask, 1, axis) for axis in (1, 0))
    masks = [mask, right, mask, down]
    images = [image for image, _ in fill(replace(clip, frames=[frame] * 4, masks=masks))]
    inside = (mask & right & down) > 0
    return float(np.mean([np.abs(b.astype(float) - a)[inside].mean() for a, b in pairwise(images)]))
