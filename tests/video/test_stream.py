"""Frames through a stream: order, what is copied, overlap, memory, errors and the end."""

from __future__ import annotations

import inspect
import threading
import tracemalloc
from collections.abc import Iterator

import numpy as np
import pytest

from iic_rt import Inpainter, InpaintOptions
from iic_rt.errors import InputError
from iic_rt.pipeline.runners import SLOTS
from iic_rt.video import VideoInpainter
from tests.pipeline.test_runner import scene
from tests.video.conftest import FILLED, MASK, Clock, FakeInpainter, frame_of, values, video_threads

# With a real inpainter


def scenes(rng: np.random.Generator, count: int = 5) -> list[tuple[np.ndarray, np.ndarray]]:
    return [scene(64, rng) for _ in range(count)]


def test_pushed_frames_come_back_filled_and_in_order(inpainter: Inpainter, rng: np.random.Generator) -> None:
    given = scenes(rng)
    with VideoInpainter(inpainter, slots=8) as video:
        indices = [video.put(image, mask, pts=n / 25) for n, (image, mask) in enumerate(given)]
        video.end()
        frames = list(video)
        stats = video.stats
    assert indices == [frame.index for frame in frames] == list(range(5))
    assert [frame.pts for frame in frames] == [n / 25 for n in range(5)]
    for frame, (image, mask) in zip(frames, given, strict=True):
        expected = inpainter.inpaint(image, mask)
        np.testing.assert_array_equal(frame.image, expected.image)
        np.testing.assert_array_equal(frame.hole, expected.hole)
        assert frame.result is not None
        np.testing.assert_array_equal(frame.result.confidence, expected.confidence)
        assert (frame.status, frame.substitute, frame.error) == ("filled", None, "")
        assert frame.iterations == expected.iterations > 0
        assert frame.latency_ms > 0
    assert (stats.put, stats.filled, stats.held) == (5, 5, 0)
    assert stats.fps is not None


def test_stream_is_lazy_and_leaves_the_inpainter_open(inpainter: Inpainter, rng: np.random.Generator) -> None:
    given, read = scenes(rng), []

    def source() -> Iterator[tuple[np.ndarray, int]]:
        for n, (image, _) in enumerate(given):
            read.append(n)
            yield image, 40 * n

    frames = inpainter.stream(source(), [mask for _, mask in given])
    assert (read, video_threads()) == ([], [])
    first = next(frames)
    assert (first.index, first.pts) == (0, 0)
    rest = list(frames)
    assert [frame.pts for frame in rest] == [40, 80, 120, 160]
    np.testing.assert_array_equal(rest[-1].image, inpainter.inpaint(*given[-1]).image)


def test_closing_the_generator_closes_the_stream_alone(inpainter: Inpainter, rng: np.random.Generator) -> None:
    image, mask = scene(64, rng)
    frames = inpainter.stream((image for _ in range(1000)), lambda frame, index: mask)
    next(frames)
    frames.close()
    assert video_threads() == []
    assert inpainter.inpaint(image, mask).iterations > 0


def test_a_mask_that_cannot_be_used_makes_its_frame_fail(inpainter: Inpainter, rng: np.random.Generator) -> None:
    image, mask = scene(64, rng)
    masks = [mask, np.ones((64, 63), np.uint8), np.ones((64, 64), np.uint8), mask]
    frames = list(inpainter.stream([image] * 4, masks))
    assert [frame.status for frame in frames] == ["filled", "failed", "failed", "filled"]
    assert "they must be equal" in frames[1].error
    assert "marks every pixel" in frames[2].error
    np.testing.assert_array_equal(frames[2].image, frames[0].image)


def test_the_generator_has_the_settings_of_the_class() -> None:
    ours = inspect.signature(Inpainter.stream).parameters
    theirs = inspect.signature(VideoInpainter.__init__).parameters
    shared = set(theirs) - {"self", "inpainter", "clock"}
    assert {n: ours[n].default for n in shared} == {n: theirs[n].default for n in shared}
    assert set(ours) - shared == set(inspect.signature(VideoInpainter.feed).parameters)


# What is copied


def test_the_caller_may_overwrite_its_arrays_at_once(fake: FakeInpainter) -> None:
    fake.held = True
    frame, mask = frame_of(0), MASK.copy()
    with VideoInpainter(fake, slots=8) as video:
        for value in range(5):
            frame[:], mask[:] = value, value + 1
            video.put(frame, mask)
        video.put(frame, None)
        frame[:], mask[:] = 77, 0
        fake.release(5)
        video.end()
        frames = list(video)
    assert values(frames) == [FILLED + value for value in range(5)] + [4]
    assert all(frame.hole is None or frame.hole.all() for frame in frames)


def test_views_with_any_strides(fake: FakeInpainter) -> None:
    image = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    with VideoInpainter(fake) as video:
        video.put(image[::2, ::-1], MASK[::2])
        frame = video.get()
    assert frame is not None
    np.testing.assert_array_equal(frame.image, image[::2, ::-1] + FILLED)


def test_memory_is_bounded_by_the_slots(fake: FakeInpainter) -> None:
    """10,000 frames of 768 bytes pass through as many buffers as there are slots."""
    frame, mask = frame_of(1, (16, 16, 3)), np.ones((16, 16), np.uint8)
    fake.budgets = fake.calls = fake.steering = type("Forgets", (list,), {"append": lambda self, value: None})()
    after_a_while = 0
    tracemalloc.start()
    try:
        with VideoInpainter(fake, slots=4) as video:
            for index, _ in enumerate(video.feed((frame for _ in range(10_000)), mask)):
                if index == 2_000:
                    after_a_while = tracemalloc.get_traced_memory()[0]
            grown = tracemalloc.get_traced_memory()[0] - after_a_while
    finally:
        tracemalloc.stop()
    assert video.stats.filled == 10_000
    assert len(fake.addresses) <= 4
    assert grown < 100 * frame.nbytes


def test_memory_follows_the_size_of_the_frames(fake: FakeInpainter) -> None:
    with VideoInpainter(fake) as video:
        for side in (4, 4, 8, 8, 4):
            video.put(frame_of(1, (side, side)), np.ones((side, side), bool))
            frame = video.get()
            assert frame is not None
            assert frame.image.shape == (side, side)


# Overlap


def test_as_many_are_under_way_as_the_inpainter_takes(fake: FakeInpainter) -> None:
    fake.ahead = fake.held = True
    with VideoInpainter(fake, slots=8, memory=False) as video:
        video.put(frame_of(0), MASK)
        fake.wait_for("collect", 0)  # nothing else was there to be submitted
        for value in range(1, 6):
            video.put(frame_of(value), MASK)
        video.end()
        fake.release()
        fake.wait_for("collect", 1)
        assert fake.calls[2:] == [*(("submit", 1 + n) for n in range(SLOTS)), ("collect", 1)]
        fake.release(5)
        assert values(list(video)) == [FILLED + value for value in range(6)]
    under_way = [sum({"submit": 1, "collect": -1}[name] for name, _ in fake.calls[:n]) for n in range(len(fake.calls))]
    assert max(under_way) == SLOTS


def test_one_slot_is_left_for_the_next_frame(fake: FakeInpainter) -> None:
    fake.ahead = fake.held = True
    with VideoInpainter(fake, slots=2) as video:
        video.put(frame_of(0), MASK)
        video.put(frame_of(1), MASK)
        fake.wait_for("collect", 0)
        assert ("submit", 1) not in fake.calls
        fake.release(2)


def test_a_frame_is_not_held_back_for_the_next(fake: FakeInpainter) -> None:
    fake.ahead = True
    with VideoInpainter(fake) as video:
        for value in range(3):
            video.put(frame_of(value), MASK)
            frame = video.get(timeout=20)
            assert frame is not None
            assert values([frame]) == [FILLED + value]


def test_what_is_done_is_collected_before_the_next_is_begun(fake: FakeInpainter) -> None:
    fake.held = True
    with VideoInpainter(fake) as video:
        for value in range(3):
            video.put(frame_of(value), MASK)
        fake.release(3)
        video.end()
        assert len(list(video)) == 3
    assert fake.calls == [(name, value) for value in range(3) for name in ("submit", "collect")]


def test_reading_filling_and_writing_overlap(fake: FakeInpainter) -> None:
    """Each of the three waits until the other two are at work at the same time."""
    together = threading.Barrier(3, timeout=20)

    def source() -> Iterator[np.ndarray]:
        yield frame_of(0)
        yield frame_of(1)
        together.wait()

    real = fake.submit

    def submit(image: np.ndarray, mask: np.ndarray, *, options: InpaintOptions | None = None) -> object:
        if image.flat[0] == 1:
            together.wait()
        return real(image, mask, options=options)

    fake.submit = submit  # type: ignore[method-assign, assignment]
    with VideoInpainter(fake) as video:
        frames = iter(video.feed(source(), MASK))
        next(frames)
        together.wait()
        assert values(list(frames)) == [FILLED + 1]


def test_get_says_when_it_waited_for_nothing(fake: FakeInpainter) -> None:
    with VideoInpainter(fake) as video:
        for timeout in (0, 0.01):
            with pytest.raises(TimeoutError, match="no frame was done"):
                video.get(timeout=timeout)


def test_what_is_no_image_is_not_taken(fake: FakeInpainter) -> None:
    with VideoInpainter(fake) as video:
        for wrong in (None, frame_of(0).astype(float), frame_of(0)[..., :2], np.zeros((0, 4), np.uint8)):
            with pytest.raises(InputError):
                video.put(wrong, MASK)
        assert video.put(frame_of(3), MASK) == 0
        assert values([next(video)]) == [FILLED + 3]
        assert video.stats.put == 1


def test_latency_and_rate(fake: FakeInpainter, clock: Clock) -> None:
    with VideoInpainter(fake, clock=clock) as video:
        empty = video.stats
        assert (empty.latency_p50_ms, empty.fps, empty.put) == (None, None, 0)
        for n in range(101):
            video.put(frame_of(1), MASK)
            fake.wait_for("collect", 1)
            fake.calls.clear()
            clock.now += n / 1e3
            frame = video.get()
            assert frame is not None
            assert frame.latency_ms == pytest.approx(n)
        stats = video.stats
    assert (stats.latency_p50_ms, stats.latency_p90_ms, stats.latency_p99_ms) == pytest.approx((50, 90, 99))
    assert stats.fps == pytest.approx(100 / (5050 / 1e3))
