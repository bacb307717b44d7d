"""One image through its regions: started, and finished when its last region is done."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from iic_rt.contract import Backend, Event
from iic_rt.errors import InpaintWarning
from iic_rt.geometry import Box
from iic_rt.masks import Masks, read_masks
from iic_rt.options import InpaintOptions
from iic_rt.pipeline import assembly
from iic_rt.pipeline.image import ResultImage, host_mask, open_image
from iic_rt.pipeline.regions import Region, crop_masks, find_regions
from iic_rt.pipeline.runner import Filled, RegionRunner
from iic_rt.pipeline.runners import Runners
from iic_rt.pipeline.specks import interpolate_specks
from iic_rt.result import InpaintResult

__all__ = ["Filling", "Ticket"]

Pixels = NDArray[np.uint8]


@dataclass(eq=False)
class Ticket:
    """An image on its way: :meth:`Inpainter.submit` gives it out, :meth:`Inpainter.collect` takes it back, once.

    Attributes:
        slot: whose buffers it has, 0 to 2.
    """

    slot: int
    _started: float
    _image: ResultImage
    _masks: Masks
    _work: Masks  # without the specks
    _options: InpaintOptions
    _warnings: tuple[InpaintWarning, ...]
    _before: Pixels | None
    _regions: list[Region]
    _filled: list[Filled] = field(default_factory=list)
    _running: tuple[RegionRunner, Event] | None = None  # of the last region, and what it is done at

    @property
    def is_done(self) -> bool:
        """Whether ``submit`` did all the work, so that ``collect`` has nothing to wait for."""
        return self._running is None


class Filling:
    """Fills images on one backend; on a GPU :meth:`start` returns before the last region is done.

    Args:
        backend: that computes.
        runners: of the backend.
        working_size: of the runners.
    """

    def __init__(self, backend: Backend, runners: Runners, *, working_size: int) -> None:
        self._backend, self._runners, self._size = backend, runners, working_size

    def start(
        self, slot: int, started: float, image: Any, given: tuple[Any, Any, Any], out: Any, options: InpaintOptions
    ) -> Ticket:
        """Starts on an image; see :meth:`iic_rt.Inpainter.submit`.

        Args:
            slot: whose buffers it takes, which no other image has meanwhile.
            started: ``time.perf_counter()`` value that the budget and the time count from.
            image, out, options: of the call.
            given: ``mask``, ``avoid`` and ``prefer`` of the call.
        """
        on_host = [host_mask(mask, self._backend) for mask in given]
        result = open_image(image, out, self._backend)
        masks, warnings = read_masks(*on_host, shape=result.shape, mask_hole=options.mask_hole, grow=options.grow)
        work = interpolate_specks(result, masks)
        before = result.read(Box(0, 0, *work.hole.shape)) if "history" in options.outputs else None
        regions = find_regions(work, working_size=self._size, context=options.context)
        ticket = Ticket(slot, started, result, masks, work, options, warnings, before, regions)
        left = work.hole.copy() if len(regions) > 1 else work.hole
        for i, region in enumerate(regions):
            deadline = None
            if options.budget_ms is not None:
                now = time.perf_counter()
                deadline = now + (started + options.budget_ms / 1e3 - now) / (len(regions) - i)
            self._begin(ticket, crop_masks(work, left, region), region, deadline)
            if i < len(regions) - 1:  # the next one sees what became of this one
                self._end(ticket)
                left[region.box.slices] = 0
        return ticket

    def finish(self, ticket: Ticket) -> InpaintResult:
        """Waits for an image and returns its result."""
        self._end(ticket)
        hole, options, filled = ticket._work.hole, ticket._options, ticket._filled
        found = list(zip(ticket._regions, filled, strict=True))
        states = [(region, f.state) for region, f in found if f.state is not None]
        before = ticket._before
        return InpaintResult(
            image=ticket._image.array,
            hole=ticket._masks.hole,
            confidence=assembly.confidence(hole, states) if "confidence" in options.outputs else None,
            hole_left=assembly.hole_left(hole, states) if "hole_left" in options.outputs else None,
            history=() if before is None else assembly.history(before.reshape(ticket._image.shape), hole, found),
            warnings=(*ticket._warnings, *assembly.capture_warnings(filled)),
            iterations=max((f.iterations for f in filled), default=0),
            regions=len(found),
            timings=assembly.timings(ticket._started, filled),
        )

    def _begin(self, ticket: Ticket, masks: Masks, region: Region, deadline: float | None) -> None:
        """Starts on a region; :meth:`_end` finishes it."""
        image, options = ticket._image, ticket._options
        runner = self._runners.runner(region.side, channels=image.channels, options=options, slot=ticket.slot)
        runner.stage(image.take_region(region, runner.image), masks)
        # What runs ahead of the host gets all its work at once, where nobody has to look at it in between.
        if (
            not self._backend.synchronous
            and deadline is None
            and "history" not in options.outputs
            and runner.runs_at_once
        ):
            runner.enqueue(options)
            if image.on_device:
                image.store_region(region, runner.filled)  # behind it, so that one wait is enough
            ticket._running = runner, self._backend.record_event()
            if options.outputs:
                self._end(ticket)  # they are read from buffers that the next image uses too
            return
        ticket._filled.append(runner.run(options, deadline=deadline))
        image.store_region(region, runner.filled)
        if image.on_device:
            self._backend.wait()

    def _end(self, ticket: Ticket) -> None:
        """Waits for the region in hand, if there is one, and puts it into the image."""
        if ticket._running is None:
            return
        (runner, done), ticket._running = ticket._running, None
        done.wait()
        filled = runner.collect()
        image, region = ticket._image, ticket._regions[len(ticket._filled)]
        ticket._filled.append(filled)
        if not image.on_device or filled.is_changed:
            image.store_region(region, runner.filled)
            if image.on_device:
                self._backend.wait()
