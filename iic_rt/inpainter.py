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
from iic_rt.checks import check_control, check_mask
from iic_rt.errors import BackendError, InputError
from iic_rt.filler import FilledRegion, Filler
from iic_rt.grow import grow_hole
from iic_rt.options import InpaintOptions
from iic_rt.picture import Picture, host_mask, open_picture
from iic_rt.regions import Box, bounding_box, find_regions
from iic_rt.specks import REACH, START_RADIUS, fill_specks, find_specks
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
                only the pixels around holes are copied to the host, and the result is on the device too. Masks may be
                on the device as well.
            mask: bool or uint8, [H, W] or [H, W, 1]; white (from 128 up, or 1 in a mask of 0 and 1) is removed unless
                ``options.mask_hole`` is ``"black"``. An empty mask gives the image back, with a warning.
            avoid: like ``mask``, white = never copy from here. These pixels are treated as unknown: no network sees
                them, and no value of theirs reaches the result.
            prefer: like ``mask``, white = copy detail from here only; the loop still sees the rest, and the hole joins
                its surroundings.
            out: an array on the device like ``image``, which may be ``image`` itself, to take the result; None for new
                memory.
            options: for this call, in place of the defaults.

        Raises:
            InputError: the arrays cannot be used, or ``avoid`` and ``prefer`` leave nothing to copy from.
            BackendError: the backend failed, or the inpainter is closed.
        """
        started = time.perf_counter()
        options = options or self.options
        if self._filler is None:
            raise BackendError("this Inpainter is closed; make a new one")
        masks = [host_mask(m, self._backend) for m in (mask, avoid, prefer)]
        picture = open_picture(image, out, self._backend, options.channel_order)
        hole = grow_hole(check_mask(masks[0], picture.shape, options), options.grow)
        hidden, barred = check_control(masks[1], masks[2], hole)
        if options.keep_iterations:
            picture.load(Box(0, 0, *hole.shape))
        specks = find_specks(hole, hidden)
        if specks.any():
            self._fill_specks(picture, specks)
        wide = hole - specks
        before = picture.rgb.copy() if options.keep_iterations else picture.rgb
        canvas = Canvas(picture.rgb, wide, hidden, barred, options)
        regions = []
        if wide.any():
            closed = [mask for mask in (hidden, barred) if mask is not None]
            regions = find_regions(
                wide,
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
            picture.load(canvas.reach(region, self.working_size))
            filled.append(self._filler.fill(canvas, region, options, deadline=deadline))
            picture.store(region.box, wide)
        return InpaintResult(
            image=picture.result(hole),
            confidence=canvas.confidence,
            hole=hole,
            hole_left=canvas.hole_left,
            iterations=max((f.first.iterations for f in filled), default=0),
            regions=len(regions),
            history=_history(before, wide, hole, hidden, picture, options, filled) if options.keep_iterations else (),
            timings=_timings(started, filled, canvas.paste_ms),
        )

    @staticmethod
    def _fill_specks(picture: Picture, specks: NDArray[np.uint8]) -> None:
        box = bounding_box(specks)
        picture.load(box.grown(START_RADIUS + REACH, *specks.shape))
        fill_specks(picture.rgb, specks)
        picture.store(box, specks)

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
    wide: NDArray[np.uint8],
    hole: NDArray[np.uint8],
    hidden: NDArray[np.uint8] | None,
    picture: Picture,
    options: InpaintOptions,
    filled: list[FilledRegion],
) -> tuple[Snapshot, ...]:
    """The whole picture after each iteration; a region that ended early stays as it ended."""
    snapshots = []
    for t in range(max((len(f.first.states) for f in filled), default=0)):
        canvas = Canvas(rgb.copy(), wide, hidden, None, options)
        for f in filled:
            canvas.paste(f.region, f.first.states[min(t, len(f.first.states) - 1)])
        snapshots.append(Snapshot(picture.on_host(canvas.image, hole), canvas.confidence, canvas.hole_left))
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
