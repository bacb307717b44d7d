"""An inpainter that does what a test says, a clock that stands still, and a watch over the threads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from iic_rt import InpaintOptions, InpaintResult
from iic_rt.errors import InpaintWarning
from iic_rt.result import Timings
from iic_rt.video import VideoFrame, VideoInpainter, VideoStats

FILLED = 100  # added to every pixel of a frame
SHAPE = (4, 6, 3)
MASK = np.ones(SHAPE[:2], np.uint8)


def put(video: VideoInpainter, *frames: int) -> None:
    for value in frames:
        video.put(frame_of(value), MASK)


def get(video: VideoInpainter) -> VideoFrame:
    frame = video.get(timeout=20)
    assert frame is not None
    return frame


def kinds(frames: list[VideoFrame]) -> list[tuple[str, str | None]]:
    return [(frame.status, frame.substitute) for frame in frames]


def assert_all_counted(stats: VideoStats) -> None:
    known = stats.filled + stats.untouched + stats.late + stats.failed + sum(stats.dropped.values()) + stats.held
    assert stats.put == known
    assert stats.held >= 0


def frame_of(value: int, shape: tuple[int, ...] = SHAPE) -> np.ndarray:
    return np.full(shape, value, np.uint8)


def values(frames: list[VideoFrame]) -> list[int]:
    return [int(frame.image.flat[0]) for frame in frames]


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class FakeTicket:
    image: np.ndarray
    mask: np.ndarray
    options: InpaintOptions
    is_done: bool


@dataclass
class FakeInpainter:
    """Adds FILLED to a frame; the frame's value tells one from the other.

    Attributes:
        ahead: submit does no work, as on a GPU.
        held: submit, or collect where it runs ahead, waits until a test calls :meth:`release`.
        failing: by value of a frame, what submit or collect raises.
        takes_s: seconds that the clock goes on while a frame is filled.
    """

    clock: Clock = field(default_factory=Clock)
    ahead: bool = False
    held: bool = False
    takes_s: float = 0.0
    failing: dict[int, BaseException] = field(default_factory=dict)
    options: InpaintOptions = field(default_factory=InpaintOptions)
    calls: list[tuple[str, int]] = field(default_factory=list)
    budgets: list[float | None] = field(default_factory=list)
    addresses: set[int] = field(default_factory=set)
    steering: list[dict[str, np.ndarray]] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)
    allowed: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))

    def submit(
        self, image: np.ndarray, mask: np.ndarray, *, options: InpaintOptions | None = None, **steering: np.ndarray
    ) -> FakeTicket:
        options = options or self.options
        self.steering.append({name: given.copy() for name, given in steering.items()})
        self.budgets.append(options.budget_ms)
        self.addresses.add(image.__array_interface__["data"][0])
        ticket = FakeTicket(image.copy(), mask.copy(), options, not self.ahead)
        self._note("submit", ticket)
        if not self.ahead:
            self._work(ticket)
        return ticket

    def collect(self, ticket: FakeTicket) -> InpaintResult:
        self._note("collect", ticket)
        if self.ahead:
            self._work(ticket)
        empty = (InpaintWarning("empty", "the mask marks no pixel"),) if not ticket.mask.any() else ()
        return InpaintResult(
            image=ticket.image + FILLED,
            hole=(ticket.mask.reshape(ticket.mask.shape[:2]) > 0).astype(np.uint8),
            warnings=empty,
            iterations=2,
            regions=1,
            timings=Timings(),
        )

    def release(self, frames: int = 1) -> None:
        self.allowed.release(frames)

    def wait_for(self, name: str, value: int) -> None:
        """Returns when that call was made."""
        with self.changed:
            assert self.changed.wait_for(lambda: (name, value) in self.calls, timeout=20), self.calls

    def _note(self, name: str, ticket: FakeTicket) -> None:
        with self.changed:
            self.calls.append((name, int(ticket.image.flat[0])))
            self.changed.notify_all()

    def _work(self, ticket: FakeTicket) -> None:
        if self.held:
            assert self.allowed.acquire(timeout=20)
        self.clock.now += self.takes_s
        value = int(ticket.image.flat[0])
        if value in self.failing:
            raise self.failing[value]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def fake(clock: Clock) -> FakeInpainter:
    return FakeInpainter(clock)


def video_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name.startswith("iic-rt video")]


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[Any]:
    yield
    assert video_threads() == []
