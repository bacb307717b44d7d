"""The public class: removes what a mask marks from an image."""

from __future__ import annotations

import time
import weakref
from dataclasses import replace
from itertools import zip_longest
from pathlib import Path
from types import TracebackType
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from iic_rt.backends.registry import open_backend
from iic_rt.bundle.manifest import DEFAULT_BUNDLE, Bundle, load_bundle
from iic_rt.contract import Backend
from iic_rt.errors import BackendError, InpaintWarning, InputError
from iic_rt.geometry import Box
from iic_rt.masks import Masks, read_masks
from iic_rt.options import InpaintOptions
from iic_rt.pipeline.image import ResultImage, host_mask, open_image
from iic_rt.pipeline.loop import State
from iic_rt.pipeline.regions import Region, crop_masks, find_regions
from iic_rt.pipeline.runner import Filled
from iic_rt.pipeline.runners import Runners
from iic_rt.pipeline.specks import REACH, START_RADIUS, fill_specks, find_specks
from iic_rt.result import InpaintResult, Snapshot, Timings

__all__ = ["Inpainter"]

Pixels = NDArray[np.uint8]


class Inpainter:
    """Fills holes in images with a loaded bundle.

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
        if working_size is not None:  # known before the backend opens, which loads an engine for it
            loaded = replace(loaded, working_size=working_size)
        self._backend: Backend = open_backend(backend, loaded, precision=precision, threads=threads, stream=stream)
        self.bundle: Bundle = self._backend.bundle
        self.working_size = self.bundle.working_size
        with self._backend.guard():
            runners = Runners(self._backend, working_size=self.working_size)
        self._runners: Runners | None = runners
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
            prefer: like ``mask``, white = copy detail from here only; the loop still sees the rest, and the hole joins
                its surroundings.
            out: an array on the device like ``image``, which may be ``image`` itself, to take the result; None for new
                memory.
            options: for this call, in place of the defaults.

        Raises:
            InputError: the arrays cannot be used, or ``avoid`` and ``prefer`` leave nothing to copy from.
            BackendError: the backend failed, or the inpainter is closed.
        """
        if self._runners is None:
            raise BackendError("this Inpainter is closed; make a new one")
        with self._backend.guard():
            return self._inpaint(image, (mask, avoid, prefer), out, options or self.options)

    def _inpaint(self, image: Any, given: tuple[Any, Any, Any], out: Any, options: InpaintOptions) -> InpaintResult:
        started = time.perf_counter()
        on_host = [host_mask(mask, self._backend) for mask in given]
        result = open_image(image, out, self._backend)
        masks, warnings = read_masks(*on_host, shape=result.shape, mask_hole=options.mask_hole, grow=options.grow)
        work = _fill_specks(result, masks)
        before = result.read(Box(0, 0, *work.hole.shape)) if "history" in options.outputs else None
        regions = find_regions(work, working_size=self.working_size, context=options.context)
        left, filled = work.hole.copy() if len(regions) > 1 else work.hole, []
        for i, region in enumerate(regions):
            deadline = None
            if options.budget_ms is not None:
                now = time.perf_counter()
                deadline = now + (started + options.budget_ms / 1e3 - now) / (len(regions) - i)
            filled.append(self._fill(result, crop_masks(work, left, region), region, options, deadline))
            if len(regions) > 1:
                left[region.box.slices] = 0
        found = list(zip(regions, filled, strict=True))
        states = [(region, f.state) for region, f in found if f.state is not None]
        return InpaintResult(
            image=result.array,
            hole=masks.hole,
            confidence=_confidence(work.hole, states) if "confidence" in options.outputs else None,
            hole_left=_hole_left(work.hole, states) if "hole_left" in options.outputs else None,
            history=() if before is None else _history(before.reshape(result.shape), work.hole, found),
            warnings=(*warnings, *_capture_warnings(filled)),
            iterations=max((f.iterations for f in filled), default=0),
            regions=len(regions),
            timings=_timings(started, filled),
        )

    def _fill(
        self, image: ResultImage, masks: Masks, region: Region, options: InpaintOptions, deadline: float | None
    ) -> Filled:
        assert self._runners is not None
        runner = self._runners.runner(region.side, channels=image.channels, options=options)
        runner.stage(image.take_region(region, runner.image), masks)
        # What runs ahead of the host gets all its work at once, where nobody has to look at it in between.
        at_once = not self._backend.synchronous and deadline is None and "history" not in options.outputs
        if at_once and runner.runs_at_once:
            runner.enqueue(options)
            if image.on_device:
                image.store_region(region, runner.filled)  # behind it, so that one wait is enough
            filled = runner.collect()
            if image.on_device and not filled.is_changed:
                return filled
        else:
            filled = runner.run(options, deadline=deadline)
        image.store_region(region, runner.filled)
        if image.on_device:
            self._backend.wait()
        return filled

    def close(self) -> None:
        """Releases the backend and its buffers; a second call does nothing."""
        self._release()
        self._runners = None
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


def _confidence(hole: Pixels, states: list[tuple[Region, State]]) -> NDArray[np.float32]:
    """The confidence at the image's resolution, 1 outside the hole."""
    confidence = np.ones(hole.shape, np.float32)
    for region, state in states:
        box = region.box.slices
        inside = hole[box] > 0
        # Bilinear weights are a convex combination, so the confidence stays in [0, 1].
        large = cv2.resize(state.c, (region.side, region.side), interpolation=cv2.INTER_LINEAR)
        confidence[box][inside] = large[region.box_inside.slices][inside]
    return confidence


def _hole_left(hole: Pixels, states: list[tuple[Region, State]]) -> Pixels:
    """What is left of the hole, at the image's resolution."""
    left = np.zeros(hole.shape, np.uint8)
    for region, state in states:
        box = region.box.slices
        large = cv2.resize(state.m, (region.side, region.side), interpolation=cv2.INTER_NEAREST)
        left[box] = (large[region.box_inside.slices] > 0) & (hole[box] > 0)
    return left


def _history(before: Pixels, hole: Pixels, found: list[tuple[Region, Filled]]) -> tuple[Snapshot, ...]:
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
        snapshots.append(Snapshot(image, _confidence(hole, states), _hole_left(hole, states)))
    return tuple(snapshots)


def _capture_warnings(filled: list[Filled]) -> tuple[InpaintWarning, ...]:
    """One warning for the whole call, whatever its number of regions."""
    refusal = next((f.refusal for f in filled if f.refusal is not None), None)
    if refusal is None:
        return ()
    text = (
        f"the work on the GPU was not captured as a CUDA graph, and its parts are enqueued one by one: {refusal}. The "
        "image is the same, and every call takes longer; to mend it, update the driver and the engine library"
    )
    return (InpaintWarning("not captured", text),)


def _timings(started: float, filled: list[Filled]) -> Timings:
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
