"""Frames that are late: when they are, what takes their place, and what time is spent on the others."""

from __future__ import annotations

from typing import Any

import pytest

from iic_rt import InpaintOptions
from iic_rt.video import VideoInpainter
from tests.video.conftest import (
    FILLED,
    MASK,
    Clock,
    FakeInpainter,
    assert_all_counted,
    frame_of,
    get,
    kinds,
    put,
    values,
)


def test_the_budget_is_what_is_left(fake: FakeInpainter, clock: Clock) -> None:
    fake.takes_s = 0.010
    with VideoInpainter(fake, deadline_ms=40, clock=clock) as video:
        fake.held = True
        put(video, 0, 1, 2)
        fake.release(3)
        video.end()
        frames = list(video)
    assert kinds(frames) == [("filled", None)] * 3
    assert fake.budgets == pytest.approx([40, 30, 20])
    assert [frame.iterations for frame in frames] == [2, 2, 2]


@pytest.mark.parametrize(("own", "expected"), [(15.0, 15), (500.0, 40)])
def test_a_budget_of_the_options_holds_as_well(fake: FakeInpainter, clock: Clock, own: float, expected: float) -> None:
    options = InpaintOptions(budget_ms=own)
    with VideoInpainter(fake, deadline_ms=40, clock=clock, options=options) as video:
        put(video, 0)
        get(video)
        assert fake.budgets == pytest.approx([expected])
    with VideoInpainter(fake, clock=clock, options=options) as video:
        put(video, 0)
        get(video)
        assert fake.budgets[1:] == [own]


@pytest.mark.parametrize(("late_as", "shown"), [("last", (FILLED, FILLED + 1)), ("blank", (7,)), ("unfilled", (2,))])
def test_a_frame_is_not_begun_after_its_deadline(
    fake: FakeInpainter, clock: Clock, late_as: Any, shown: tuple[int, ...]
) -> None:
    fake.held = True
    with VideoInpainter(fake, deadline_ms=40, late_as=late_as, blank=7, clock=clock) as video:
        put(video, 0)
        fake.wait_for("submit", 0)
        fake.release()
        assert values([get(video)]) == [FILLED]
        put(video, 1)
        fake.wait_for("submit", 1)
        put(video, 2)
        clock.now += 0.050
        fake.release()
        fake.wait_for("collect", 1)
        video.end()
        frames = list(video)
    assert [frame.index for frame in frames] == [1, 2]
    assert kinds(frames)[1] == ("late", late_as)
    assert ("submit", 2) not in fake.calls
    assert frames[1].iterations == 0
    assert frames[1].hole is None
    assert video.stats.late == 2
    assert_all_counted(video.stats)
    assert values(frames)[1] in shown


def test_a_late_result_that_is_there_is_given_out(fake: FakeInpainter, clock: Clock) -> None:
    """It is cleaned, and newer than what would take its place."""
    fake.takes_s = 0.050
    with VideoInpainter(fake, deadline_ms=40, clock=clock) as video:
        put(video, 5)
        video.end()
        video.close()
        (frame,) = list(video)
    assert (frame.status, frame.substitute, values([frame])) == ("late", None, [FILLED + 5])
    assert frame.latency_ms == pytest.approx(50)
    assert frame.iterations == 2
    assert video.stats.late == 1


@pytest.mark.parametrize("ahead", [True, False])
def test_get_gives_the_substitute_at_the_deadline(fake: FakeInpainter, ahead: bool) -> None:
    """By the real clock: frame 0 is in work for as long as the test wants, and nobody waits for it."""
    fake.held, fake.ahead = True, ahead
    with VideoInpainter(fake, deadline_ms=20, late_as="last", slots=3) as video:
        put(video, 0)
        fake.wait_for("submit", 0)
        first = get(video)
        assert (first.index, first.status, first.substitute) == (0, "late", "blank")  # there is no last
        put(video, 1)
        second = get(video)
        assert (second.index, second.status, second.substitute) == (1, "late", "blank")
        assert video.stats.held == 0
        fake.release(2)
        fake.wait_for("collect", 0)
        fake.held = False
        for _ in range(100):  # until the worker has told the ring
            put(video, 9)
            third = get(video)
            if third.status == "filled":
                break
        assert values([third]) == [FILLED + 9]


def test_a_result_that_came_after_its_substitute_is_the_next_last(fake: FakeInpainter, clock: Clock) -> None:
    fake.held = True
    with VideoInpainter(fake, deadline_ms=40, clock=clock) as video:
        put(video, 0)
        fake.wait_for("submit", 0)
        clock.now += 0.050
        assert kinds([get(video)]) == [("late", "blank")]
        fake.release()
        put(video, 1)
        fake.wait_for("submit", 1)  # so frame 0 is done
        clock.now += 0.050
        second = get(video)
        assert kinds([second]) == [("late", "last")]
        assert values([second]) == [FILLED]
        fake.release()


def test_a_slot_is_free_only_when_the_work_is_over(fake: FakeInpainter, clock: Clock) -> None:
    """Frames given out late still hold memory while they are in work."""
    fake.held = True
    with VideoInpainter(fake, deadline_ms=40, slots=2, clock=clock) as video:
        put(video, 0)
        fake.wait_for("submit", 0)
        put(video, 1)
        clock.now += 0.050
        assert [frame.index for frame in (get(video), get(video))] == [0, 1]
        put(video, 2)  # in the slot of frame 1, which was not begun
        with pytest.raises(TimeoutError):
            video.put(frame_of(3), MASK, timeout=0.01)
        fake.release(2)
        put(video, 3)
        fake.release()


def test_a_late_frame_that_fails_is_told_in_the_log(
    fake: FakeInpainter, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    fake.held, fake.failing[0] = True, RuntimeError("gone")
    with VideoInpainter(fake, deadline_ms=40, clock=clock) as video:
        put(video, 0)
        fake.wait_for("submit", 0)
        clock.now += 0.050
        get(video)
        fake.release()
    assert "frame 0 was late, and then failed: gone" in caplog.text
