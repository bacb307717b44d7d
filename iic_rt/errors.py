"""What can go wrong, one class for each kind of next step."""

from dataclasses import dataclass

__all__ = ["BackendError", "BundleError", "IICError", "InpaintWarning", "InputError", "OutputError", "VideoError"]


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


@dataclass(frozen=True)
class InpaintWarning:
    """Something that is no error and probably not what was meant; in ``InpaintResult.warnings``.

    Attributes:
        kind: ``"empty"`` or ``"almost all"``, of the mask; ``"not captured"``, of the device's work.
        text: what is odd, and what to do about it.
    """

    kind: str
    text: str

    def __str__(self) -> str:
        return self.text
