"""The scene of one call, and how contenders take turns at it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from iic_rt.bench.measure import take_turns
from iic_rt.bench.metrics import percentiles

__all__ = ["ITERATIONS", "SIZE", "Contender", "measure", "scene", "summary"]

SIZE, ITERATIONS = 512, 4  # pixels, most iterations
WARM_UP = 3  # calls
Contender = Callable[[], object]


def scene() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A 512 x 512 picture of smooth patches and one round object of 15 % of it."""
    rng = np.random.default_rng(0)
    image = np.kron(rng.integers(0, 256, (16, 16, 3), np.uint8), np.ones((32, 32, 1), np.uint8))
    yy, xx = np.mgrid[:SIZE, :SIZE]
    hole = ((yy - 260) ** 2 + (xx - 240) ** 2 < 112**2).astype(np.uint8)
    return image, hole


def measure(contenders: dict[str, Contender], *, repeats: int) -> dict[str, list[float]]:
    """Milliseconds of each contender, one value a round, after a warm-up: its own value where it gives one."""

    def timed(run: Contender) -> Callable[[], float]:
        def unit() -> float:
            started = time.perf_counter()
            own = run()
            return own if isinstance(own, float) else (time.perf_counter() - started) * 1e3

        return unit

    units = [timed(run) for run in contenders.values()]
    for unit in units:
        for _ in range(WARM_UP):
            unit()
    return dict(zip(contenders, take_turns(units, repeats), strict=True))


def summary(values: Sequence[float]) -> dict[str, float]:
    """Percentiles 50, 90 and 99, rounded."""
    return percentiles(values, digits=2)
