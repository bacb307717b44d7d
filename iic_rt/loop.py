"""Algorithm 1 on a backend: prepare a crop, then enqueue the step graph over two sets of buffers in turn."""

from __future__ import annotations

import time
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from iic_rt.backends.base import Backend, Binding, Buffer
from iic_rt.reference import Array, area_weights

__all__ = ["Filled", "Loop", "State"]

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
    prepare_ms: float
    iterations_ms: list[float]


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
        self._prepares: dict[int, tuple[Buffer, Buffer, Binding]] = {}

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

    def _prepare(self, side: int) -> tuple[Buffer, Buffer, Binding]:
        if side not in self._prepares:
            if len(self._prepares) == MAX_SIDES:
                del self._prepares[next(iter(self._prepares))]
            image = self._backend.allocate((side, side, 3), "uint8")
            mask = self._backend.allocate((side, side), "uint8")
            values = area_weights(side / self.working_size)
            weights = self._backend.allocate(values.shape, "float32")
            weights.write(values)
            outputs = {"y": self._sets[0]["y"], "m": self.hole}
            inputs = {"image": image, "mask": mask, "weights": weights}
            self._prepares[side] = image, mask, self._backend.bind("prepare", inputs, outputs)
        return self._prepares[side]

    def fill(
        self,
        image: NDArray[np.uint8],
        mask: NDArray[np.uint8],
        *,
        iterations: int,
        deadline: float | None = None,
        keep: bool = False,
    ) -> Filled:
        """Fills the hole of a crop.

        Args:
            image: uint8 [S, S, 3]; S is a side of the ladder.
            mask: uint8 [S, S] in {0, 1}, 1 = hole.
            iterations: most iterations.
            deadline: ``time.perf_counter()`` value; an iteration that would end later is not started, save the first.
            keep: return the state after every iteration and not only the last.
        """
        started = time.perf_counter()
        image_buffer, mask_buffer, prepare = self._prepare(image.shape[0])
        image_buffer.write(image)
        mask_buffer.write(mask)
        prepare.enqueue()
        marks = [time.perf_counter()]
        prepare_ms = (marks[0] - started) * 1e3
        states: list[State] = []
        # A backend that runs ahead of the host is asked only when somebody needs to know: asking makes it wait.
        look = self._backend.synchronous or deadline is not None
        for t in range(iterations):
            self._steps[0 if t == 0 else 2 - t % 2].enqueue()
            out = self._sets[(t + 1) % 2]
            done = t + 1 == iterations or (look and not out["m"].read().any())
            marks.append(time.perf_counter())
            if deadline is not None:
                done = done or 2 * marks[-1] - marks[-2] > deadline
            if done or keep:
                y, m, c = (np.array(out[name].read()[0]) for name in ("y", "m", "c"))
                states.append(State(y, m[0], c[0]))
            if done:
                break
        return Filled(states, t + 1, (t + 1) % 2, prepare_ms, [1e3 * (b - a) for a, b in pairwise(marks)])
