"""Whether results can go where they are to go, before the work."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from iic_rt.errors import OutputError
from iic_rt.image_io import IMAGE_SUFFIXES, check_format

__all__ = ["check_apart", "check_place"]


def check_place(path: Path, *, is_image: bool = True) -> None:
    """Whether a file can be written there.

    Raises:
        OutputError: it cannot.
    """
    try:
        if is_image:
            check_format(path.suffix.lower())
        if path.is_dir():
            suffix = path.suffix or (IMAGE_SUFFIXES[0] if is_image else "")
            raise OutputError(f"it is a folder; name a file, e.g. {path / f'result{suffix}'}")
        target = Path(os.path.realpath(path))  # of a link, what it names
        if not target.parent.is_dir():
            raise OutputError(f"there is no folder {target.parent}; make it first")
        if target.exists() and not stat.S_ISREG(target.stat().st_mode):
            raise OutputError("there is something that is no file; name another")
        if not os.access(target if target.exists() else target.parent, os.W_OK):
            raise OutputError("it may not be written to; change its permissions, or name another")
        if not os.access(target.parent, os.W_OK | os.X_OK):
            raise OutputError(f"the folder {target.parent} may not be written to; name another")
    except OutputError as error:
        raise OutputError(f"cannot write {path}: {error}") from error
    except OSError as error:
        raise OutputError(f"cannot write {path}: {error.strerror}") from error


def check_apart(inputs: Iterable[Path], outputs: Iterable[Path]) -> None:
    """Whether every output is a file, or a folder, of its own.

    Raises:
        OutputError: one is an input, which would be lost, or two are the same.
    """
    taken = {_identity(path): path for path in inputs}
    read = set(taken)
    for path in outputs:
        identity = _identity(path)
        if identity in read:
            raise OutputError(f"{path} is read here and would be overwritten; name another place for the result")
        if identity in taken:
            raise OutputError(
                f"{path} would be written to twice; give each result a place of its own, and images names that differ "
                "in more than their endings"
            )
        taken[identity] = path


def _identity(path: Path) -> object:
    """The same for all names of a file or folder."""
    try:
        found = path.stat()
    except OSError:
        return os.path.normcase(os.path.realpath(path))
    return found.st_dev, found.st_ino
