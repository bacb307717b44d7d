"""How far a video is, on the terminal."""

from __future__ import annotations

import logging
import sys
import time
from typing import Any, TextIO

from iic_rt.cli.messages import say
from iic_rt.video.job import Report

__all__ = ["Bar", "WarningsAboveBar", "line"]

WIDTH = 30  # characters of the bar
BETWEEN = 0.1  # seconds between two drawings


class Bar:
    """A bar with frames a second and the time that is left; on a terminal only.

    Args:
        total: frames, None where nobody knows.
        stream: where to draw.
    """

    def __init__(self, total: int | None, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._total = total
        self._on = self._stream.isatty()
        self._drawn = 0.0
        self._length = 0

    def show(self, report: Report) -> None:
        """Draws it, unless it was drawn just now."""
        now = time.monotonic()
        if self._on and now - self._drawn >= BETWEEN:
            self._drawn = now
            self._put(line(report, self._total))

    def clear(self) -> None:
        """Takes it away, so that something else can be said."""
        if self._length:
            self._put("")
            self._stream.write("\r")
            self._length = 0

    def _put(self, text: str) -> None:
        self._stream.write("\r" + text.ljust(self._length))
        self._stream.flush()
        self._length = len(text)


def line(report: Report, total: int | None) -> str:
    """What the bar says."""
    done = report.written + report.resumed
    fps = report.written / report.seconds if report.seconds > 0 else 0.0
    lost = report.stats.late + report.stats.failed + sum(report.stats.dropped.values())
    tail = f"  {fps:.1f} fps" + (f"  {lost} late, failed or dropped" if lost else "")
    if total is None:
        return f"{done} frames{tail}"
    filled = min(WIDTH, WIDTH * done // max(1, total))
    left = f"  {max(0, total - done) / fps:.0f} s left" if fps > 0 else ""
    return f"[{'#' * filled}{'-' * (WIDTH - filled)}] {done}/{total}{tail}{left}"


class WarningsAboveBar(logging.Handler):
    """Within it, warnings of the video's parts appear on standard error, above the bar."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.bar: Bar | None = None
        self._log = logging.getLogger("iic_rt.video")

    def emit(self, record: logging.LogRecord) -> None:
        if self.bar is not None:
            self.bar.clear()
        say(f"warning: {record.getMessage()}")

    def __enter__(self) -> WarningsAboveBar:
        self._log.addHandler(self)
        return self

    def __exit__(self, *failure: Any) -> None:
        self._log.removeHandler(self)
