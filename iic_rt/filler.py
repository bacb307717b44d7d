"""Fills one region: the loop, then guided upsampling, and both once more for what had no whole patch to copy."""

from __future__ import annotations

import time
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from iic_rt.backends.base import Backend, Mark, Program
from iic_rt.canvas import Canvas
from iic_rt.loop import Filled, Loop
from iic_rt.options import InpaintOptions
from iic_rt.regions import Region, crop
from iic_rt.upsampler import Upsampled, Upsampler

__all__ = ["LARGEST_LOOP", "FilledRegion", "Filler"]

MAX_PROGRAMS = 8  # captured programs that are kept
LARGEST_LOOP = 1024  # side in pixels up to which the loop runs at a region's own resolution, without upsampling

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class FilledRegion:
    """A region's first pass, its upsampled pixels uint8 [S, S, 3] or None, and what the rest took."""

    region: Region
    first: Filled
    detail: Pixels | None
    upsample_ms: float
    copy_out_ms: float = 0.0


@dataclass(frozen=True)
class _Work:
    """A crop and what is asked for it; all masks are uint8 [S, S] in {0, 1}."""

    image: Pixels  # [S, S, 3]
    unknown: Pixels
    barred: Pixels | None
    hole: Pixels  # this region's own
    options: InpaintOptions
    deadline: float | None

    @property
    def closed(self) -> Pixels:
        """What must not be copied."""
        return self.unknown if self.barred is None else self.unknown | self.barred


class _Pass(NamedTuple):
    first: Filled
    made: Upsampled | None
    upsample_ms: float
    copy_out_ms: float


class Filler:
    """Owns the loops and the upsampler of one backend; close the backend after its last use."""

    def __init__(self, backend: Backend, *, working_size: int) -> None:
        self._backend, self._size = backend, working_size
        self._loop = Loop(backend, working_size=working_size)
        self._upsampler = Upsampler(backend, self._loop)
        self._full: Loop | None = None  # at a region's own resolution
        # Whole passes over a crop of one side, the oldest first; each goes with the buffers it was captured on.
        self._captured: dict[tuple[int, int, int, bool, bool], Program] = {}

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
        barred = None if canvas.barred is None else crop(canvas.barred, region)
        work = _Work(image, unknown, barred, own_hole(hole, region), options, deadline)
        loop = self._loop if options.upsample else self._loop_for(region.side)
        # What runs ahead of the host gets all its work at once, where nobody has to look at it in between.
        at_once = not self._backend.synchronous and deadline is None and not options.keep_iterations
        at_once = at_once and (not options.upsample or self._upsampler.plan(region.side).whole)
        run = self._at_once if at_once else self._stepwise
        first, made, upsample_ms, copy_out_ms = run(work, loop)
        detail = None
        if made is not None:
            started = time.perf_counter()
            detail = self._finish(made, work)
            upsample_ms += (time.perf_counter() - started) * 1e3
        canvas.paste(region, first.states[-1], detail)
        return FilledRegion(region, first, detail, upsample_ms, copy_out_ms)

    def _stepwise(self, work: _Work, loop: Loop) -> _Pass:
        """Graph by graph, with a look at the hole and at the clock after every iteration."""
        options = work.options
        first = loop.fill(
            work.image,
            work.unknown,
            iterations=options.iterations,
            deadline=work.deadline,
            keep=options.keep_iterations,
        )
        if not options.upsample:
            return _Pass(first, None, 0.0, 0.0)
        started = time.perf_counter()
        made = self._upsampler.upsample(work.image, work.unknown, work.hole, work.closed, result=first.result)
        return _Pass(first, made, (time.perf_counter() - started) * 1e3, 0.0)

    def _at_once(self, work: _Work, loop: Loop) -> _Pass:
        """Every copy and graph of the pass as one captured program, and one wait at its end."""
        side, iterations, upsample = work.image.shape[0], work.options.iterations, work.options.upsample
        crop_, plan = loop.crop(side), self._upsampler.plan(side) if upsample else None
        crop_.stage(work.image, work.unknown)
        if plan is not None:
            plan.stage(work.hole, work.closed)
        key = loop.working_size, side, iterations, upsample, plan is not None and plan.partial
        program = self._captured.pop(key, None)
        if program is None:
            while len(self._captured) >= MAX_PROGRAMS:
                del self._captured[next(iter(self._captured))]
            # The program must not hold the plan: when that goes, so do its memory and this.
            program = self._backend.capture(lambda: self._enqueue(loop, side, iterations, upsample))
            weakref.finalize(crop_ if plan is None else plan, self._captured.pop, key, None).atexit = False
        self._captured[key] = program
        marks = program.enqueue()
        self._backend.wait()
        first = loop.filled([loop.state(iterations)], iterations, marks[:-2])
        made = None if plan is None else plan.collect(work.hole)
        upsample_ms = 0.0 if plan is None else marks[-2].ms_since(marks[-3])
        return _Pass(first, made, upsample_ms, marks[-1].ms_since(marks[-2]))

    def _enqueue(self, loop: Loop, side: int, iterations: int, upsample: bool) -> Sequence[Mark]:
        plan = self._upsampler.plan(side) if upsample else None
        marks = loop.enqueue(side, iterations)
        if plan is not None:
            self._upsampler.enqueue(plan, iterations % 2)
        marks.append(self._backend.mark())
        loop.download(iterations)
        if plan is not None:
            plan.download()
        marks.append(self._backend.mark())
        return marks

    def _finish(self, made: Upsampled, work: _Work) -> Pixels | None:
        """The pixels of the hole, or None where the loop's own are to be enlarged."""
        if not made.found:
            return None
        if not made.missing.any() or (made.missing == work.hole).all():
            return made.image
        # Sec. 3.3: what only partly known patches could give is a hole again, and the loop runs once more.
        now = np.where((work.hole > made.missing)[..., None], made.image, work.image)
        left = np.asarray((work.unknown > work.hole) | (made.missing > 0), np.uint8)
        again = self._loop.fill(now, left, iterations=work.options.iterations, deadline=work.deadline)
        closed = left if work.barred is None else left | work.barred
        second = self._upsampler.upsample(now, left, made.missing, closed, result=again.result)
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
