"""An image through its regions: one sees what became of another, and they share a budget."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from iic_rt import Inpainter, InpaintOptions
from iic_rt.masks import Masks
from iic_rt.pipeline.loop import Loop
from iic_rt.pipeline.runner import Filled, RegionRunner


class Clock:
    """``time.perf_counter`` that stands still until it is told otherwise."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(time, "perf_counter", clock)
    return clock


def test_regions_share_what_is_left_of_the_budget(
    inpainter: Inpainter, clock: Clock, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, mask = rng.integers(0, 256, (100, 900, 3), np.uint8), np.zeros((100, 900), np.uint8)
    for left in (20, 420, 820):
        mask[20:40, left : left + 20] = 1
    run, deadlines = RegionRunner.run, []

    def slow(runner: RegionRunner, options: InpaintOptions, *, deadline: float | None = None) -> Filled:
        deadlines.append(deadline)
        clock.now += 1
        return run(runner, options, deadline=deadline)

    monkeypatch.setattr(RegionRunner, "run", slow)
    options = InpaintOptions(grow=0, iterations=1, budget_ms=9000)
    assert inpainter.inpaint(image, mask, options=options).regions == 3
    assert deadlines == [100 + 9 / 3, 101 + 8 / 2, 102 + 7]
    deadlines.clear()
    inpainter.inpaint(image, mask, options=InpaintOptions(grow=0, iterations=1))
    assert deadlines == [None] * 3


@pytest.mark.parametrize(("budget", "iterations"), [(0.5, 1), (1.5, 1), (2.9, 2), (3.0, 3), (3.5, 3), (9.0, 5)])
def test_an_iteration_that_would_end_too_late_is_not_started(
    inpainter: Inpainter, clock: Clock, budget: float, iterations: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = Loop.enqueue_step

    def second(loop: Loop) -> None:
        clock.now += 1
        step(loop)

    monkeypatch.setattr(Loop, "enqueue_step", second)
    monkeypatch.setattr(Loop, "is_done", lambda _loop: False)
    mask: Any = np.zeros((80, 80), np.uint8)
    mask[20:40, 20:40] = 1
    options = InpaintOptions(grow=0, iterations=5, budget_ms=1000 * budget)
    result = inpainter.inpaint(np.full((80, 80, 3), 90, np.uint8), mask, options=options)
    assert result.iterations == iterations
    assert result.timings.iterations_ms == (1000,) * iterations
    assert result.timings.total_ms == 1000 * iterations


# Windows of 96 pixels: the first sees the second hole, the second 13 columns of the third, if there is one.
@pytest.mark.parametrize(("lefts", "columns"), [((20, 65), (20 + 20, 20)), ((20, 65, 110), (20 + 20, 20 + 13, 20))])
def test_a_region_sees_what_became_of_those_before(
    inpainter: Inpainter,
    rng: np.random.Generator,
    monkeypatch: pytest.MonkeyPatch,
    lefts: tuple[int, ...],
    columns: tuple[int, ...],
) -> None:
    image, mask = rng.integers(0, 256, (100, 200, 3), np.uint8), np.zeros((100, 200), np.uint8)
    for left in lefts:
        mask[40:60, left : left + 20] = 1
    hidden = []
    stage = RegionRunner.stage

    def counted(runner: RegionRunner, region: np.ndarray, masks: Masks) -> None:
        hidden.append(int((masks.visible == 0).sum()))
        stage(runner, region, masks)

    monkeypatch.setattr(RegionRunner, "stage", counted)
    options = InpaintOptions(grow=0, iterations=1, context=4, outputs=("confidence",))
    result = inpainter.inpaint(image, mask, options=options)
    assert hidden == [20 * seen for seen in columns]
    assert (result.confidence[mask > 0] < 1).all()  # in noise nothing is certain


@pytest.mark.parametrize("outputs", [(), ("confidence",), ("hole_left",), ("history",)])
@pytest.mark.parametrize("shape", [(64, 64), (64, 64, 1)])
def test_outputs_are_those_that_were_asked_for(
    inpainter: Inpainter, rng: np.random.Generator, outputs: Any, shape: tuple[int, ...]
) -> None:
    image, mask = rng.integers(0, 256, shape, np.uint8), np.zeros((64, 64), np.uint8)
    mask[20:40, 20:40] = 1
    options = InpaintOptions(grow=0, iterations=1, outputs=outputs)
    result = inpainter.inpaint(image, mask, options=options)
    assert (result.confidence is not None) == ("confidence" in outputs)
    if "hole_left" in outputs:
        assert result.hole_left.any()  # in noise little is trusted
        assert (result.hole_left <= mask).all()
    else:
        assert result.hole_left is None
    assert [snapshot.image.shape for snapshot in result.history] == [shape] * ("history" in outputs)
    np.testing.assert_array_equal(result.hole, mask)
