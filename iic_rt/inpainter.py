"""The public class: removes what a mask marks from a picture."""

from __future__ import annotations

import time
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from iic_rt.backends import open_backend
from iic_rt.bundle import DEFAULT_BUNDLE, Bundle, load_bundle
from iic_rt.canvas import Canvas
from iic_rt.checks import check_control, check_image, check_mask, from_rgb, to_rgb
from iic_rt.errors import BackendError, InputError
from iic_rt.filler import FilledRegion, Filler
from iic_rt.options import InpaintOptions
from iic_rt.regions import find_regions
from iic_rt.types import InpaintResult, Snapshot, Timings

__all__ = ["Inpainter"]


class Inpainter:
    """Fills holes in pictures with a loaded bundle.

    Owns the backend and its buffers; use it as a context manager or call :meth:`close`. Not thread-safe: its buffers
    are reused from call to call, so give every thread its own.

    Args:
        bundle: name of a shipped bundle or a folder that ``python -m export`` wrote.
        backend: ``"auto"`` for the fastest that loads, or a name; a backend asked for by name is never replaced.
        precision: what the backend computes in, ``"fp32"``, ``"fp16"`` or ``"bf16"``; None for the backend's default.
        threads: CPU threads of the backend, None for its default.
        stream: CUDA stream that all device work is enqueued on: an object with ``__cuda_stream__``, ``handle`` or
            ``ptr`` (cuda-python, CuPy, PyTorch, pycuda), or its address as int; None for one of the backend's own.
        working_size: side in pixels the loop runs at, a multiple of 32 from 64 up; None for the bundle's.
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
        if working_size is not None and (working_size < 64 or working_size % 32):
            raise InputError(f"working_size is {working_size}; give a multiple of 32 from 64 up, or None")
        self.options = options or InpaintOptions()
        loaded = load_bundle(bundle)
        self._backend = open_backend(backend, loaded, precision=precision, threads=threads, stream=stream)
        self.bundle: Bundle = self._backend.bundle
        self.working_size = working_size or self.bundle.working_size
        self._filler: Filler | None = Filler(self._backend, working_size=self.working_size)

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
        image: NDArray[Any],
        mask: NDArray[Any],
        *,
        avoid: NDArray[Any] | None = None,
        prefer: NDArray[Any] | None = None,
        options: InpaintOptions | None = None,
    ) -> InpaintResult:
        """Fills the hole that ``mask`` marks; source: Algorithm 1 and Sec. 3.3 of the paper, region by region.

        Args:
            image: uint8 [H, W], [H, W, 1], [H, W, 3] or [H, W, 4], any size, any strides; never written to. Alpha is
                kept as it is.
            mask: bool or uint8, [H, W] or [H, W, 1]; white (from 128 up, or 1 in a mask of 0 and 1) is removed unless
                ``options.mask_hole`` is ``"black"``. An empty mask gives the image back, with a warning.
            avoid: like ``mask``, white = never copy from here. These pixels are treated as unknown: no network sees
                them, and no value of theirs reaches the result.
            prefer: like ``mask``, white = copy detail from here only; the loop still sees the rest, and the hole joins
                its surroundings.
            options: for this call, in place of the defaults.

        Raises:
            InputError: the arrays cannot be used, or ``avoid`` and ``prefer`` leave nothing to copy from.
            BackendError: the backend failed, or the inpainter is closed.
        """
        started = time.perf_counter()
        options = options or self.options
        image = check_image(image)
        hole = check_mask(mask, image, options)
        hidden, barred = check_control(avoid, prefer, hole, image)
        if self._filler is None:
            raise BackendError("this Inpainter is closed; make a new one")
        rgb = to_rgb(image, options.channel_order)
        before = rgb.copy() if options.keep_iterations else rgb
        canvas = Canvas(rgb, hole, hidden, barred, options)
        regions = []
        if hole.any():
            closed = [mask for mask in (hidden, barred) if mask is not None]
            regions = find_regions(
                hole,
                working_size=self.working_size,
                context=options.context,
                closed=np.maximum.reduce(closed) if closed else None,
            )
        filled = []
        for i, region in enumerate(regions):
            deadline = None
            if options.budget_ms is not None:
                now = time.perf_counter()
                deadline = now + (started + options.budget_ms / 1e3 - now) / (len(regions) - i)
            filled.append(self._filler.fill(canvas, region, options, deadline=deadline))
        history = _history(before, hole, hidden, image, options, filled) if options.keep_iterations else ()
        result = from_rgb(canvas.image, image, hole, options.channel_order)
        return InpaintResult(
            image=result,
            confidence=canvas.confidence,
            hole_left=canvas.hole_left,
            iterations=max((f.first.iterations for f in filled), default=0),
            regions=len(regions),
            timings=_timings(started, filled, canvas.paste_ms),
            history=history,
        )

    def close(self) -> None:
        """Releases the backend and its buffers; a second call does nothing."""
        self._filler = None
        self._backend.close()

    def __enter__(self) -> Inpainter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _history(
    rgb: NDArray[np.uint8],
    hole: NDArray[np.uint8],
    hidden: NDArray[np.uint8] | None,
    image: NDArray[np.uint8],
    options: InpaintOptions,
    filled: list[FilledRegion],
) -> tuple[Snapshot, ...]:
    """The whole picture after each iteration; a region that ended early stays as it ended."""
    snapshots = []
    for t in range(max((len(f.first.states) for f in filled), default=0)):
        canvas = Canvas(rgb.copy(), hole, hidden, None, options)
        for f in filled:
            canvas.paste(f.region, f.first.states[min(t, len(f.first.states) - 1)])
        picture = from_rgb(canvas.image, image, hole, options.channel_order)
        snapshots.append(Snapshot(picture, canvas.confidence, canvas.hole_left))
    return tuple(snapshots)


def _timings(started: float, filled: list[FilledRegion], paste_ms: float) -> Timings:
    passes = [f.first for f in filled]
    longest = max((p.iterations for p in passes), default=0)
    return Timings(
        total_ms=(time.perf_counter() - started) * 1e3,
        copy_in_ms=sum(p.copy_in_ms for p in passes),
        prepare_ms=sum(p.prepare_ms for p in passes),
        iterations_ms=tuple(sum(p.iterations_ms[t] for p in passes if t < p.iterations) for t in range(longest)),
        upsample_ms=sum(f.upsample_ms for f in filled),
        copy_out_ms=sum(f.copy_out_ms for f in filled),
        paste_ms=paste_ms,
    )
