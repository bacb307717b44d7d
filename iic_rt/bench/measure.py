"""Timing: workers side by side on one case, or two contenders in turn on a pair."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from iic_rt import Inpainter, InpaintOptions, InpaintResult
from iic_rt.bench.cases import Case, Scene
from iic_rt.bench.check import Reference, check
from iic_rt.bench.environment import peak_mib
from iic_rt.bench.meter import Meter
from iic_rt.bench.metrics import percentiles
from iic_rt.errors import BackendError
from iic_rt.pool import usable_threads

__all__ = ["STAGES", "Contender", "Sample", "ratio", "run_case", "run_pair", "summary", "take_turns"]

Taken = TypeVar("Taken")
STAGES = ("copy_in", "prepare", "upsample", "composite", "copy_out")  # of ``Timings``, the iterations aside
SETTLE_SECONDS = 0.02  # engines let their threads spin for a while after a call; the next in turn shall not pay for it


@dataclass(frozen=True)
class Sample:
    """Milliseconds of one timed unit: end to end by the CPU's clock, and its pictures' stages summed."""

    end_to_end: float
    stages: dict[str, float]
    iterations: tuple[float, ...]


class Contender:
    """An opened inpainter whose first result was found right.

    Attributes:
        open_ms: loading the graphs and opening the engine.
        first_ms: the first call, with all that is built on first use.
        check: figures of :func:`check`.
        last: the last result.
    """

    def __init__(self, case: Case, scene: Scene, expected: Reference, *, threads: int | None) -> None:
        self._batch, self._scene, self._expected = case.batch, scene, expected
        started = time.perf_counter()
        self.inpainter = Inpainter(
            case.bundle,
            backend=case.backend,
            precision=case.precision,
            threads=threads,
            working_size=case.working_size,
            options=InpaintOptions(grow=0, iterations=case.iterations, outputs=("confidence",)),
        )
        self.open_ms = (time.perf_counter() - started) * 1e3
        try:
            started = time.perf_counter()
            self.last: InpaintResult = self.inpainter.inpaint(scene.image, scene.hole)
            for warning in self.last.warnings:
                warnings.warn(str(warning), stacklevel=2)  # the row of the case quotes it
            self.first_ms = (time.perf_counter() - started) * 1e3
            self.check = self.look()
        except BaseException:
            self.close()
            raise

    def look(self) -> dict[str, Any]:
        """Figures of the last result.

        Raises:
            BackendError: it is wrong.
        """
        return check(self.last, self._expected, self._scene, self.inpainter.precision)

    def unit(self) -> Sample:
        """One timed unit: ``batch`` pictures, one after another."""
        results = []
        started = time.perf_counter()
        for _ in range(self._batch):
            results.append(self.inpainter.inpaint(self._scene.image, self._scene.hole))
        end_to_end = (time.perf_counter() - started) * 1e3
        self.last = results[-1]
        timings = [r.timings for r in results]
        longest = max(len(t.iterations_ms) for t in timings)
        return Sample(
            end_to_end,
            {stage: sum(getattr(t, f"{stage}_ms") for t in timings) for stage in STAGES},
            tuple(sum(t.iterations_ms[i] for t in timings if i < len(t.iterations_ms)) for i in range(longest)),
        )

    def units(self, count: int) -> list[Sample]:
        return [self.unit() for _ in range(count)]

    def close(self) -> None:
        self.inpainter.close()

    def facts(self, samples: Sequence[Sample]) -> dict[str, Any]:
        """The part of a record that a case and each side of a pair have in common."""
        return {
            "backend": self.inpainter.backend_name,
            "precision": self.inpainter.precision,
            "working_size": self.inpainter.working_size,
            "check": self.check,
            "iterations": self.last.iterations,
            "regions": self.last.regions,
            "open_ms": _round(self.open_ms),
            "first_ms": _round(self.first_ms),
            "end_to_end_ms": summary([s.end_to_end for s in samples]),
            "stages_ms": stages(samples),
            "samples_ms": [_round(s.end_to_end) for s in samples],
        }


def run_case(case: Case, scene: Scene, expected: Reference) -> dict[str, Any]:
    """Measures a case; every worker has a thread and an inpainter of its own.

    Raises:
        IICError: a backend is missing, fails, or its output is wrong before or after the timing.
    """
    threads = case.threads
    if case.workers > 1:
        threads = max(1, (case.threads or usable_threads()) // case.workers)
    with ExitStack() as stack:
        meter = stack.enter_context(Meter())
        contenders = []
        lanes = []
        for _ in range(case.workers):
            lane = stack.enter_context(ThreadPoolExecutor(1))
            opened = lane.submit(Contender, case, scene, expected, threads=threads).result()
            stack.callback(_close, lane, opened)
            lanes.append(lane)
            contenders.append(opened)

        def together(count: int) -> list[list[Sample]]:
            jobs = [lane.submit(c.units, count) for lane, c in zip(lanes, contenders, strict=True)]
            return [job.result() for job in jobs]

        together(case.warmup)
        meter.begin()
        started = time.perf_counter()
        found = together(case.repeats)
        seconds = time.perf_counter() - started
        pictures = case.workers * case.repeats * case.batch
        sensors = meter.end(seconds, pictures)
        for contender in contenders:
            contender.look()
        samples = [sample for worker in found for sample in worker]
        return contenders[0].facts(samples) | {
            "threads": threads,
            "pictures": pictures,
            "pictures_per_s": round(pictures / seconds, 4),
            "host_peak_mib": peak_mib(),
            "sensors": sensors,
        }


def _close(lane: ThreadPoolExecutor, contender: Contender) -> None:
    """In the thread that opened it."""
    lane.submit(contender.close).result()


def run_pair(pair: Sequence[Case], scene: Scene, expected: Reference) -> dict[str, Any]:
    """Measures two contenders in turn, in one process, so that a busy machine slows both alike.

    Raises:
        IICError: as :func:`run_case`, for either.
    """
    with ExitStack() as stack:
        contenders = []
        for case in pair:
            contenders.append(Contender(case, scene, expected, threads=case.threads))
            stack.callback(contenders[-1].close)
        units = [contender.unit for contender in contenders]
        take_turns(units, pair[0].warmup, settle=SETTLE_SECONDS)
        found = take_turns(units, pair[0].repeats, settle=SETTLE_SECONDS)
        for contender in contenders:
            contender.look()
        return {
            "ratio": ratio([(a.end_to_end, b.end_to_end) for a, b in zip(*found, strict=True)]),
            "contenders": [c.facts(samples) for c, samples in zip(contenders, found, strict=True)],
        }


def take_turns(units: Sequence[Callable[[], Taken]], rounds: int, *, settle: float = 0.0) -> list[list[Taken]]:
    """Runs each unit once a round, and begins each round with the next of them; returns what each gave.

    Args:
        units: of the contenders.
        rounds: how many.
        settle: seconds before each unit.
    """
    found: list[list[Taken]] = [[] for _ in units]
    for i in range(rounds):
        for k in range(len(units)):
            turn = (i + k) % len(units)
            time.sleep(settle)
            found[turn].append(units[turn]())
    return found


def ratio(rounds: Sequence[tuple[float, float]]) -> dict[str, float]:
    """Median and spread of A's milliseconds over B's, round by round."""
    return percentiles([a / b for a, b in rounds], points=(10, 50, 90)) | {"rounds": len(rounds)}


def summary(values: Sequence[float]) -> dict[str, float]:
    """Percentiles and mean of milliseconds.

    Raises:
        BackendError: one of them is no number.
    """
    if not np.isfinite(values).all():
        raise BackendError("the backend's events gave a time that is no number; its stages cannot be trusted")
    return percentiles(values) | {"mean": _round(float(np.mean(values))), "n": len(values)}


def stages(samples: Sequence[Sample]) -> dict[str, Any]:
    """Summaries of every stage; ``rest`` is what the end-to-end time holds beside them, so the means add up."""
    longest = max(len(s.iterations) for s in samples)
    # An iteration that a call did not need took no time.
    columns = [[s.iterations[i] if i < len(s.iterations) else 0.0 for s in samples] for i in range(longest)]
    found: dict[str, Any] = {stage: summary([s.stages[stage] for s in samples]) for stage in STAGES}
    found["iterations"] = [summary(column) for column in columns]
    found["rest"] = summary([s.end_to_end - sum(s.stages.values()) - sum(s.iterations) for s in samples])
    return found


def _round(ms: float) -> float:
    return round(ms, 4)
