"""The scene of one call, and how contenders take turns at it."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

__all__ = ["ITERATIONS", "SIZE", "Contender", "measure", "scene", "summary"]

SIZE, ITERATIONS = 512, 4  # pixels, most iterations
Contender = Callable[[], object]


def scene() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A 512 x 512 picture of smooth patches and one round object of 15 % of it."""
    rng = np.random.default_rng(0)
    image = np.kron(rng.integers(0, 256, (16, 16, 3), np.uint8), np.ones((32, 32, 1), np.uint8))
    yy, xx = np.mgrid[:SIZE, :SIZE]
    hole = ((yy - 260) ** 2 + (xx - 240) ** 2 < 112**2).astype(np.uint8)
    return image, hole


def measure(contenders: dict[str, Contender], *, repeats: int) -> dict[str, list[float]]:
    """Milliseconds of each contender, one value a round; the order turns with every round."""
    for run in contenders.values():
        for _ in range(3):
            run()
    found: dict[str, list[float]] = {name: [] for name in contenders}
    names = list(contenders)
    for i in range(repeats):
        for name in names[i % len(names) :] + names[: i % len(names)]:
            started = time.perf_counter()
            own = contenders[name]()
            found[name].append(own if isinstance(own, float) else (time.perf_counter() - started) * 1e3)
    return found


def summary(values: list[float]) -> dict[str, float]:
    """Percentiles 50, 90 and 99, rounded."""
    return {f"p{q}": round(float(np.percentile(values, q)), 2) for q in (50, 90, 99)}
