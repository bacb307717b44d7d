"""Fills regions of one side: a list of stages, run as one captured graph or one after the other."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from iic_rt.bundle.shapes import RegionShapes
from iic_rt.contract import Backend, Binding, Buffer, CaptureError, Event
from iic_rt.errors import BackendError
from iic_rt.masks import Masks
from iic_rt.options import InpaintOptions
from iic_rt.pipeline.loop import Loop, State
from iic_rt.pipeline.upsample import Descriptors, RegionBuffers, Upsampling, constant
from iic_rt.resampling import area_weights, enlarge_weights

__all__ = ["Filled", "RegionRunner", "StageTimes"]

Pixels = NDArray[np.uint8]

LUMINANCE = (0.299, 0.587, 0.114)
MOST_CAPTURED = 4  # captured passes that a runner keeps: one for each number of iterations and kind of output


@dataclass(frozen=True)
class Stage:
    """A part of a pass: what is enqueued for it, and the name its time is kept under."""

    name: str
    enqueue: Callable[[], None]


@dataclass(frozen=True)
class CapturedPass:
    """All stages of a pass as one captured graph, or one by one where that cannot be had.

    Attributes:
        stages: in their order.
        enqueue: enqueues them all; returns the events between them.
        refusal: why they could not be captured.
    """

    stages: list[Stage]
    enqueue: Callable[[], Sequence[Event]]
    refusal: str | None


@dataclass
class StageTimes:
    """Milliseconds by stage."""

    copy_in: float = 0.0
    prepare: float = 0.0
    iterations: list[float] = field(default_factory=list)
    upsample: float = 0.0
    composite: float = 0.0
    copy_out: float = 0.0

    def add(self, stages: Sequence[Stage], events: Sequence[Event]) -> None:
        """Takes over the times between events, one more than there are stages."""
        for stage, (before, after) in zip(stages, pairwise(events), strict=True):
            ms = after.ms_since(before)
            if stage.name == "iteration":
                self.iterations.append(ms)
            else:
                setattr(self, stage.name, getattr(self, stage.name) + ms)


@dataclass(frozen=True)
class Filled:
    """What became of a region; its pixels are in ``RegionRunner.filled``.

    Attributes:
        iterations: that were run.
        state: after the last of them, where it was asked for.
        history: the region [S, S, C] and the state after every iteration, where they were asked for.
        times: of the stages.
        refusal: why the stages could not be captured and were enqueued one by one; None where they were captured, or
            where something had to be looked at in between.
        is_changed: ``filled`` was made anew after the stages.
    """

    iterations: int
    state: State | None
    history: list[tuple[Pixels, State]]
    times: StageTimes
    refusal: str | None
    is_changed: bool


class RegionRunner:
    """Buffers, bindings and captured graphs for regions of one side, one number of channels and one loop.

    Use: :meth:`stage`, then :meth:`run`, or :meth:`enqueue` and, when that is done, :meth:`collect`.

    Args:
        backend: that computes.
        shapes: of the region.
        loop: at the working size of the shapes; other regions use it too.
        descriptors: of the same loop, for guided upsampling; None: the loop's result is enlarged.
        bgr: the image's colours are in the order of OpenCV.

    Attributes:
        filled: buffer uint8 [S, S, C], the region with its hole filled.
        image: buffer uint8 [S, S, C], the region as it was.
    """

    def __init__(
        self, backend: Backend, shapes: RegionShapes, loop: Loop, descriptors: Descriptors | None, *, bgr: bool
    ) -> None:
        self._backend, self._shapes, self._loop, self._descriptors = backend, shapes, loop, descriptors
        side, channels, factor = shapes.side, shapes.channels, shapes.side / shapes.working_size

        def shared(*shape: int) -> Buffer:
            return backend.allocate(shape, "uint8", shared=True)

        colours = [2, 1, 0] if bgr else [0, 1, 2]
        order = np.zeros((3, channels), np.float32)
        back = np.zeros((channels, 3), np.float32)
        if channels == 1:
            order[:], back[:] = 1, LUMINANCE
        else:
            order[colours, [0, 1, 2]] = back[[0, 1, 2], colours] = 1
        keep = (np.arange(channels) == 3).astype(np.float32)
        self._buffers = RegionBuffers(
            image=shared(side, side, channels),
            visible=shared(side, side),
            hole=shared(side, side),
            filled=shared(side, side, channels),
            order=constant(backend, order),
            order_back=constant(backend, back),
            keep=constant(backend, keep.reshape(channels, 1, 1)),
        )
        self.image, self.filled = self._buffers.image, self._buffers.filled
        region = self._buffers
        self._prepare = backend.bind(
            "prepare",
            {
                "image": region.image,
                "visible": region.visible,
                "weights": constant(backend, area_weights(factor)),
                "order": region.order,
            },
            {"y": loop.y, "m": loop.hole},
        )
        self._upsampling = None if descriptors is None else Upsampling(backend, shapes, loop, descriptors, region)
        self._composite_binding: Binding | None = None
        self._factor = factor
        self._captured: dict[tuple[object, ...], CapturedPass] = {}
        self._staged: tuple[Pixels | None, Masks] | None = None
        self._running: tuple[list[Stage], Sequence[Event], InpaintOptions, str | None] | None = None

    @property
    def is_running(self) -> bool:
        """A region is enqueued and not collected."""
        return self._running is not None

    @property
    def nbytes(self) -> int:
        """Bytes of the buffers, without those of the loop, which other runners use too."""
        region = self._buffers
        own = sum(b.nbytes for b in (region.image, region.visible, region.hole, region.filled))
        return own + (0 if self._upsampling is None else self._upsampling.nbytes)

    @property
    def _used_upsampling(self) -> Upsampling | None:
        """None also where no patch of the staged region may be copied: the loop's result is enlarged then."""
        return None if self._upsampling is None or not self._upsampling.found else self._upsampling

    @property
    def runs_at_once(self) -> bool:
        """Nobody has to look at anything before the end of a pass."""
        return self._upsampling is None or self._shapes.whole

    def stage(self, image: Pixels | None, masks: Masks) -> None:
        """Puts a region where the next upload takes it from.

        Args:
            image: uint8 [S, S, C]; None: it was copied to ``image`` on the device.
            masks: of the region, none of them None.
        """
        assert masks.visible is not None
        self._staged = image, masks
        if image is not None:
            self.image.stage(image)
        self._buffers.visible.stage(masks.visible)
        self._buffers.hole.stage(masks.hole)
        if self._upsampling is not None:
            self._upsampling.stage(masks)

    def run(self, options: InpaintOptions, *, deadline: float | None = None) -> Filled:
        """Fills the staged region stage by stage, with a look at the hole and at the clock after every iteration.

        Args:
            options: of the call.
            deadline: ``time.perf_counter()`` value; an iteration that would end later is not started, save the first.
        """
        history: list[tuple[Pixels, State]] = []
        self._running = *self._run_until(options, deadline, history), options, None
        return self._collected(history, deadline)

    def _run_until(
        self, options: InpaintOptions, deadline: float | None, history: list[tuple[Pixels, State]]
    ) -> tuple[list[Stage], list[Event]]:
        """Runs the stages, no iteration that changes nothing or ends too late; returns what ran, and the events."""
        # A backend that runs ahead of the host is asked only when somebody needs to know: asking makes it wait.
        look = self._backend.synchronous or deadline is not None
        before, done = time.perf_counter(), False
        ran, events = [], [self._backend.record_event()]
        for stage in self._stages(options):
            if stage.name == "iteration" and done:
                continue
            stage.enqueue()
            ran.append(stage)
            events.append(self._backend.record_event())
            if stage.name != "iteration":
                continue
            if self._backend.synchronous:
                self._check_finite(*self._loop.outputs())
            if "history" in options.outputs:
                history.append(self._snapshot())
            done = look and self._loop.is_done()
            if deadline is not None:
                now = time.perf_counter()
                done, before = done or 2 * now - before > deadline, now
        self._backend.wait()
        if self._backend.synchronous and self._used_upsampling is not None:
            self._check_finite(self._used_upsampling.share)
        return ran, events

    def _check_finite(self, *outputs: NDArray[np.float32]) -> None:
        """Bytes have no NaN: what the networks gave must be looked at before it becomes an image.

        A sum is NaN or infinite as soon as one of its terms is. On the CPU it takes some thousandths of an iteration.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            finite = all(math.isfinite(array.sum()) for array in outputs)
        if not finite:
            raise BackendError(
                f"{self._backend.name} computed NaN or infinity in {self._backend.precision}: a value was too "
                "large, or the bundle's weights are damaged. Try precision='fp32', then another bundle"
            )

    def enqueue(self, options: InpaintOptions) -> None:
        """Enqueues the whole pass for the staged region, as one graph that is captured once where it can be."""
        assert self._staged is not None
        upsampling = self._used_upsampling
        partial = upsampling is not None and upsampling.partial
        key = options.iterations, options.outputs, upsampling is not None, partial, self._staged[0] is None
        found = self._captured.pop(key, None)
        is_first = found is None
        if found is None:
            while len(self._captured) >= MOST_CAPTURED:
                del self._captured[next(iter(self._captured))]
            found = self._capture(self._stages(options))
        self._loop.iterations = options.iterations  # a replay does not count them
        events = found.enqueue()
        if is_first:  # the capture has taken longer; afterwards nothing is looked at but what is read anyway
            self._check_finite(*self._loop.outputs())
        self._captured[key] = found  # the one used last is last
        self._running = found.stages, events, options, found.refusal

    def _capture(self, stages: list[Stage]) -> CapturedPass:
        def enqueue() -> Sequence[Event]:
            events = [self._backend.record_event()]
            for stage in stages:
                stage.enqueue()
                events.append(self._backend.record_event())
            return events

        try:
            return CapturedPass(stages, self._backend.capture(enqueue).enqueue, None)
        except CaptureError as error:
            return CapturedPass(stages, enqueue, str(error))

    def collect(self) -> Filled:
        """What became of the region that :meth:`enqueue` enqueued, once all of that is done."""
        return self._collected([], None)

    def close(self) -> None:
        """Gives up the captured graphs, which hold the runner as the runner holds them: so its memory goes at once."""
        self._captured.clear()
        self._staged = self._running = None

    def _collected(self, history: list[tuple[Pixels, State]], deadline: float | None) -> Filled:
        assert self._running is not None
        assert self._staged is not None
        stages, events, options, refusal = self._running
        self._running = None
        times = StageTimes()
        times.add(stages, events)
        iterations = len(times.iterations)
        state = self._loop.state() if _wants_state(options) else None
        if state is not None:
            self._check_finite(state.c)  # all that is there of a backend that runs ahead
        is_changed = False
        upsampling = self._used_upsampling
        if upsampling is not None and (missing := upsampling.missing(self._staged[1].hole)) is not None:
            is_changed = self._fill_again(missing, options, deadline)
        return Filled(iterations, state, history, times, refusal, is_changed)

    def _fill_again(self, missing: Pixels, options: InpaintOptions, deadline: float | None) -> bool:
        """Sec. 3.3: what only partly known patches could give is a hole again, and the loop runs once more."""
        assert self._staged is not None
        masks = self._staged[1]
        if (missing == masks.hole).all():
            return False
        assert masks.visible is not None
        assert masks.copyable is not None
        found = masks.hole - missing
        again = Masks(missing, masks.visible | found, masks.copyable | found)
        self.stage(np.array(self.filled.read()), again)
        self._run_until(InpaintOptions(iterations=options.iterations), deadline, [])
        return True

    def _stages(self, options: InpaintOptions) -> list[Stage]:
        stages = [
            Stage("copy_in", self._upload),
            Stage("prepare", self._enqueue_prepare),
            *[Stage("iteration", self._loop.enqueue_step)] * options.iterations,
        ]
        if self._used_upsampling is not None:
            stages.append(Stage("upsample", self._enqueue_upsampling))
        else:
            stages.append(Stage("composite", self._enqueue_composite))
        return [*stages, Stage("copy_out", lambda: self._download(options))]

    def _upload(self) -> None:
        assert self._staged is not None
        region = self._buffers
        for buffer in (region.visible, region.hole, *([] if self._staged[0] is None else [region.image])):
            buffer.upload()
        if self._used_upsampling is not None:
            self._used_upsampling.upload()

    def _enqueue_prepare(self) -> None:
        self._loop.start()
        self._prepare.enqueue()

    def _enqueue_upsampling(self) -> None:
        assert self._upsampling is not None
        assert self._descriptors is not None
        assert self._staged is not None
        self._loop.enqueue_seam()
        self._descriptors.enqueue()
        if self._shapes.whole:
            self._upsampling.enqueue()
            return
        image = self.image.read() if self._staged[0] is None else self._staged[0]
        self._upsampling.run_tiles(image, self._staged[1])
        if self._staged[0] is None:
            self.filled.upload()

    def _composite(self) -> Binding:
        if self._composite_binding is None:
            region = self._buffers
            inputs = {"low": self._loop.low, "image": region.image, "hole": region.hole}
            inputs |= {"weights": constant(self._backend, enlarge_weights(self._factor))}
            inputs |= {"order": region.order_back, "keep": region.keep}
            self._composite_binding = self._backend.bind("composite", inputs, {"filled": region.filled})
        return self._composite_binding

    def _enqueue_composite(self) -> None:
        self._loop.enqueue_seam()
        self._composite().enqueue()

    def _download(self, options: InpaintOptions) -> None:
        self._download_filled()
        if self._used_upsampling is not None and self._shapes.whole:
            self._used_upsampling.download()
        if _wants_state(options):
            self._loop.download()

    def _download_filled(self) -> None:
        assert self._staged is not None
        # In tiles it is made on the host; of an image on the device nothing comes to the host.
        if self._staged[0] is not None and (self._used_upsampling is None or self._shapes.whole):
            self.filled.download()

    def _snapshot(self) -> tuple[Pixels, State]:
        """The region as the loop has it now, enlarged."""
        self._enqueue_composite()
        self._loop.download()
        return np.array(self.filled.read()), self._loop.state()


def _wants_state(options: InpaintOptions) -> bool:
    return "confidence" in options.outputs or "hole_left" in options.outputs
