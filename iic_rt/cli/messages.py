"""What the command says on standard error, and what it keeps others from saying there."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import cv2

__all__ = ["DamageSaid", "damaged", "say", "without_opencv"]

MOST_SAID = 5  # complaints about images of one name
SILENT = 0  # OpenCV's level of logging


def say(message: str) -> None:
    """A line on standard error. Where that cannot be written to, the work goes on."""
    with suppress(OSError):
        print(f"iic-rt: {message}", file=sys.stderr)


def damaged(name: str, noise: str) -> str:
    """What is said of an image that a decoder has complained about."""
    return f"{name} may be damaged, and parts of it wrong: {noise}"


class DamageSaid:
    """Says of images that they may be damaged: of many that have one name, as a camera's have, of the first alone.

    Args:
        tell: says a line.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell, self._said = tell, Counter[str]()

    def __call__(self, name: str, noise: str) -> None:
        self._said[name] += 1
        if self._said[name] <= MOST_SAID:
            more = "; of more nothing is said" if self._said[name] == MOST_SAID else ""
            self._tell(damaged(name, noise) + more)


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
