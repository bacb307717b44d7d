"""Streams that read a source: its masks, its errors, and its thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from iic_rt.errors import InputError
from iic_rt.video import VideoInpainter
from tests.video.conftest import FILLED, MASK, SHAPE, FakeInpainter, frame_of, values, video_threads

# Sources


def test_masks_one_for_all_one_for_each_or_a_function(fake: FakeInpainter) -> None:
    images = [frame_of(n) for n in range(3)]
    stack = np.stack([MASK, 0 * MASK, MASK])
    for masks, expected in (
        (MASK, [True, True, True]),
        (MASK[..., None].astype(bool), [True, True, True]),
        (stack, [True, False, True]),
        (iter([MASK, None, MASK]), [True, False, True]),
        (lambda frame, index: MASK * (frame.flat[0] == index != 1), [True, False, True]),
    ):
        with VideoInpainter(fake) as video:
            frames = list(video.feed(images, masks))
        assert [frame.status == "filled" for frame in frames] == expected
        assert {frame.status for frame in frames} <= {"filled", "untouched"}


@pytest.mark.parametrize("count", [2, 4])
def test_the_number_of_masks_is_checked(fake: FakeInpainter, count: int) -> None:
    with VideoInpainter(fake) as video:
        frames = video.feed([frame_of(n) for n in range(3)], [MASK] * count)
        assert values([next(frames) for _ in range(min(count, 3))]) == [FILLED + n for n in range(min(count, 3))]
        with pytest.raises(InputError, match="give one mask for each frame"):
            next(frames)
        assert video.get() is None


@pytest.mark.parametrize("memory", [False, True])
def test_what_to_avoid_and_to_prefer_comes_with_every_frame(fake: FakeInpainter, memory: bool) -> None:
    left, right = np.zeros_like(MASK), np.zeros_like(MASK)
    hole = np.zeros_like(MASK)
    left[:, :2], right[:, 4:], hole[:, 3] = 1, 1, 1
    avoid = [left, None, left]
    fake.options = replace(fake.options, grow=0)
    with VideoInpainter(fake, memory=memory, slots=8) as video:
        list(video.feed([frame_of(60 * n) for n in range(3)], hole, avoid=avoid, prefer=lambda _frame, _index: right))
    assert len(fake.steering) == 3  # the frames differ by more than a cut
    for given, avoided in zip(fake.steering, avoid, strict=True):
        assert set(given) == {"prefer"} | ({"avoid"} if avoided is not None else set())
        np.testing.assert_array_equal(given["prefer"], right)
        if avoided is not None:
            np.testing.assert_array_equal(given["avoid"], left)


@pytest.mark.parametrize("count", [2, 4])
def test_the_number_of_avoid_masks_is_checked(fake: FakeInpainter, count: int) -> None:
    with VideoInpainter(fake) as video, pytest.raises(InputError, match="avoid masks"):
        list(video.feed([frame_of(n) for n in range(3)], MASK, avoid=[0 * MASK] * count))


def test_masks_of_no_kind_are_refused(fake: FakeInpainter) -> None:
    with VideoInpainter(fake) as video:
        with pytest.raises(InputError, match="masks is a NoneType; give one array"):
            video.feed([frame_of(0)], None)
        with pytest.raises(InputError, match="prefer is a int; give one array"):
            video.feed([frame_of(0)], MASK, prefer=3)


def test_a_second_source_is_refused(fake: FakeInpainter) -> None:
    with VideoInpainter(fake) as video:
        video.feed([frame_of(0)], MASK)
        with pytest.raises(InputError, match="has a source already"):
            video.feed([frame_of(0)], MASK)


def test_a_mask_function_that_raises_costs_one_frame(fake: FakeInpainter) -> None:
    def mask_of(frame: np.ndarray, index: int) -> np.ndarray:
        if index == 1:
            raise KeyError("no detection")
        return MASK

    with VideoInpainter(fake) as video:
        frames = list(video.feed([frame_of(n) for n in range(3)], mask_of))
    assert [frame.status for frame in frames] == ["filled", "failed", "filled"]
    assert values(frames) == [FILLED, FILLED, FILLED + 2]
    assert "no detection" in frames[1].error


def test_what_is_no_image_fails_and_the_source_goes_on(fake: FakeInpainter) -> None:
    with VideoInpainter(fake, failed_as="unfilled") as video:
        frames = list(video.feed([frame_of(0), None, frame_of(2)], MASK))
    assert [frame.status for frame in frames] == ["filled", "failed", "filled"]
    assert "not a numpy array" in frames[1].error
    assert (frames[1].substitute, frames[1].image.shape) == ("blank", SHAPE)  # there is nothing to let through


def test_a_source_that_gives_no_image_at_all(fake: FakeInpainter) -> None:
    with VideoInpainter(fake) as video, pytest.raises(InputError, match="not a numpy array"):
        list(video.feed([None, None], MASK))


def test_an_error_of_the_source_comes_behind_its_frames(fake: FakeInpainter) -> None:
    def source() -> Iterator[np.ndarray]:
        yield frame_of(0)
        yield frame_of(1)
        raise OSError("the cable is out")

    with VideoInpainter(fake) as video:
        frames = video.feed(source(), MASK)
        assert values([next(frames), next(frames)]) == [FILLED, FILLED + 1]
        with pytest.raises(OSError, match="cable"):
            next(frames)
        assert list(frames) == []


def test_a_producer_that_stalls_does_not_hold_back_what_is_done(
    fake: FakeInpainter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("iic_rt.video.stream.LONGEST_READ", 0.05)
    again = threading.Event()

    def source() -> Iterator[np.ndarray]:
        yield frame_of(0)
        again.wait(20)
        yield frame_of(1)

    with VideoInpainter(fake) as video:
        frames = video.feed(source(), MASK)
        assert values([next(frames)]) == [FILLED]
        with pytest.raises(TimeoutError, match=r"within 0\.01 s"):
            video.get(timeout=0.01)
    (reader,) = video_threads()  # it cannot be interrupted, and ends at its next frame
    again.set()
    reader.join(20)
    assert ("submit", 1) not in fake.calls
