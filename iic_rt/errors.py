"""What can go wrong, one class for each kind of next step."""

import unicodedata
from dataclasses import dataclass

__all__ = [
    "BackendError",
    "BundleError",
    "IICError",
    "InpaintWarning",
    "InputError",
    "OutputError",
    "TrackLost",
    "VideoError",
    "one_line",
    "printable",
]


class IICError(Exception):
    """Base of every error that iic-rt raises on purpose."""


class InputError(IICError, ValueError):
    """An image, a mask or an option that cannot be used; the message says what is allowed."""


class BundleError(IICError):
    """A bundle that is missing, incomplete, changed or of another version; the message says what to run."""


class BackendError(IICError, RuntimeError):
    """A backend that is missing or failed; asking for one by name never falls back to another."""


class OutputError(IICError, OSError):
    """A result that could not be written; nothing was left half-written."""


class VideoError(IICError, RuntimeError):
    """A stream of frames that was closed, or whose worker ended; open a new one."""


class TrackLost(IICError):
    """A mask that was carried from frame to frame is no longer on its object; masks from here on would be wrong.

    Attributes:
        index: number of the frame, from 0.
        trust: measure of trust in [0, 1] of that frame.
    """

    def __init__(self, message: str, index: int, trust: float) -> None:
        super().__init__(message)
        self.index = index
        self.trust = trust


@dataclass(frozen=True)
class InpaintWarning:
    """Something that is no error and probably not what was meant.

    ``InpaintResult.warnings`` and ``FrameMasks.warnings`` hold them.

    Attributes:
        kind: ``"empty"`` or ``"almost all"``, of the mask; ``"not captured"``, of the device's work; ``"warming up"``
            or ``"lost"``, of masks that are found in the frames.
        text: what is odd, and what to do about it.
    """

    kind: str
    text: str

    def __str__(self) -> str:
        return self.text


def printable(text: str) -> str:
    """A text of others without what a terminal would obey: control characters, escape sequences, marks of direction."""
    return "".join(c for c in text if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cf"))


def one_line(error: object) -> str:
    """What an engine says, for a message of one line."""
    return " ".join(printable(str(error)).split())
