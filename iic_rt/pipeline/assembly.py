"""What the regions of an image gave, put together to one result."""

from __future__ import annotations

import time
from itertools import zip_longest

import cv2
import numpy as np
from numpy.typing import NDArray

from iic_rt.errors import InpaintWarning
from iic_rt.pipeline.loop import State
from iic_rt.pipeline.regions import Region
from iic_rt.pipeline.runner import Filled
from iic_rt.result import Snapshot, Timings

__all__ = ["capture_warnings", "confidence", "history", "hole_left", "timings"]

Pixels = NDArray[np.uint8]


def confidence(hole: Pixels, states: list[tuple[Region, State]]) -> NDArray[np.float32]:
    """The confidence at the image's resolution, 1 outside the hole."""
    confidence = np.ones(hole.shape, np.float32)
    for region, state in states:
        box = region.box.slices
        inside = hole[box] > 0
        # Bilinear weights are a convex combination, so the confidence stays in [0, 1].
        large = cv2.resize(state.c, (region.side, region.side), interpolation=cv2.INTER_LINEAR)
        confidence[box][inside] = large[region.box_inside.slices][inside]
    return confidence


def hole_left(hole: Pixels, states: list[tuple[Region, State]]) -> Pixels:
    """What is left of the hole, at the image's resolution."""
    left = np.zeros(hole.shape, np.uint8)
    for region, state in states:
        box = region.box.slices
        large = cv2.resize(state.m, (region.side, region.side), interpolation=cv2.INTER_NEAREST)
        left[box] = (large[region.box_inside.slices] > 0) & (hole[box] > 0)
    return left


def history(before: Pixels, hole: Pixels, found: list[tuple[Region, Filled]]) -> tuple[Snapshot, ...]:
    """The whole image after each iteration; a region that ended early stays as it ended."""
    snapshots = []
    for t in range(max((f.iterations for _, f in found), default=0)):
        image, states = before.copy(), []
        for region, filled in found:
            pixels, state = filled.history[min(t, filled.iterations - 1)]
            part = pixels[region.box_inside.slices]
            inside = hole[region.box.slices] > 0
            image[region.box.slices][inside] = part.reshape(*inside.shape, *image.shape[2:])[inside]
            states.append((region, state))
        snapshots.append(Snapshot(image, confidence(hole, states), hole_left(hole, states)))
    return tuple(snapshots)


def capture_warnings(filled: list[Filled]) -> tuple[InpaintWarning, ...]:
    """One warning for the whole call, whatever its number of regions."""
    refusal = next((f.refusal for f in filled if f.refusal is not None), None)
    if refusal is None:
        return ()
    text = (
        f"the work on the GPU was not captured as a CUDA graph, and its parts are enqueued one by one: {refusal}. The "
        "image is the same, and every call takes longer; to mend it, update the driver and the engine library"
    )
    return (InpaintWarning("not captured", text),)


def timings(started: float, filled: list[Filled]) -> Timings:
    times = [f.times for f in filled]
    by_iteration = zip_longest(*(t.iterations for t in times), fillvalue=0.0)
    return Timings(
        total_ms=(time.perf_counter() - started) * 1e3,
        copy_in_ms=sum(t.copy_in for t in times),
        prepare_ms=sum(t.prepare for t in times),
        iterations_ms=tuple(sum(column) for column in by_iteration),
        upsample_ms=sum(t.upsample for t in times),
        composite_ms=sum(t.composite for t in times),
        copy_out_ms=sum(t.copy_out for t in times),
    )
