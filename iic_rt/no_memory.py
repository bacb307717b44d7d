"""Memory that runs out, in whatever way a library says so."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

import cv2

from iic_rt.errors import BackendError, one_line

__all__ = ["engine_error", "filling_told", "is_out_of_memory", "loading_told"]

# Of C++'s standard library on Linux and on Windows, of the engines, and of the system, also where it starts no thread.
SAID = (
    "bad_alloc",
    "bad allocation",
    "failed to allocate",
    "can't alloc",
    "cannot allocate memory",
    "resource temporarily unavailable",
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether Python, numpy or OpenCV raised this since memory ran out."""
    return isinstance(error, MemoryError) or (isinstance(error, cv2.error) and error.code == cv2.Error.StsNoMem)


def engine_error(error: Exception, text: str) -> Exception:
    """What to raise for an error of an engine: BackendError with the text, or MemoryError if that is what it means."""
    said = str(error)
    if isinstance(error, MemoryError) or any(words in said.lower() for words in SAID):
        return MemoryError(one_line(said))
    return BackendError(text)


def loading_told() -> AbstractContextManager[None]:
    """Within it networks are loaded; memory that runs out is a BackendError which says what to do."""
    return _told("the networks were loaded", "fill fewer at once")


def filling_told(what: str) -> AbstractContextManager[None]:
    """Within it an image is filled; memory that runs out is a BackendError which says what to do.

    Args:
        what: what is too large.
    """
    return _told(f"{what} was filled", "give smaller images, fill fewer at once")


@contextmanager
def _told(doing: str, advice: str) -> Iterator[None]:
    try:
        yield
    except (MemoryError, cv2.error) as error:
        if not is_out_of_memory(error):
            raise
        raise BackendError(f"memory ran out while {doing}; {advice}, or close other programs") from error
