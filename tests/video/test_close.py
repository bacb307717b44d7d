"""The end of a stream, in every state: nobody waits for ever, and no thread is left."""

from __future__ import annotations

import gc
import threading

import pytest

from iic_rt.errors import VideoError
from iic_rt.video import VideoInpainter
from tests.video.conftest import FILLED, MASK, FakeInpainter, frame_of, values, video_threads

# The end


@pytest.mark.parametrize("drain", [True, False])
def test_close_before_the_first_frame(fake: FakeInpainter, drain: bool) -> None:
    video = VideoInpainter(fake)
    video.close(drain=drain)
    assert video.get() is None
    with pytest.raises(VideoError, match="closed or ended and takes no more frames; open a new one"):
        video.put(frame_of(0), MASK)
    video.close(drain=drain)


@pytest.mark.parametrize("ahead", [True, False])
def test_close_drained_keeps_what_was_put(fake: FakeInpainter, ahead: bool) -> None:
    fake.ahead = ahead
    video = VideoInpainter(fake, slots=8)
    for value in range(8):
        video.put(frame_of(value), MASK)
    video.close()
    assert video_threads() == []
    assert values(list(video)) == [FILLED + value for value in range(8)]
    assert video.get() is None


@pytest.mark.parametrize("ahead", [True, False])
def test_close_waits_for_what_is_in_work_and_drops_the_rest(fake: FakeInpainter, ahead: bool) -> None:
    fake.ahead = fake.held = True
    fake.ahead = ahead
    video = VideoInpainter(fake)
    for value in range(4):
        video.put(frame_of(value), MASK)
    fake.wait_for("collect" if ahead else "submit", 0)
    closing = threading.Thread(target=video.close, kwargs={"drain": False})
    closing.start()
    fake.release(4)
    closing.join(20)
    assert video.get() is None
    assert video.stats.dropped["closed"] == 4
    assert video.stats.held == 0
    submitted, collected = ({v for name, v in fake.calls if name == which} for which in ("submit", "collect"))
    assert submitted == collected  # no ticket is left in the inpainter


@pytest.mark.parametrize("state", ["done", "ended"])
def test_close_with_frames_that_nobody_got(fake: FakeInpainter, state: str) -> None:
    with VideoInpainter(fake) as video:
        video.put(frame_of(0), MASK)
        video.put(frame_of(1), None)
        fake.wait_for("collect", 0)
        if state == "ended":
            video.end()
    assert list(video) == []
    assert video.stats.dropped["closed"] == 2


def test_close_wakes_a_put_that_waits(fake: FakeInpainter) -> None:
    video, raised = VideoInpainter(fake, slots=2), []
    for value in range(2):
        video.put(frame_of(value), MASK)

    def produce() -> None:
        try:
            video.put(frame_of(2), MASK)
        except VideoError as error:
            raised.append(error)

    producer = threading.Thread(target=produce)
    producer.start()
    video.close(drain=False)
    producer.join(20)
    assert len(raised) == 1


@pytest.mark.parametrize("drain", [True, False])
def test_close_wakes_a_get_that_waits(fake: FakeInpainter, drain: bool) -> None:
    video, found = VideoInpainter(fake), ["nothing"]
    consumer = threading.Thread(target=lambda: found.append(video.get()))
    consumer.start()
    video.close(drain=drain)
    consumer.join(20)
    assert found == ["nothing", None]


def test_a_consumer_that_stops_early(fake: FakeInpainter) -> None:
    with VideoInpainter(fake) as video:
        for _ in video.feed((frame_of(n % 100) for n in range(10_000)), MASK):
            break
    assert video.stats.put < 10


def test_a_stream_that_nobody_has_ends_its_threads(fake: FakeInpainter) -> None:
    video = VideoInpainter(fake)
    next(video.feed((frame_of(n % 100) for n in range(10_000)), MASK))
    threads = video_threads()
    assert len(threads) == 2
    del video
    gc.collect()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()


def test_a_worker_that_dies_says_why(fake: FakeInpainter) -> None:
    fake.failing[1] = SystemExit("out of luck")
    with VideoInpainter(fake) as video:
        video.put(frame_of(1), MASK)
        with pytest.raises(VideoError, match=r"worker ended: SystemExit\('out of luck'\); open a new") as raised:
            video.get()
        assert raised.value.__cause__ is fake.failing[1]
        with pytest.raises(VideoError, match="worker ended"):
            video.put(frame_of(2), MASK)
