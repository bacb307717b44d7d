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
from iic_rt.checks import check_image, check_mask, from_rgb, to_rgb
from iic_rt.errors import BackendError, InputError
from iic_rt.loop import Filled, Loop
from iic_rt.options import InpaintOptions
from iic_rt.paste import paste
from iic_rt.regions import Region, crop, find_regions
from iic_rt.types import InpaintResult, Snapshot, Timings

__all__ = ["Inpainter"]


class Inpainter:
    """Fills holes in pictures with a loaded bundle.

    Owns the backend and its buffers; use it as a context manager or call :meth:`close`. Not thread-safe: its buffers
    are reused from call to call, so give every thread its own.

    Args:
        bundle: name of a shipped bundle or a folder that ``python -m export`` wrote.
        backend: ``"auto"`` for the fastest that loads, or a name; a backend asked for by name is never replaced.
        threads: CPU threads of the backend, None for its default.
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
        threads: int | None = None,
        working_size: int | None = None,
        options: InpaintOptions | None = None,
    ) -> None:
        if threads is not None and threads < 1:
            raise InputError(f"threads is {threads}; give a whole number from 1 up, or None for the default")
        if working_size is not None and (working_size < 64 or working_size % 32):
            raise InputError(f"working_size is {working_size}; give a multiple of 32 from 64 up, or None")
        self.bundle: Bundle = load_bundle(bundle)
        self.options = options or InpaintOptions()
        self.working_size = working_size or self.bundle.working_size
        self._backend = open_backend(backend, self.bundle, threads=threads)
        self._loop: Loop | None = Loop(self._backend, working_size=self.working_size)

    @property
    def backend_name(self) -> str:
        """The backend in use, which ``"auto"`` chose or the caller named."""
        return self._backend.name

    def inpaint(
        self, image: NDArray[Any], mask: NDArray[Any], *, options: InpaintOptions | None = None
    ) -> InpaintResult:
        """Fills the hole that ``mask`` marks; source: Algorithm 1 of the paper, region by region.

        Args:
            image: uint8 [H, W], [H, W, 1], [H, W, 3] or [H, W, 4], any size, any strides; never written to. Alpha is
                kept as it is.
            mask: bool or uint8, [H, W] or [H, W, 1]; white (from 128 up, or 1 in a mask of 0 and 1) is removed unless
                ``options.mask_hole`` is ``"black"``. An empty mask gives the image back, with a warning.
            options: for this call, in place of the defaults.

        Raises:
            InputError: the arrays cannot be used.
            BackendError: the backend failed, or the inpainter is closed.
        """
        started = time.perf_counter()
        options = options or self.options
        image = check_image(image)
        hole = check_mask(mask, image, options)
        if self._loop is None:
            raise BackendError("this Inpainter is closed; make a new one")
        rgb = to_rgb(image, options.channel_order)
        canvas = _Canvas(rgb, hole, options)
        regions = find_regions(hole, working_size=self.working_size, context=options.context) if hole.any() else []
        filled = []
        for i, region in enumerate(regions):
            deadline = None
            if options.budget_ms is not None:
                now = time.perf_counter()
                deadline = now + (started + options.budget_ms / 1e3 - now) / (len(regions) - i)
            crops = crop(canvas.image, region), crop(canvas.open_hole, region)
            filled.append(
                self._loop.fill(*crops, iterations=options.iterations, deadline=deadline, keep=options.keep_iterations)
            )
            canvas.paste(region, filled[-1])
        history = _history(rgb, hole, image, options, regions, filled) if options.keep_iterations else ()
        result = from_rgb(canvas.image, image, hole, options.channel_order)
        return InpaintResult(
            image=result,
            confidence=canvas.confidence,
            hole_left=canvas.hole_left,
            iterations=max((f.iterations for f in filled), default=0),
            regions=len(regions),
            timings=_timings(started, filled, canvas.paste_ms),
            history=history,
        )

    def close(self) -> None:
        """Releases the backend and its buffers; a second call does nothing."""
        self._loop = None
        self._backend.close()

    def __enter__(self) -> Inpainter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Canvas:
    """The picture while its regions are filled one after another; a filled region is known to the next."""

    def __init__(self, rgb: NDArray[np.uint8], hole: NDArray[np.uint8], options: InpaintOptions) -> None:
        self._hole, self._options = hole, options
        self.image, self.open_hole = rgb.copy(), hole.copy()
        self.confidence = np.ones(hole.shape, np.float32)
        self.hole_left = np.zeros(hole.shape, np.uint8)
        self.paste_ms = 0.0

    def paste(self, region: Region, filled: Filled, iteration: int = -1) -> None:
        started = time.perf_counter()
        paste(
            self.image,
            self.confidence,
            self.hole_left,
            self._hole,
            region,
            filled.states[iteration],
            feather=self._options.feather,
        )
        self.open_hole[region.box.slices] = 0
        self.paste_ms += (time.perf_counter() - started) * 1e3


def _history(
    rgb: NDArray[np.uint8],
    hole: NDArray[np.uint8],
    image: NDArray[np.uint8],
    options: InpaintOptions,
    regions: list[Region],
    filled: list[Filled],
) -> tuple[Snapshot, ...]:
    """The whole picture after each iteration; a region that ended early stays as it ended."""
    snapshots = []
    for t in range(max((len(f.states) for f in filled), default=0)):
        canvas = _Canvas(rgb, hole, options)
        for region, f in zip(regions, filled, strict=True):
            canvas.paste(region, f, min(t, len(f.states) - 1))
        picture = from_rgb(canvas.image, image, hole, options.channel_order)
        snapshots.append(Snapshot(picture, canvas.confidence, canvas.hole_left))
    return tuple(snapshots)


def _timings(started: float, filled: list[Filled], paste_ms: float) -> Timings:
    longest = max((f.iterations for f in filled), default=0)
    return Timings(
        total_ms=(time.perf_counter() - started) * 1e3,
        prepare_ms=sum(f.prepare_ms for f in filled),
        iterations_ms=tuple(sum(f.iterations_ms[t] for f in filled if t < f.iterations) for t in range(longest)),
        paste_ms=paste_ms,
    )
