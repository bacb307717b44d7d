"""What readers of frames have in common: stamps, facts, and how a lost connection is made again."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from iic_rt.video.media_frames import Look

__all__ = ["Facts", "Reader", "Reconnect", "Stamp", "logger"]

logger = logging.getLogger("iic_rt.video")

FIRST_WAIT, LONGEST_WAIT = 0.5, 15.0  # seconds between two tries


@dataclass(frozen=True, eq=False)
class Stamp:
    """Where a frame belongs; it goes through the stream as the frame's ``pts``.

    Attributes:
        index: of the frame in its source, from 0.
        time: seconds from the beginning, exact.
        duration: seconds that it is shown, None where it is not known.
        decoded: ``av.VideoFrame`` that the image was made of, None where it was not.
        name: of its file, empty where it has none.
    """

    index: int
    time: Fraction
    duration: Fraction | None = None
    decoded: Any = field(default=None, repr=False)
    name: str = ""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """What is known of a source before its frames are read.

    Attributes:
        width, height: pixels of the upright frames.
        rate: frames a second on average, None where it is not known.
        time_base: seconds that all times are whole multiples of.
        total: number of frames, as far as the source says; None where it does not.
        look: colours and format of the decoded frames.
        codec: FFmpeg's name of the source's codec, empty where there is none.
        others: the streams beside the video (``av.stream.Stream``).
    """

    width: int
    height: int
    rate: Fraction | None
    time_base: Fraction
    total: int | None
    look: Look = field(default_factory=Look)
    codec: str = ""
    others: tuple[Any, ...] = ()


class Reader(Protocol):
    """A sequence of frames.

    Attributes:
        facts: known since it was opened.
        stamp: of the frame that was given out last.
        problem: why the frame that was given out last is None.
        counts: what was odd so far, by name.
    """

    facts: Facts
    stamp: Stamp
    problem: Exception | None
    counts: dict[str, int]

    def frames(self) -> Iterator[tuple[NDArray[np.uint8] | None, Stamp]]:
        """Images, uint8 [H, W, 3], BGR (pictures also [H, W] and [H, W, 4]), once; None where one cannot be read.

        Raises:
            InputError: the source ended before its end, or its connection was lost for too long.
        """

    def take_packets(self) -> list[Any]:
        """The packets of the other streams that were read since the last call, times from the same beginning."""

    def stop(self) -> None:
        """Ends waiting for a connection; any thread may call it."""

    def close(self) -> None:
        """Gives back what is open, when no thread reads any more."""


class Reconnect:
    """Waits longer and longer between tries, and says so.

    Args:
        name: of the source.
        seconds: after which to give up.
    """

    def __init__(self, name: str, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._name, self._seconds, self._clock = name, seconds, clock
        self._lost_at: float | None = None
        self._tries = 0
        self.stopped = threading.Event()

    def wait(self, problem: str) -> bool:
        """Whether to try again; returns when it is time to. ``problem`` says what is wrong."""
        now = self._clock()
        if self._lost_at is None:
            self._lost_at, self._tries = now, 0
        left = self._lost_at + self._seconds - now
        if left <= 0 or self.stopped.is_set():
            return False
        pause = min(FIRST_WAIT * 2**self._tries, LONGEST_WAIT, left)
        self._tries += 1
        logger.warning("%s: %s; try %d in %.1f s", self._name, problem, self._tries, pause)
        return not self.stopped.wait(pause)

    def worked(self) -> None:
        """A frame came."""
        if self._lost_at is not None:
            logger.warning("%s is back after %.1f s", self._name, self._clock() - self._lost_at)
            self._lost_at = None
