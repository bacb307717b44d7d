"""Algorithm 1 on a backend: prepare a crop, then enqueue the step graph over two sets of buffers in turn."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from iic_rt.backends.base import Backend, Binding, Buffer, Mark
from iic_rt.reference import Array, area_weights

__all__ = ["Crop", "Filled", "Loop", "State"]

MAX_SIDES = 4  # crop sides whose buffers are kept


@dataclass(frozen=True)
class State:
    """The picture at working resolution after an iteration; the arrays are copies."""

    y: Array  # [3, s, s] in [-1, 1]
    m: Array  # [s, s] in {0, 1}
    c: Array  # [s, s] in [0, 1]


@dataclass(frozen=True)
class Filled:
    """What the loop made of a crop: one state, or all of them when they were to be kept, and milliseconds."""

    states: list[State]
    iterations: int
    result: int  # which of ``Loop.results`` holds the last y, until the next call
    copy_in_ms: float
    prepare_ms: float
    iterations_ms: list[float]


@dataclass(frozen=True)
class Crop:
    """Buffers uint8 [S, S, 3] and [S, S] for crops of one side, and the graph that shrinks them."""

    image: Buffer
    mask: Buffer
    prepare: Binding

    def stage(self, image: NDArray[np.uint8], mask: NDArray[np.uint8]) -> None:
        """Puts a crop where the next upload takes it from."""
        self.image.stage(image)
        self.mask.stage(mask)

    def upload(self) -> None:
        self.image.upload()
        self.mask.upload()


class Loop:
    """Owns the buffers and bindings of one backend at one working size; close the backend after the loop's last use.

    Attributes:
        hole: buffer [1, 1, s, s], the hole of the last crop as the first iteration saw it.
    """

    def __init__(self, backend: Backend, *, working_size: int) -> None:
        self._backend, self.working_size = backend, working_size
        shapes = {"y": 3, "m": 1, "c": 1}
        self._sets: list[dict[str, Buffer]] = [
            {name: backend.allocate((1, n, working_size, working_size), "float32") for name, n in shapes.items()}
            for _ in range(2)
        ]
        self.hole = backend.allocate((1, 1, working_size, working_size), "float32")
        self._first, later = backend.allocate((1,), "float32"), backend.allocate((1,), "float32")
        self._first.write(np.ones(1, np.float32))
        later.write(np.zeros(1, np.float32))
        self._steps = [self._bind_step(0, self._first), self._bind_step(1, later), self._bind_step(0, later)]
        self._crops: dict[int, Crop] = {}

    def _bind_step(self, source: int, first: Buffer) -> Binding:
        outputs = {f"{name}_out": buffer for name, buffer in self._sets[1 - source].items()}
        inputs = self._sets[source] | {"first": first}
        if first is self._first:
            inputs["m"] = self.hole
        return self._backend.bind("step", inputs, outputs)

    @property
    def results(self) -> tuple[Buffer, Buffer]:
        """The two buffers [1, 3, s, s] that y ends in: ``Filled.result`` says in which."""
        return self._sets[0]["y"], self._sets[1]["y"]

    def crop(self, side: int) -> Crop:
        """The buffers for crops of ``side`` pixels, a side of the ladder."""
        if side not in self._crops:
            if len(self._crops) == MAX_SIDES:
                del self._crops[next(iter(self._crops))]
            image = self._backend.allocate((side, side, 3), "uint8", shared=True)
            mask = self._backend.allocate((side, side), "uint8", shared=True)
            values = area_weights(side / self.working_size)
            weights = self._backend.allocate(values.shape, "float32")
            weights.write(values)
            outputs = {"y": self._sets[0]["y"], "m": self.hole}
            inputs = {"image": image, "mask": mask, "weights": weights}
            self._crops[side] = Crop(image, mask, self._backend.bind("prepare", inputs, outputs))
        return self._crops[side]

    def fill(
        self,
        image: NDArray[np.uint8],
        mask: NDArray[np.uint8],
        *,
        iterations: int,
        deadline: float | None = None,
        keep: bool = False,
    ) -> Filled:
        """Fills the hole of a crop, one iteration after the other, for as long as there is a hole and time.

        Args:
            image: uint8 [S, S, 3]; S is a side of the ladder.
            mask: uint8 [S, S] in {0, 1}, 1 = hole.
            iterations: most iterations.
            deadline: ``time.perf_counter()`` value; an iteration that would end later is not started, save the first.
            keep: return the state after every iteration and not only the last.
        """
        marks = [self._backend.mark()]
        crop = self.crop(image.shape[0])
        crop.stage(image, mask)
        crop.upload()
        marks.append(self._backend.mark())
        crop.prepare.enqueue()
        marks.append(self._backend.mark())
        before = time.perf_counter()
        states: list[State] = []
        # A backend that runs ahead of the host is asked only when somebody needs to know: asking makes it wait.
        look = self._backend.synchronous or deadline is not None
        for t in range(iterations):
            self._enqueue_step(t)
            marks.append(self._backend.mark())
            done = t + 1 == iterations or (look and not self._sets[(t + 1) % 2]["m"].read().any())
            if deadline is not None:
                now = time.perf_counter()
                done, before = done or 2 * now - before > deadline, now
            if done or keep:
                self.download(t + 1)
                self._backend.wait()
                states.append(self.state(t + 1))
            if done:
                break
        return self.filled(states, t + 1, marks)

    def enqueue(self, side: int, iterations: int) -> list[Mark]:
        """Enqueues the staged crop of ``side`` pixels: upload, prepare, and exactly ``iterations`` steps.

        A step without a hole changes nothing, so the result is that of :meth:`fill`. The marks are set before and
        after each of these.
        """
        crop = self.crop(side)
        marks = [self._backend.mark()]
        crop.upload()
        marks.append(self._backend.mark())
        crop.prepare.enqueue()
        marks.append(self._backend.mark())
        for t in range(iterations):
            self._enqueue_step(t)
            marks.append(self._backend.mark())
        return marks

    def _enqueue_step(self, t: int) -> None:
        self._steps[0 if t == 0 else 2 - t % 2].enqueue()

    def download(self, iterations: int) -> None:
        """Enqueues the copies that :meth:`state` reads."""
        for name in ("y", "m", "c"):
            self._sets[iterations % 2][name].download()

    def state(self, iterations: int) -> State:
        """The state after so many iterations, once its download is done."""
        y, m, c = (np.array(self._sets[iterations % 2][name].host[0]) for name in ("y", "m", "c"))
        return State(y, m[0], c[0])

    @staticmethod
    def filled(states: list[State], iterations: int, marks: Sequence[Mark]) -> Filled:
        """A report of ``states``, with the times between ``marks`` as :meth:`enqueue` sets them."""
        copy_in_ms, prepare_ms, *iterations_ms = (b.ms_since(a) for a, b in pairwise(marks))
        return Filled(states, iterations, iterations % 2, copy_in_ms, prepare_ms, iterations_ms)
