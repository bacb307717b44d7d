"""Fills one region: the loop, then guided upsampling, and both once more for what had no whole patch to copy."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from iic_rt.backends.base import Backend
from iic_rt.bundle import Bundle
from iic_rt.canvas import Canvas
from iic_rt.loop import Filled, Loop
from iic_rt.options import InpaintOptions
from iic_rt.regions import Region, crop
from iic_rt.upsampler import Upsampler

__all__ = ["LARGEST_LOOP", "FilledRegion", "Filler"]

LARGEST_LOOP = 1024  # side in pixels up to which the loop runs at a region's own resolution, without upsampling

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class FilledRegion:
    """A region's first pass, its upsampled pixels uint8 [S, S, 3] or None, and what the rest took."""

    region: Region
    first: Filled
    detail: Pixels | None
    upsample_ms: float


class Filler:
    """Owns the loops and the upsampler of one backend; close the backend after its last use."""

    def __init__(self, backend: Backend, bundle: Bundle, *, working_size: int) -> None:
        self._backend, self._size = backend, working_size
        self._loop = Loop(backend, working_size=working_size)
        descriptor = next(t.shape[-1] for t in bundle.graphs["similarity"].outputs if t.name == "q")
        self._upsampler = Upsampler(
            backend, results=self._loop.results, hole=self._loop.hole, descriptor=int(descriptor)
        )
        self._full: Loop | None = None  # at a region's own resolution

    def fill(
        self, canvas: Canvas, region: Region, options: InpaintOptions, *, deadline: float | None = None
    ) -> FilledRegion:
        """Fills the holes in the region's box on the canvas.

        Args:
            canvas: the picture; written to in the box only.
            region: where.
            options: of the call.
            deadline: ``time.perf_counter()`` value after which no further iteration is started.
        """
        image, hole = crop(canvas.image, region), crop(canvas.open_hole, region)
        unknown = hole if canvas.hidden is None else hole | crop(canvas.hidden, region)
        upsample = options.upsample and region.side > self._size
        loop = self._loop if options.upsample else self._loop_for(region.side)
        first = loop.fill(
            image, unknown, iterations=options.iterations, deadline=deadline, keep=options.keep_iterations
        )
        detail, upsample_ms = None, 0.0
        if upsample:
            started = time.perf_counter()
            barred = None if canvas.barred is None else crop(canvas.barred, region)
            detail = self._upsample(image, unknown, barred, own_hole(hole, region), first.result, options, deadline)
            upsample_ms = (time.perf_counter() - started) * 1e3
        canvas.paste(region, first.states[-1], detail)
        return FilledRegion(region, first, detail, upsample_ms)

    def _upsample(
        self,
        image: Pixels,
        unknown: Pixels,
        barred: Pixels | None,
        hole: Pixels,
        result: int,
        options: InpaintOptions,
        deadline: float | None,
    ) -> Pixels | None:
        made = self._upsampler.upsample(image, unknown, hole, result=result, barred=barred)
        if not made.found:
            return None
        if not made.missing.any() or (made.missing == hole).all():
            return made.image
        # Sec. 3.3: what only partly known patches could give is a hole again, and the loop runs once more.
        now = np.where((hole > made.missing)[..., None], made.image, image)
        left = np.asarray((unknown > hole) | (made.missing > 0), np.uint8)
        again = self._loop.fill(now, left, iterations=options.iterations, deadline=deadline)
        second = self._upsampler.upsample(now, left, made.missing, result=again.result, barred=barred)
        return np.where(made.missing[..., None] > 0, second.image, now)

    def _loop_for(self, side: int) -> Loop:
        size = side
        while size > LARGEST_LOOP:
            size //= 2
        if size == self._size:
            return self._loop
        if self._full is None or self._full.working_size != size:
            self._full = None  # give the memory back before the next loop takes its own
            self._full = Loop(self._backend, working_size=size)
        return self._full


def own_hole(hole: Pixels, region: Region) -> Pixels:
    """The crop's hole pixels that belong to this region and not to a neighbour's box."""
    own = np.zeros_like(hole)
    box = region.box.moved(-region.top, -region.left).slices
    own[box] = hole[box]
    return own
