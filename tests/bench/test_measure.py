"""Percentiles, stages that add up, contenders in turn, workers in threads of their own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest

from iic_rt import InpaintResult
from iic_rt.bench import measure as module
from iic_rt.bench.cases import Case, Scene
from iic_rt.bench.check import Reference
from iic_rt.bench.measure import Contender, Sample, ratio, run_case, run_pair, stages, summary, take_turns
from iic_rt.errors import BackendError
from iic_rt.result import Timings


class FakeInpainter:
    """Answers with the expected picture and fixed times, and remembers who called."""

    backend_name, precision, working_size = "fake", "fp32", 64
    expected: ClassVar[Reference]
    threads: ClassVar[list[int | None]] = []
    opened: ClassVar[list[int]] = []
    closed: ClassVar[list[int]] = []
    calls: ClassVar[list[int]] = []

    def __init__(self, bundle: str, *, threads: int | None, **rest: Any) -> None:
        self.threads.append(threads)
        self.opened.append(threading.get_ident())

    def inpaint(self, image: Any, mask: Any) -> InpaintResult:
        self.calls.append(threading.get_ident())
        left = np.zeros(image.shape[:2], np.uint8)
        timings = Timings(
            total_ms=40, copy_in_ms=1, prepare_ms=2, iterations_ms=(8, 4), upsample_ms=16, copy_out_ms=3, composite_ms=5
        )
        return InpaintResult(
            image=self.expected.image,
            confidence=self.expected.confidence,
            hole=left,
            hole_left=left,
            iterations=2,
            regions=1,
            timings=timings,
        )

    def close(self) -> None:
        self.closed.append(threading.get_ident())


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, expected: Reference) -> type[FakeInpainter]:
    for name in ("threads", "opened", "closed", "calls"):
        monkeypatch.setattr(FakeInpainter, name, [])
    monkeypatch.setattr(FakeInpainter, "expected", expected, raising=False)
    monkeypatch.setattr(module, "Inpainter", FakeInpainter)
    return FakeInpainter


def test_percentiles_on_known_data() -> None:
    found = summary(list(range(1, 101)))
    assert found == {"p50": 50.5, "p90": 90.1, "p99": 99.01, "mean": 50.5, "n": 100}


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_a_time_that_is_no_number_is_an_error(wrong: float) -> None:
    with pytest.raises(BackendError, match="no number"):
        summary([1.0, wrong, 2.0])


def test_stages_and_rest_add_up() -> None:
    zero = dict.fromkeys(module.STAGES, 0.0)
    samples = [Sample(20, zero | {"upsample": 10.0}, (4.0, 2.0)), Sample(30, zero | {"composite": 6.0}, (8.0,))]
    found = stages(samples)
    assert [times["mean"] for times in found["iterations"]] == [6, 1]  # the second ran in one call of two
    assert found["rest"]["mean"] == (4 + 16) / 2
    named = sum(found[stage]["mean"] for stage in (*module.STAGES, "rest"))
    assert named + 6 + 1 == 25


def test_a_unit_sums_its_batch(fake: type[FakeInpainter], case: Case, scene: Scene, expected: Reference) -> None:
    contender = Contender(replace(case, batch=3), scene, expected, threads=1)
    fake.calls.clear()
    sample = contender.unit()
    assert len(fake.calls) == 3
    assert sample.stages == {"copy_in": 3, "prepare": 6, "upsample": 48, "copy_out": 9, "composite": 15}
    assert sample.iterations == (24, 12)


def test_workers_share_threads_and_keep_to_their_own(
    fake: type[FakeInpainter], case: Case, scene: Scene, expected: Reference
) -> None:
    asked = replace(case, mode="throughput", workers=3, threads=7, repeats=5, batch=2, warmup=1)
    found = run_case(asked, scene, expected)
    assert fake.threads == [2, 2, 2]
    assert len(set(fake.opened)) == 3
    assert fake.closed[::-1] == fake.opened
    assert set(fake.calls) == set(fake.opened)
    assert found["pictures"] == 3 * 5 * 2
    assert len(found["samples_ms"]) == 3 * 5
    assert found["pictures_per_s"] > 0


def test_one_worker_gets_the_threads_asked_for(
    fake: type[FakeInpainter], case: Case, scene: Scene, expected: Reference
) -> None:
    assert run_case(replace(case, threads=None), scene, expected)["threads"] is None
    assert fake.threads == [None]
    assert len(fake.calls) == 1 + case.warmup + case.repeats


def drifting(milliseconds: float, order: list[str], name: str) -> Callable[[], Sample]:
    """A contender on a machine that gets slower with every round."""

    def unit() -> Sample:
        order.append(name)
        return Sample(milliseconds * (1 + (len(order) - 1) // 2), {}, ())

    return unit


def test_two_take_turns_and_the_order_turns_too() -> None:
    order: list[str] = []
    found = take_turns([drifting(20, order, "a"), drifting(10, order, "b")], 3)
    assert "".join(order) == "abbaab"
    pairs = [(a.end_to_end, b.end_to_end) for a, b in zip(*found, strict=True)]
    assert pairs == [(20, 10), (40, 20), (60, 30)]
    assert ratio(pairs) == {"p10": 2, "p50": 2, "p90": 2, "rounds": 3}  # the drift cancels out


def test_each_of_three_begins_a_round() -> None:
    order: list[str] = []
    found = take_turns([lambda name=name: order.append(name) or name for name in "abc"], 4)
    assert "".join(order) == "abc" + "bca" + "cab" + "abc"
    assert found == [["a"] * 4, ["b"] * 4, ["c"] * 4]


def test_the_ratio_turns_over_with_its_sides() -> None:
    rounds = [(2.0, 1.0), (3.0, 1.0), (4.0, 1.0), (5.0, 1.0), (6.0, 1.0)]
    there, back = ratio(rounds), ratio([(b, a) for a, b in rounds])
    assert there["p50"] == 4
    assert back["p50"] == 0.25
    assert there["p10"] < there["p50"] < there["p90"]


def test_a_pair_reports_both_sides(fake: type[FakeInpainter], case: Case, scene: Scene, expected: Reference) -> None:
    found = run_pair([case, case], scene, expected)
    assert found["ratio"]["rounds"] == case.repeats
    assert [side["end_to_end_ms"]["n"] for side in found["contenders"]] == [case.repeats] * 2
    assert len(fake.closed) == 2
