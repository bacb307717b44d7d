"""What the command says on standard error, and what it keeps others from saying there."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import cv2

__all__ = ["Noise", "decoders_unheard", "say", "without_opencv"]

LONGEST = 200  # characters of what a decoder says
SILENT = 0  # OpenCV's level of logging


def say(message: str) -> None:
    """A line on standard error. Where that cannot be written to, the work goes on."""
    with suppress(OSError):
        print(f"iic-rt: {message}", file=sys.stderr)


class Noise:
    """What decoders wrote to standard error.

    Attributes:
        text: its first line, empty where there was none.
    """

    def __init__(self) -> None:
        self.text = ""


@contextmanager
def decoders_unheard() -> Iterator[Noise]:
    """Within it, what C libraries write to standard error is kept: libjpeg and libpng know no other way.

    It is the whole process's, so that this is for the command alone, and for a single thread of it.
    """
    noise = Noise()
    try:
        before, kept = os.dup(2), tempfile.TemporaryFile()  # noqa: SIM115 - closed below
    except OSError:  # there is no standard error, or no place for it
        yield noise
        return
    with kept:
        os.dup2(kept.fileno(), 2)
        try:
            yield noise
        finally:
            os.dup2(before, 2)
            os.close(before)
            kept.seek(0)
            lines = kept.read(100_000).decode(errors="replace").splitlines()
            noise.text = next((line.strip()[:LONGEST] for line in lines if line.strip()), "")


@contextmanager
def without_opencv() -> Iterator[None]:
    """Within it OpenCV logs nothing, unless its own variable asks for it: every error of it is one of ours."""
    logging: Any = getattr(cv2.utils, "logging", cv2)  # OpenCV 4 has the two functions at its top
    level = logging.getLogLevel()
    if "OPENCV_LOG_LEVEL" not in os.environ:
        logging.setLogLevel(SILENT)
    try:
        yield
    finally:
        logging.setLogLevel(level)
