"""More frames than can be filled, and frames that fail: what is given out in their place, and what is counted."""

from __future__ import annotations

import random
import threading
from typing import Any

import numpy as np
import pytest

from iic_rt.errors import InputError
from iic_rt.video import VideoInpainter
from tests.video.conftest import (
    FILLED,
    MASK,
    SHAPE,
    FakeInpainter,
    assert_all_counted,
    frame_of,
    get,
    kinds,
    put,
    values,
)

# More than can be filled


def test_block_waits_for_a_slot(fake: FakeInpainter) -> None:
    with VideoInpainter(fake, slots=3) as video:
        put(video, 0, 1, 2)
        with pytest.raises(TimeoutError, match=r"all 3 slots were taken for 0\.01 s; get frames, or use policy"):
            video.put(frame_of(3), MASK, timeout=0.01)
        assert values([get(video)]) == [FILLED]
        assert video.put(frame_of(4), MASK, timeout=20) == 3
        assert video.stats.held == 3
        video.end()
        assert values(list(video)) == [FILLED + n for n in (1, 2, 4)]


def test_newest_takes_the_place_of_what_waits(fake: FakeInpainter) -> None:
    fake.held = True
    with VideoInpainter(fake, policy="newest") as video:
        put(video, 0)
        fake.wait_for("submit", 0)
        put(video, *range(1, 10))
        assert video.stats.held == 2
        fake.release(2)
        video.end()
        frames = list(video)
    assert values(frames) == [FILLED, FILLED + 9]
    assert [frame.index for frame in frames] == [0, 9]
    assert video.stats.dropped == {"newer": 8, "not got": 0, "closed": 0}
    assert_all_counted(video.stats)


def test_newest_never_waits_for_a_slow_consumer(fake: FakeInpainter) -> None:
    with VideoInpainter(fake, policy="newest", slots=3) as video:
        for value in range(8):
            put(video, value)
            fake.wait_for("collect", value)
        video.end()
        frames = list(video)
    assert [frame.index for frame in frames][-1] == 7
    assert len(frames) <= 3
    assert video.stats.dropped["not got"] == 8 - len(frames)
    assert_all_counted(video.stats)


@pytest.mark.parametrize("dropped_as", ["last", "blank"])
def test_as_many_come_out_as_went_in(fake: FakeInpainter, dropped_as: Any) -> None:
    fake.held = True
    with VideoInpainter(fake, policy="newest", dropped_as=dropped_as, blank=9) as video:
        put(video, 0)
        fake.wait_for("submit", 0)
        put(video, 1, 2, 3)
        fake.release(2)
        video.end()
        frames = list(video)
    assert [frame.index for frame in frames] == [0, 1, 2, 3]
    assert kinds(frames) == [("filled", None), *[("dropped", dropped_as)] * 2, ("filled", None)]
    assert values(frames) == [FILLED, *[FILLED if dropped_as == "last" else 9] * 2, FILLED + 3]
    assert video.stats.substituted[dropped_as] == 2
    assert_all_counted(video.stats)


def test_dropped_frames_that_nobody_asks_for_are_forgotten(
    fake: FakeInpainter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("iic_rt.video.ring.MOST_DROPPED", 5)
    fake.held = True
    with VideoInpainter(fake, policy="newest", dropped_as="last") as video:
        put(video, 0)
        fake.wait_for("submit", 0)
        put(video, *range(1, 50))
        fake.release(2)
        video.end()
        frames = list(video)
    assert [frame.index for frame in frames] == [0, *range(44, 50)]
    assert video.stats.dropped["newer"] == 48
    assert_all_counted(video.stats)


# Failed


@pytest.mark.parametrize("ahead", [True, False])
@pytest.mark.parametrize(
    ("failed_as", "shown"), [("last", [FILLED, FILLED + 2]), ("blank", [7, 7]), ("unfilled", [1, 3])]
)
def test_errors_never_lose_the_stream(fake: FakeInpainter, ahead: bool, failed_as: Any, shown: list[int]) -> None:
    fake.ahead = ahead
    fake.failing = {1: RuntimeError("too hot"), 3: ValueError()}
    with VideoInpainter(fake, failed_as=failed_as, blank=7) as video:
        put(video, 0, 1)
        frames = [get(video), get(video)]
        put(video, 2, 3, 4)
        video.end()
        frames += list(video)
    assert [frame.index for frame in frames] == [0, 1, 2, 3, 4]
    assert [frame.error for frame in frames] == ["", "too hot", "", "ValueError()", ""]
    assert kinds(frames) == [("filled", None), ("failed", failed_as)] * 2 + [("filled", None)]
    assert [values(frames)[n] for n in (1, 3)] == shown
    assert (video.stats.failed, video.stats.substituted[failed_as]) == (2, 2)
    assert_all_counted(video.stats)


def test_raise_raises_in_its_place_and_goes_on(fake: FakeInpainter) -> None:
    fake.failing = {1: RuntimeError("too hot")}
    with VideoInpainter(fake, failed_as="raise") as video:
        put(video, 0, 1, 2)
        assert values([get(video)]) == [FILLED]
        with pytest.raises(RuntimeError, match="too hot"):
            get(video)
        assert values([get(video)]) == [FILLED + 2]
        assert (video.stats.failed, video.stats.held) == (1, 0)


def test_a_frame_without_a_known_mask(fake: FakeInpainter) -> None:
    with VideoInpainter(fake) as video:
        with pytest.raises(InputError, match="not a numpy array"):
            video.put_failed(None, RuntimeError("no camera"))  # of which size?
        put(video, 0)
        video.put_failed(frame_of(1), RuntimeError("no detector"), pts="b")
        video.put_failed(None, RuntimeError("no camera"))
        video.end()
        frames = list(video)
    assert kinds(frames) == [("filled", None), ("failed", "last"), ("failed", "last")]
    assert [frame.error for frame in frames] == ["", "no detector", "no camera"]
    assert values(frames) == [FILLED] * 3
    assert frames[1].pts == "b"


# Untouched, and what "last" and "blank" are


def test_without_a_mask_the_frame_passes_as_it_is(fake: FakeInpainter) -> None:
    fake.failing = {4: RuntimeError()}
    with VideoInpainter(fake) as video:
        video.put(frame_of(0), MASK)
        video.put(frame_of(3), None)
        video.put(frame_of(2), 0 * MASK)
        assert kinds([get(video) for _ in range(3)]) == [("filled", None), ("untouched", None), ("untouched", None)]
        video.put(frame_of(3), None)
        video.put(frame_of(4), MASK)
        frames = [get(video), get(video)]
        assert values(frames) == [3, 3]  # untouched frames are clean: the last is one of them
        assert frames[0].result is None
        assert video.stats.untouched == 3


def test_unfilled_frames_are_never_the_last(fake: FakeInpainter) -> None:
    fake.failing = {1: RuntimeError()}
    with VideoInpainter(fake, failed_as="unfilled", dropped_as="last", policy="newest") as video:
        put(video, 1)
        assert values([get(video)]) == [1]
        fake.held = True
        put(video, 2)
        fake.wait_for("submit", 2)
        put(video, 3, 4)
        fake.release(2)
        assert values([get(video)]) == [FILLED + 2]


def test_the_last_of_another_size_is_not_used(fake: FakeInpainter) -> None:
    fake.failing = {1: RuntimeError()}
    with VideoInpainter(fake) as video:
        put(video, 0)
        video.put(frame_of(1, (8, 8, 3)), np.ones((8, 8), bool))
        video.end()
        frames = list(video)
    assert kinds(frames) == [("filled", None), ("failed", "blank")]
    assert frames[1].image.shape == (8, 8, 3)


@pytest.mark.parametrize(
    ("shape", "blank", "pixel"),
    [
        ((4, 6), 30, 30),
        ((4, 6), (10, 20, 60), 30),
        ((4, 6, 1), (10, 20, 60), [30]),
        (SHAPE, 30, [30, 30, 30]),
        (SHAPE, (10, 20, 60), [10, 20, 60]),
        ((4, 6, 4), (10, 20, 60), [10, 20, 60, 255]),
        ((4, 6, 4), 0, [0, 0, 0, 255]),
    ],
)
def test_blank_images(fake: FakeInpainter, shape: tuple[int, ...], blank: Any, pixel: Any) -> None:
    with VideoInpainter(fake, failed_as="blank", blank=blank) as video:
        video.put_failed(frame_of(1, shape), RuntimeError())
        image = get(video).image
    assert (image.shape, image.dtype) == (shape, np.uint8)
    assert (image == pixel).all()


# Settings


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        ({"slots": 1}, "slots is 1; give a whole number from 2 to 64"),
        ({"slots": 65}, "slots is 65"),
        ({"slots": True}, "slots is True"),
        ({"policy": "oldest"}, "policy is 'oldest'; allowed: 'block', 'newest'"),
        ({"deadline_ms": 0}, "deadline_ms is 0; give milliseconds above 0, or None"),
        ({"late_as": "raise"}, "late_as is 'raise'; allowed: 'last', 'blank', 'unfilled'"),
        ({"failed_as": None}, "failed_as is None; allowed: 'last', 'blank', 'unfilled', 'raise'"),
        ({"dropped_as": "unfilled"}, "dropped_as is 'unfilled'; allowed: 'nothing', 'last', 'blank'"),
        ({"blank": 256}, "blank is 256; give a grey value from 0 to 255, or three"),
        ({"blank": (0, 0)}, r"blank is \(0, 0\)"),
        ({"blank": (0, 0, -1)}, r"blank is \(0, 0, -1\)"),
    ],
)
def test_settings_that_are_not_allowed(fake: FakeInpainter, setting: dict[str, Any], text: str) -> None:
    with pytest.raises(InputError, match=text):
        VideoInpainter(fake, **setting)


# All together


@pytest.mark.parametrize("seed", range(12))
def test_every_frame_is_counted_once_whatever_happens(seed: int) -> None:
    """Random settings, delays and errors: frames come in order, nothing uncleaned gets through, nobody is stuck."""
    draw = random.Random(seed)
    fake = FakeInpainter(ahead=draw.random() < 0.5)
    fake.failing = {value: RuntimeError() for value in draw.sample(range(100), 20)}
    untouched = set(draw.sample(range(100), 20))
    settings: dict[str, Any] = {
        "slots": draw.choice([2, 3, 4, 8]),
        "policy": draw.choice(["block", "newest"]),
        "deadline_ms": draw.choice([None, 0.2, 2]),
        "dropped_as": draw.choice(["nothing", "last", "blank"]),
    }
    pauses = [threading.Event() for _ in range(2)]  # never set: to sleep on
    with VideoInpainter(fake, **settings) as video:

        def produce() -> None:
            for value in range(100):
                video.put(frame_of(value), None if value in untouched else MASK)
                if draw.random() < 0.2:
                    pauses[0].wait(0.001)
            video.end()

        producer = threading.Thread(target=produce)
        producer.start()
        frames = []
        while (frame := video.get(timeout=20)) is not None:
            frames.append(frame)
            if frame.index % 10 == 0:
                pauses[1].wait(0.001)
        producer.join(20)
        stats = video.stats
    assert [frame.index for frame in frames] == sorted({frame.index for frame in frames})
    if settings["policy"] == "block" or settings["dropped_as"] != "nothing":
        assert len(frames) == 100
    clean = {0} | {FILLED + value for value in range(100)} | untouched
    assert set(values(frames)) <= clean
    assert_all_counted(stats)
    assert (stats.put, stats.held) == (100, 0)
    assert sum(stats.substituted.values()) == sum(frame.substitute is not None for frame in frames)
