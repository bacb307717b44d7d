"""A training step as a CUDA graph: its kernels are launched at once, where launching them one by one takes the host
longer than a GPU needs to run them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

__all__ = ["CapturedStep", "CudaRecorder", "Recorder"]

WARM_UPS = 3  # steps that compile and allocate what a capture may not
Losses = dict[str, Tensor]


class Recorder(Protocol):
    """How work is recorded and replayed; tests have one without a GPU."""

    def run(self, work: Callable[[], Losses]) -> Losses:
        """Runs the work once, as it will be recorded."""

    def record(self, work: Callable[[], Losses]) -> Callable[[], Losses]:
        """Records the work without running it; what is returned runs it."""


class CudaRecorder:
    """Records on a stream of its own: gradients must be accumulated on the stream that is captured."""

    def __init__(self) -> None:
        self._stream = torch.cuda.Stream()
        self._pool = torch.cuda.graph_pool_handle()  # graphs run one after another, and may share their memory

    def run(self, work: Callable[[], Losses]) -> Losses:
        current = torch.cuda.current_stream()
        self._stream.wait_stream(current)
        with torch.cuda.stream(self._stream):
            losses = work()
        current.wait_stream(self._stream)
        return losses

    def record(self, work: Callable[[], Losses]) -> Callable[[], Losses]:
        graph = torch.cuda.CUDAGraph()
        torch.cuda.synchronize()
        # Another thread may read the next batch meanwhile, and allocate for it.
        with torch.cuda.graph(graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"):
            losses = work()
            values = torch.stack(list(losses.values()))

        def replay() -> Losses:
            graph.replay()
            return dict(zip(losses, values.clone().unbind(), strict=True))  # the next replay writes over them

        return replay


class CapturedStep:
    """``compute`` on inputs of one shape, recorded after some steps that run as ever.

    What it draws at random while it is recorded stays as it was drawn, so it is recorded several times, and the
    recordings take turns.

    Args:
        compute: x and m to losses; forward, backward and the optimiser's step, all on the device and without waits.
        recorder: records.
        variants: how many recordings.
    """

    def __init__(self, compute: Callable[[Tensor, Tensor], Losses], recorder: Recorder, *, variants: int) -> None:
        self._compute, self._recorder, self._variants = compute, recorder, variants
        self._calls, self._refused = 0, False
        self._inputs: tuple[Tensor, Tensor] | None = None
        self._recordings: list[Callable[[], Losses]] = []

    def __call__(self, x: Tensor, m: Tensor) -> Losses:
        self._calls += 1
        if len(self._recordings) == self._variants:
            assert self._inputs is not None
            for held, given in zip(self._inputs, (x, m), strict=True):
                held.copy_(given)
            return self._recordings[self._calls % self._variants]()
        drawn = torch.get_rng_state()
        losses = self._recorder.run(lambda: self._compute(x, m))
        if self._calls > WARM_UPS and not self._refused:
            after = torch.get_rng_state()
            torch.set_rng_state(drawn)  # what has just run, so that nothing is new to it
            self._record(x, m)
            torch.set_rng_state(after)
        return losses

    def _record(self, x: Tensor, m: Tensor) -> None:
        held_x, held_m = self._inputs = self._inputs or (x.clone(), m.clone())
        try:
            self._recordings.append(self._recorder.record(lambda: self._compute(held_x, held_m)))
        except RuntimeError as error:  # slower, and no reason to end a run
            self._refused = True
            print(f"the step cannot be captured, its kernels go one by one: {error}", file=sys.stderr, flush=True)
