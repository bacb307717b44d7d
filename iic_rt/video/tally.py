"""Counts, latency and rate of a stream."""

from __future__ import annotations

from collections import Counter, deque
from typing import Literal, get_args

import numpy as np

from iic_rt.video.frames import Status, Substitute, VideoStats

__all__ = ["Reason", "Tally"]

WINDOW = 1000  # frames that latency and rate are taken over

Reason = Literal["newer", "not got", "closed"]


class Tally:
    """What :class:`VideoStats` is made of.

    Attributes:
        put: frames taken.
        remembered: frames given out whose hole was wholly known.
        statuses: of frames given out, other than ``"dropped"``.
        dropped: frames by the reason they were dropped for.
        substituted: frames by what was given out in their place.
    """

    def __init__(self) -> None:
        self.put = 0
        self.remembered = 0
        self.statuses: Counter[Status] = Counter()
        self.dropped: Counter[Reason] = Counter()
        self.substituted: Counter[Substitute] = Counter()
        self._given: deque[tuple[float, float]] = deque(maxlen=WINDOW)

    def add_given(self, now: float, latency_ms: float) -> None:
        """A frame was given out; ``now`` in seconds."""
        self._given.append((now, latency_ms))

    def stats(self) -> VideoStats:
        """The counts so far."""
        given = list(self._given)
        p50, p90, p99 = np.percentile([ms for _, ms in given], (50, 90, 99)).tolist() if given else (None,) * 3
        seconds = given[-1][0] - given[0][0] if given else 0.0
        return VideoStats(
            put=self.put,
            filled=self.statuses["filled"],
            remembered=self.remembered,
            untouched=self.statuses["untouched"],
            late=self.statuses["late"],
            failed=self.statuses["failed"],
            dropped={reason: self.dropped[reason] for reason in get_args(Reason)},
            held=self.put - self.statuses.total() - self.dropped.total(),
            substituted={kind: self.substituted[kind] for kind in get_args(Substitute)},
            latency_p50_ms=p50,
            latency_p90_ms=p90,
            latency_p99_ms=p99,
            fps=(len(given) - 1) / seconds if seconds > 0 else None,
        )
