"""The public class: removes what a mask marks from an image."""

from __future__ import annotations

import time
import weakref
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from iic_rt.backends.registry import open_backend
from iic_rt.bundle.manifest import DEFAULT_BUNDLE, Bundle, load_bundle
from iic_rt.bundle.shapes import WORKING_SIZES
from iic_rt.contract import Backend, Event
from iic_rt.errors import BackendError, InpaintWarning, InputError
from iic_rt.geometry import Box, ladder_side
from iic_rt.masks import Masks, read_masks
from iic_rt.options import InpaintOptions
from iic_rt.pipeline import assembly
from iic_rt.pipeline.image import ResultImage, host_mask, open_image
from iic_rt.pipeline.regions import Region, crop_masks, find_regions
from iic_rt.pipeline.runner import Filled, RegionRunner
from iic_rt.pipeline.runners import SLOTS, Runners
from iic_rt.pipeline.specks import REACH, START_RADIUS, fill_specks, find_specks
from iic_rt.result import InpaintResult

if TYPE_CHECKING:
    from iic_rt.video.frames import Blank, DroppedAs, FailedAs, LateAs, Policy, VideoFrame

__all__ = ["Inpainter", "Ticket"]

Pixels = NDArray[np.uint8]


@dataclass(eq=False)
class Ticket:
    """An image on its way: :meth:`Inpainter.submit` gives it out, :meth:`Inpainter.collect` takes it back, once."""

    _slot: int
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


class Inpainter:
    """Fills holes in images with a loaded bundle.

    Owns the backend and its buffers; use it as a context manager or call :meth:`close`. Not thread-safe: its buffers
    are reused from call to call, so give every thread its own. :meth:`inpaint` fills one image; :meth:`submit` and
    :meth:`collect` are its two halves, for streams of them.

    Args:
        bundle: name of a shipped bundle or a folder that ``python -m export`` wrote.
        backend: ``"auto"`` for the fastest that loads, or a name; a backend asked for by name is never replaced.
        precision: what the backend computes in, ``"fp32"``, ``"fp16"`` or ``"bf16"``; None for the backend's default.
        threads: CPU threads of the backend, None for its default.
        stream: CUDA stream that all device work is enqueued on: an object with ``__cuda_stream__``, ``handle`` or
            ``ptr`` (cuda-python, CuPy, PyTorch, pycuda), or its address as int; None for one of the backend's own.
        working_size: side in pixels the loop runs at, a multiple of 32 from 64 to 1024; None for the
            bundle's.
        options: defaults of the calls.

    Raises:
        BundleError: the bundle is missing, incomplete or changed.
        BackendError: the backend is missing or refuses the bundle.
        InputError: ``threads`` or ``working_size`` is out of range.
    """

    def __init__(
        self,
        bundle: str | Path = DEFAULT_BUNDLE,
        *,
        backend: str = "auto",
        precision: str | None = None,
        threads: int | None = None,
        stream: object | None = None,
        working_size: int | None = None,
        options: InpaintOptions | None = None,
    ) -> None:
        if threads is not None and threads < 1:
            raise InputError(f"threads is {threads}; give a whole number from 1 up, or None for the default")
        if working_size is not None and working_size not in WORKING_SIZES:
            raise InputError(
                f"working_size is {working_size!r}; give a multiple of {WORKING_SIZES.step} from {WORKING_SIZES[0]} to "
                f"{WORKING_SIZES[-1]}, or None"
            )
        self.options = options or InpaintOptions()
        loaded = load_bundle(bundle)
        if working_size is not None:  # known before the backend opens, which loads an engine for it
            loaded = replace(loaded, working_size=int(working_size))
        self._backend: Backend = open_backend(backend, loaded, precision=precision, threads=threads, stream=stream)
        self.bundle: Bundle = self._backend.bundle
        self.working_size = self.bundle.working_size
        with self._backend.guard():
            runners = Runners(self._backend, working_size=self.working_size)
        self._runners: Runners | None = runners
        self._tickets: list[Ticket] = []
        self._release = weakref.finalize(self, runners.close)  # an inpainter that nobody closed must not hold memory
        self._release.atexit = False

    @property
    def backend_name(self) -> str:
        """The backend in use, which ``"auto"`` chose or the caller named."""
        return self._backend.name

    @property
    def precision(self) -> str:
        """The precision the backend computes in."""
        return self._backend.precision

    def inpaint(
        self,
        image: Any,
        mask: Any,
        *,
        avoid: Any = None,
        prefer: Any = None,
        out: Any = None,
        options: InpaintOptions | None = None,
    ) -> InpaintResult:
        """Fills the hole that ``mask`` marks; source: Algorithm 1 and Sec. 3.3 of the paper, region by region.

        Args:
            image: uint8 [H, W], [H, W, 1], [H, W, 3] or [H, W, 4], any size; never written to. Alpha is kept as it is.
                A numpy array with any strides; or, on a CUDA backend, an array on the device with
                ``__cuda_array_interface__`` or DLPack (pycuda, CuPy, PyTorch, cuda-python) whose rows are contiguous:
                its pixels stay on the device, and the result is there too. Masks may be on the device as well.
            mask: bool or uint8, [H, W] or [H, W, 1]; white (from 128 up, or 1 in a mask of 0 and 1) is removed unless
                ``options.mask_hole`` is ``"black"``. An empty mask gives the image back, with a warning in the result.
            avoid: like ``mask``, white = never copy from here. These pixels are treated as unknown: no network sees
                them, and no value of theirs reaches the result.
            prefer: like ``mask``, white = copy from here only; the loop still sees the rest, and the hole joins
                its surroundings.
            out: an array on the device like ``image``, which may be ``image`` itself, to take the result; None for new
                memory.
            options: for this call, in place of the defaults.

        Raises:
            InputError: the arrays cannot be used, or ``avoid`` and ``prefer`` leave nothing to copy from.
            BackendError: the backend failed, or the inpainter is closed.
        """
        return self.collect(self.submit(image, mask, avoid=avoid, prefer=prefer, out=out, options=options))

    def submit(
        self,
        image: Any,
        mask: Any,
        *,
        avoid: Any = None,
        prefer: Any = None,
        out: Any = None,
        options: InpaintOptions | None = None,
    ) -> Ticket:
        """The first half of :meth:`inpaint`, whose arguments it has: begins, and on a GPU returns before it is done.

        The next image can then be prepared while the device works on this one. Collect in the order of submission. Up
        to 3 images may be under way, each with buffers of its own. The last region of an image runs on its own; a
        budget, ``options.outputs``, regions of more than 2048 pixels and backends on the CPU make the call wait.
        ``out`` must not be touched before it is collected.

        Raises:
            InputError: as in :meth:`inpaint`, or 3 images are under way.
            BackendError: as in :meth:`inpaint`.
        """
        started = time.perf_counter()
        options = options or self.options
        if self._runners is None:
            raise BackendError("this Inpainter is closed; make a new one")
        taken = {ticket._slot for ticket in self._tickets}
        slot = next((n for n in range(SLOTS) if n not in taken), None)
        if slot is None:
            raise InputError(f"{SLOTS} images are under way, which is the most; collect one before the next submit")
        with self._backend.guard():
            ticket = self._submit(slot, started, image, (mask, avoid, prefer), out, options)
        self._tickets.append(ticket)
        return ticket

    def _submit(
        self, slot: int, started: float, image: Any, given: tuple[Any, Any, Any], out: Any, options: InpaintOptions
    ) -> Ticket:
        on_host = [host_mask(mask, self._backend) for mask in given]
        result = open_image(image, out, self._backend)
        masks, warnings = read_masks(*on_host, shape=result.shape, mask_hole=options.mask_hole, grow=options.grow)
        work = _fill_specks(result, masks)
        before = result.read(Box(0, 0, *work.hole.shape)) if "history" in options.outputs else None
        regions = find_regions(work, working_size=self.working_size, context=options.context)
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

    def collect(self, ticket: Ticket) -> InpaintResult:
        """The second half of :meth:`inpaint`: waits for a submitted image and returns its result, once.

        Raises:
            InputError: the ticket is another inpainter's, or was collected before.
            BackendError: the backend failed, or the inpainter is closed.
        """
        if self._runners is None:
            raise BackendError("this Inpainter is closed, and what was submitted is lost; make a new one")
        if ticket not in self._tickets:
            raise InputError("this ticket was collected before, or is another Inpainter's; submit the image again")
        self._tickets.remove(ticket)
        with self._backend.guard():
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

    def stream(
        self,
        source: Iterable[Any],
        masks: Any,
        *,
        avoid: Any = None,
        prefer: Any = None,
        slots: int = 4,
        policy: Policy = "block",
        deadline_ms: float | None = None,
        late_as: LateAs = "last",
        failed_as: FailedAs = "last",
        dropped_as: DroppedAs = "nothing",
        blank: Blank = 0,
        memory: bool = True,
        lookahead: int = 0,
        options: InpaintOptions | None = None,
    ) -> Generator[VideoFrame, None, None]:
        """Fills the frames of a source: a lazy generator over :class:`iic_rt.video.VideoInpainter`, which see.

        Frames are read and filled ahead of the loop over them, in two threads of their own, from the first ``next`` to
        the end of the generator or its ``close``; use the inpainter for nothing else meanwhile. It stays open.

        Args:
            source: frames as for :meth:`inpaint`, or pairs (frame, pts).
            masks, avoid, prefer: as for :meth:`iic_rt.video.VideoInpainter.feed`: one for all, one for each, or a
                function; the last two may be None.
            slots, policy, deadline_ms, late_as, failed_as, dropped_as, blank, memory, lookahead, options: as for the
                class.

        Raises:
            InputError: a setting is not allowed.
        """
        from iic_rt.video import VideoInpainter  # most programs have no use for it

        video = VideoInpainter(
            self,
            slots=slots,
            policy=policy,
            deadline_ms=deadline_ms,
            late_as=late_as,
            failed_as=failed_as,
            dropped_as=dropped_as,
            blank=blank,
            memory=memory,
            lookahead=lookahead,
            options=options,
        )

        def frames() -> Generator[VideoFrame, None, None]:
            with video:
                yield from video.feed(source, masks, avoid=avoid, prefer=prefer)

        return frames()

    def warmup(self, sides: Sequence[int], *, channels: int = 3) -> None:
        """Makes what images with regions of these sides need, so that the first of them takes no longer than the next.

        Args:
            sides: in pixels, of the square region around a hole: ``options.context`` times the hole's longer side. Each
                is rounded up to a side that regions have.
            channels: of the images, 1, 3 or 4.

        Raises:
            InputError: a side is below 1, or ``channels`` is none of these.
            BackendError: the backend failed, or the inpainter is closed.
        """
        if channels not in (1, 3, 4) or not all(side >= 1 for side in sides):
            raise InputError(
                f"sides is {tuple(sides)} and channels {channels}; give sides from 1 pixel up, and 1, 3 or 4 channels"
            )
        options = replace(self.options, grow=0, budget_ms=None)
        for asked in sides:
            side = ladder_side(max(asked, self.working_size), self.working_size)
            image = np.zeros((side, side, channels), np.uint8)
            mask = np.zeros((side, side), np.uint8)
            size = max(1, int(side / options.context))
            first = (side - size) // 2
            mask[first : first + size, first : first + size] = 1
            tickets = [self.submit(image, mask, options=options) for _ in range(SLOTS - len(self._tickets))]
            for ticket in tickets:
                self.collect(ticket)

    def _begin(self, ticket: Ticket, masks: Masks, region: Region, deadline: float | None) -> None:
        """Starts on a region; :meth:`_end` finishes it."""
        assert self._runners is not None
        image, options = ticket._image, ticket._options
        runner = self._runners.runner(region.side, channels=image.channels, options=options, slot=ticket._slot)
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

    def close(self) -> None:
        """Releases the backend and its buffers; a second call does nothing."""
        self._release()
        self._runners = None
        self._tickets.clear()
        self._backend.close()

    def __enter__(self) -> Inpainter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _fill_specks(image: ResultImage, masks: Masks) -> Masks:
    """Interpolates the specks; what is left of the masks, in which the specks are known pixels."""
    specks = find_specks(masks.hole, masks.visible)
    if not specks:
        return masks
    hole = masks.hole.copy()
    known = [None if mask is None else mask.copy() for mask in (masks.visible, masks.copyable)]
    for speck in specks:
        window = speck.box.grown(START_RADIUS + REACH, *hole.shape)
        inside = speck.box.moved(-window.top, -window.left).slices
        pixels = image.read(window)
        own = np.zeros(pixels.shape[:2], np.uint8)
        own[inside] = speck.mask
        fill_specks(pixels[..., :3], own)  # alpha stays
        image.write(speck.box, pixels[inside])
        hole[speck.box.slices] &= 1 - speck.mask
        for mask in known:
            if mask is not None:
                mask[speck.box.slices] |= speck.mask
    return replace(masks, hole=hole, visible=known[0], copyable=known[1])
