"""The public class: removes what a mask marks from an image."""

from __future__ import annotations

import time
import weakref
from collections.abc import Generator, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from iic_rt.backends.registry import open_backend
from iic_rt.bundle.manifest import DEFAULT_BUNDLE, Bundle, load_bundle
from iic_rt.bundle.shapes import WORKING_SIZES
from iic_rt.checks import check_whole, is_whole
from iic_rt.contract import Backend
from iic_rt.errors import BackendError, InputError
from iic_rt.geometry import ladder_side
from iic_rt.no_memory import filling_told, loading_told
from iic_rt.one_call import OneCall
from iic_rt.options import InpaintOptions, check_options
from iic_rt.pipeline.filling import Filling, Ticket
from iic_rt.pipeline.runners import SLOTS, Runners
from iic_rt.result import InpaintResult

if TYPE_CHECKING:
    from iic_rt.video.frames import Blank, DroppedAs, FailedAs, LateAs, Policy, VideoFrame

__all__ = ["Inpainter", "Ticket"]


class Inpainter:
    """Fills holes in images with a loaded bundle.

    Owns the backend and its buffers; use it as a context manager or call :meth:`close`. Not thread-safe: its buffers
    are reused from call to call, and a call that comes in the middle of another is refused with BackendError. Give
    every thread its own, or share an :class:`iic_rt.InpainterPool`. :meth:`inpaint` fills one image; :meth:`submit`
    and :meth:`collect` are its two halves, for streams of them.

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
        InputError, TypeError: an argument is out of range or of another type.
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
        threads = None if threads is None else check_whole(threads, "threads", "a whole number from 1 up", least=1)
        if working_size is not None and working_size not in WORKING_SIZES:
            raise InputError(
                f"working_size is {working_size!r}; give a multiple of {WORKING_SIZES.step} from {WORKING_SIZES[0]} to "
                f"{WORKING_SIZES[-1]}, or None"
            )
        self.options = InpaintOptions() if options is None else check_options(options)
        loaded = load_bundle(bundle)
        if working_size is not None:  # known before the backend opens, which loads an engine for it
            loaded = replace(loaded, working_size=int(working_size))
        self._backend: Backend = open_backend(backend, loaded, precision=precision, threads=threads, stream=stream)
        self.bundle: Bundle = self._backend.bundle
        self.working_size = self.bundle.working_size
        with self._backend.guard(), loading_told():
            runners = Runners(self._backend, working_size=self.working_size)
        self._filling: Filling | None = Filling(self._backend, runners, working_size=self.working_size)
        self._call = OneCall()
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
            InputError, TypeError: an argument cannot be used, or ``avoid`` and ``prefer`` leave nothing to copy from.
            BackendError: the backend failed, or gave NaN or infinity; memory ran out; or the inpainter is closed or in
                another call.
        """
        with self._call.enter():
            return self._collect(self._submit(image, (mask, avoid, prefer), out, options))

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
        with self._call.enter():
            return self._submit(image, (mask, avoid, prefer), out, options)

    def _submit(self, image: Any, given: tuple[Any, Any, Any], out: Any, options: InpaintOptions | None) -> Ticket:
        started = time.perf_counter()
        options = self.options if options is None else check_options(options)
        if self._filling is None:
            raise BackendError("this Inpainter is closed; make a new one")
        taken = {ticket.slot for ticket in self._tickets}
        slot = next((n for n in range(SLOTS) if n not in taken), None)
        if slot is None:
            raise InputError(f"{SLOTS} images are under way, which is the most; collect one before the next submit")
        with self._backend.guard(), filling_told(_named(getattr(image, "shape", ()))):
            ticket = self._filling.start(slot, started, image, given, out, options)
        self._tickets.append(ticket)
        return ticket

    def collect(self, ticket: Ticket) -> InpaintResult:
        """The second half of :meth:`inpaint`: waits for a submitted image and returns its result, once.

        Raises:
            InputError: the ticket is another inpainter's, or was collected before.
            BackendError: as in :meth:`inpaint`.
        """
        with self._call.enter():
            return self._collect(ticket)

    def _collect(self, ticket: Ticket) -> InpaintResult:
        if self._filling is None:
            raise BackendError("this Inpainter is closed, and what was submitted is lost; make a new one")
        if ticket not in self._tickets:
            raise InputError("this ticket was collected before, or is another Inpainter's; submit the image again")
        self._tickets.remove(ticket)
        with self._backend.guard(), filling_told(_named(ticket._image.shape)):
            return self._filling.finish(ticket)

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
        the end of the generator or its ``close``; use the inpainter for nothing else meanwhile: of two calls at once
        the second is refused, which may be a frame's. It stays open.

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
            BackendError: as in :meth:`inpaint`.
        """
        if channels not in (1, 3, 4) or not isinstance(sides, Sequence) or not all(is_whole(side, 1) for side in sides):
            raise InputError(
                f"sides is {sides!r} and channels {channels!r}; give a list of sides from 1 pixel up, and 1, 3 or 4"
            )
        options = replace(self.options, grow=0, budget_ms=None)
        with self._call.enter():
            for asked in sides:
                side = ladder_side(max(asked, self.working_size), self.working_size)
                image = np.zeros((side, side, channels), np.uint8)
                mask = np.zeros((side, side), np.uint8)
                size = max(1, int(side / options.context))
                first = (side - size) // 2
                mask[first : first + size, first : first + size] = 1
                given = mask, None, None
                for ticket in [self._submit(image, given, None, options) for _ in range(SLOTS - len(self._tickets))]:
                    self._collect(ticket)

    def close(self) -> None:
        """Releases the backend and its buffers; a second call does nothing.

        In the middle of another thread's call it waits for that call, whose result is good; the next one is refused.
        """
        with self._call.enter_last():
            self._release()
            self._filling = None
            self._tickets.clear()
            self._backend.close()

    def __enter__(self) -> Inpainter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _named(shape: object) -> str:
    """An image by its size; of what is none, the error comes later."""
    return f"an image of {shape[1]}x{shape[0]} pixels" if isinstance(shape, tuple) and len(shape) > 1 else "an image"
