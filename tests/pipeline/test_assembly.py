"""What the regions gave becomes one result, pixel by pixel."""

from __future__ import annotations

import time

import numpy as np
import pytest

from iic_rt.geometry import Box
from iic_rt.pipeline import assembly
from iic_rt.pipeline.loop import State
from iic_rt.pipeline.regions import Region
from iic_rt.pipeline.runner import Filled, StageTimes

HOLE = np.zeros((12, 20), np.uint8)
HOLE[3:7, 4:8] = HOLE[4:6, 14:18] = 1
HOLE[4, 7] = 0  # known, in the box of the first region
FIRST = Region(1, 2, 8, Box(3, 4, 7, 8))
SECOND = Region(1, 12, 8, Box(4, 14, 6, 18))


def state(confidence: float, left: np.ndarray | None = None) -> State:
    m = np.zeros((4, 4), np.float32) if left is None else left.astype(np.float32)
    return State(m, np.full((4, 4), confidence, np.float32))


def filled(
    iterations: int, history: list | None = None, refusal: str | None = None, times: StageTimes | None = None
) -> Filled:
    return Filled(iterations, None, history or [], times or StageTimes(), refusal, False)


def test_confidence_is_that_of_the_region_in_its_hole_and_one_elsewhere() -> None:
    found = assembly.confidence(HOLE, [(FIRST, state(0.25)), (SECOND, state(0.5))])
    expected = np.ones((12, 20), np.float32)
    expected[3:7, 4:8], expected[4:6, 14:18] = 0.25, 0.5
    expected[HOLE == 0] = 1
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == np.float32


def test_confidence_is_enlarged_smoothly_and_placed_by_the_window() -> None:
    c = np.tile(np.array([0, 0, 1, 1], np.float32), (4, 1))
    found = assembly.confidence(HOLE, [(FIRST, State(np.zeros((4, 4), np.float32), c))])
    np.testing.assert_allclose(found[5, 4:8], [0, 0.25, 0.75, 1])  # columns 2 to 5 of a window of 8


def test_what_is_left_is_enlarged_to_whole_pixels_of_the_hole() -> None:
    left = np.zeros((4, 4))
    left[1, 1:3] = 1  # rows 2 and 3 of the window, columns 2 to 5
    found = assembly.hole_left(HOLE, [(FIRST, state(0, left)), (SECOND, state(0, np.ones((4, 4))))])
    expected = np.zeros_like(HOLE)
    expected[3:5, 4:8] = expected[4:6, 14:18] = 1
    expected[4, 7] = 0
    np.testing.assert_array_equal(found, expected)
    assert found.dtype == np.uint8
    assert not assembly.hole_left(HOLE, []).any()


@pytest.mark.parametrize("channels", [(), (1,), (3,)])
def test_history_shows_a_region_that_ended_early_as_it_ended(channels: tuple[int, ...]) -> None:
    before = np.full((12, 20, *channels), 7, np.uint8)
    depth = channels or (1,)

    def steps(*values: int) -> list:
        return [(np.full((8, 8, *depth), value, np.uint8), state(value / 100)) for value in values]

    found = [(FIRST, filled(1, steps(10))), (SECOND, filled(3, steps(20, 30, 40)))]
    snapshots = assembly.history(before, HOLE, found)
    assert len(snapshots) == 3
    for snapshot, value in zip(snapshots, (20, 30, 40), strict=True):
        assert snapshot.image.shape == before.shape
        assert (snapshot.image[5:7, 4:8] == 10).all()
        assert (snapshot.image[4:6, 14:18] == value).all()
        assert (snapshot.image[HOLE == 0] == 7).all()
        assert snapshot.confidence[5, 15] == np.float32(value / 100)
        assert snapshot.hole.shape == HOLE.shape
    assert (before == 7).all()
    assert assembly.history(before, HOLE, []) == ()


def test_a_refusal_is_told_once() -> None:
    assert assembly.capture_warnings([filled(1), filled(2)]) == ()
    (warning,) = assembly.capture_warnings([filled(1), filled(1, refusal="too old"), filled(1, refusal="other")])
    assert warning.kind == "not captured"
    assert "one by one: too old. The image is the same" in warning.text


def test_times_are_summed_over_regions() -> None:
    first = StageTimes(copy_in=1, prepare=2, iterations=[3, 4], upsample=5, composite=6, copy_out=7)
    second = StageTimes(copy_in=10, prepare=20, iterations=[30], upsample=50, composite=60, copy_out=70)
    found = assembly.timings(time.perf_counter() - 1, [filled(2, times=first), filled(1, times=second)])
    assert 1000 <= found.total_ms < 60_000
    assert (found.copy_in_ms, found.prepare_ms, found.iterations_ms) == (11, 22, (33, 4))
    assert (found.upsample_ms, found.composite_ms, found.copy_out_ms) == (55, 66, 77)
