"""Honest times of calls on a GPU: many calls between two events, on memory that the cache does not hold."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch

from cpp_ext.bench.counts import Peaks

__all__ = ["copies_needed", "measure_peaks", "milliseconds"]

CACHE_FACTOR = 2  # bytes of all copies, in sizes of the L2 cache
FEWEST_CALLS = 8  # between two events, whose own time is then small


def copies_needed(moved_bytes: int, cache_bytes: int) -> int:
    """Copies of operands to rotate through, so that each has left the L2 cache when its turn comes again."""
    return max(FEWEST_CALLS, math.ceil(CACHE_FACTOR * cache_bytes / moved_bytes))


def milliseconds(calls: Sequence[Callable[[], object]], *, repeats: int, graph: bool) -> dict[str, float]:
    """Times one call: the time of running ``calls`` in turn, divided by their number, and percentiles over ``repeats``.

    ``graph``: all calls are captured into one CUDA graph and replayed, without the cost of launching each.
    """

    def in_turn() -> None:
        for call in calls:
            call()

    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        in_turn()
    torch.cuda.synchronize()
    run: Callable[[], object] = in_turn
    if graph:
        captured = torch.cuda.CUDAGraph()
        with torch.cuda.graph(captured):
            in_turn()
        run = captured.replay
    for _ in range(2):
        run()
    marks = [(torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)) for _ in range(repeats)]
    for begin, end in marks:
        begin.record()
        run()
        end.record()
    torch.cuda.synchronize()
    times = np.array([begin.elapsed_time(end) for begin, end in marks]) / len(calls)
    p10, p50, p90 = np.percentile(times, [10, 50, 90])
    return {"p10": float(p10), "p50": float(p50), "p90": float(p90), "calls": len(calls), "repeats": repeats}


def measure_peaks(dtype: torch.dtype, repeats: int) -> Peaks:
    """What this device reaches: a product of two large matrices, and a copy far larger than the L2 cache."""
    side = 8192 if dtype == torch.float16 else 4096
    a, b = torch.randn(2, side, side, device="cuda", dtype=dtype)
    product = milliseconds([lambda: a @ b], repeats=repeats, graph=False)["p10"]
    source = torch.empty(1 << 28, dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    copy = milliseconds([lambda: target.copy_(source)], repeats=repeats, graph=False)["p10"]
    return Peaks(flops=2e3 * side**3 / product, bytes=2e3 * source.numel() / copy)
