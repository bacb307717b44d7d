"""Algorithm 1 on a backend: the step graph over two sets of buffers in turn, and the seam that closes its result."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from iic_rt.bundle.shapes import loop_shapes
from iic_rt.contract import Backend, Binding, Buffer

__all__ = ["Loop", "State"]

Array = NDArray[np.float32]
ENOUGH = 0.01  # share of the hole: more than that has to be left for another iteration


@dataclass(frozen=True)
class State:
    """What is known of each working pixel after an iteration; the arrays are copies.

    Attributes:
        m: float32 [s, s] in {0, 1}, what is left of the hole.
        c: float32 [s, s] in [0, 1], the confidence.
    """

    m: Array
    c: Array


class Loop:
    """Owns the buffers and bindings of one backend at one working size; close the backend after the loop's last use.

    ``prepare`` writes to ``y`` and ``hole``; then come :meth:`start`, :meth:`enqueue_step` as often as wanted, and
    :meth:`enqueue_seam`. A step without a hole changes nothing.

    Attributes:
        working_size: s.
        y: buffer [1, 3, s, s], the image that the first iteration reads.
        hole: buffer [1, 1, s, s], the hole as the first iteration sees it.
        low: buffer [1, 3, s + 12, s + 12], the result with its seam closed and its border repeated.
        iterations: how many were enqueued since :meth:`start`.
    """

    def __init__(self, backend: Backend, *, working_size: int) -> None:
        self.working_size, self.iterations = working_size, 0
        self._left: list[int] = []  # pixels of the hole, before the first iteration and after each
        shapes = loop_shapes(working_size)

        def buffer(name: str) -> Buffer:
            return backend.allocate(shapes[name], "float32")

        self._sets = [{name: buffer(name) for name in ("y", "m", "c")} for _ in range(2)]
        self.y, self.hole, self.low = self._sets[0]["y"], buffer("m"), buffer("low")
        first, later = buffer("first"), buffer("first")
        first.write(np.ones(1, np.float32))
        later.write(np.zeros(1, np.float32))

        def step(source: int, flag: Buffer, hole: Buffer) -> Binding:
            outputs = {f"{name}_out": made for name, made in self._sets[1 - source].items()}
            return backend.bind("step", self._sets[source] | {"first": flag, "m": hole}, outputs)

        self._first_step = step(0, first, self.hole)
        self._later_steps = [step(i, later, self._sets[i]["m"]) for i in range(2)]
        self._seams = [backend.bind("seam", {"y": s["y"], "m": self.hole}, {"low": self.low}) for s in self._sets]

    def start(self) -> None:
        """Forgets the iterations of the region before."""
        self.iterations = 0
        self._left.clear()

    def enqueue_step(self) -> None:
        """Enqueues one iteration."""
        (self._later_steps[self.iterations % 2] if self.iterations else self._first_step).enqueue()
        self.iterations += 1

    def enqueue_seam(self) -> None:
        """Enqueues ``low``, made of the last iteration's result."""
        self._seams[self.iterations % 2].enqueue()

    def is_done(self) -> bool:
        """Whether another iteration is not worth it: at most 1 % of the hole is left, or the last one trusted
        none of it, and the next would see what that one saw. Waits for the last one; to be asked after each.
        """
        if not self._left:
            self._left.append(int(np.count_nonzero(self.hole.read())))
        self._left.append(int(np.count_nonzero(self._last["m"].read())))  # one small copy an iteration from a device
        whole, before, left = self._left[0], *self._left[-2:]
        return left == before or left <= ENOUGH * whole

    def outputs(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Image and confidence of the last iteration; waits for it, and the next region overwrites both."""
        return self._last["y"].read(), self._last["c"].read()

    @property
    def _last(self) -> dict[str, Buffer]:
        return self._sets[self.iterations % 2]

    def download(self) -> None:
        """Enqueues the copies that :meth:`state` reads."""
        for name in ("m", "c"):
            self._last[name].download()

    def state(self) -> State:
        """The state after the last iteration, once its download is done."""
        m, c = (np.array(self._last[name].host[0, 0]) for name in ("m", "c"))
        return State(m, c)
