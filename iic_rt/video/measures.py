"""Percentiles and stages of a run of any length, in memory that does not grow."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from iic_rt.result import Timings

__all__ = ["Percentiles", "Stages"]

LEAST, STEP, BINS = 0.01, 1.01, 2000  # milliseconds; from bin to bin; up to an hour


class Percentiles:
    """Of times in milliseconds, to 1 %."""

    def __init__(self) -> None:
        self._counts: NDArray[np.int64] = np.zeros(BINS, np.int64)

    def add(self, ms: float) -> None:
        bin_number = int(math.log(max(ms, LEAST) / LEAST) / math.log(STEP))
        self._counts[min(bin_number, BINS - 1)] += 1

    def report(self) -> dict[str, float | None]:
        """p50, p90 and p99; None before the first time."""
        total = int(self._counts.sum())
        reached = np.cumsum(self._counts)
        found: dict[str, float | None] = {}
        for share in (50, 90, 99):
            at = int(np.searchsorted(reached, total * share / 100))
            found[f"p{share}"] = round(LEAST * STEP ** (at + 0.5), 2) if total else None
        return found


class Stages:
    """Milliseconds that went into each stage.

    Attributes:
        total: by name. ``read`` (decoding and colours) and ``mask`` run in the reading thread, ``write`` in the
            caller's, the rest in the worker; ``host`` is the time of filled frames that no graph and no copy took.
    """

    GRAPHS = ("prepare", "iterations", "upsample", "composite")

    def __init__(self) -> None:
        names = ("read", "mask", "copy_in", *self.GRAPHS, "copy_out", "host", "write")
        self.total = dict.fromkeys(names, 0.0)

    def add(self, timings: Timings) -> None:
        """The timings of a filled frame."""
        known = 0.0
        for name in ("copy_in", *self.GRAPHS, "copy_out"):
            value: Any = getattr(timings, f"{name}_ms")
            spent = float(sum(value)) if isinstance(value, tuple) else float(value)
            self.total[name] += spent
            known += spent
        self.total["host"] += max(0.0, timings.total_ms - known)

    @property
    def graphs_ms(self) -> float:
        """Time in the graphs alone."""
        return sum(self.total[name] for name in self.GRAPHS)
