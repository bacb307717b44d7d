"""Files that replace others: whole or not at all, also where the program is killed or the power fails."""

from __future__ import annotations

import errno
import os
import secrets
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from iic_rt.errors import OutputError

__all__ = [
    "PARTS",
    "make_folder",
    "part_name",
    "remove_parts",
    "remove_stale",
    "replacing",
    "sync",
    "write_bytes",
]

# What is being written: a name of fixed length, hidden, and recognised where a kill left it behind.
PART_BEGIN, PART_END = ".iic-rt-", ".part"
PARTS = f"{PART_BEGIN}*{PART_END}"
STALE = 3600.0  # seconds; writing takes less than one
NO_SYNC = (errno.EINVAL, errno.ENOTSUP)  # of folders, on file systems that do not know it


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a file as :func:`replacing` does.

    Raises:
        OutputError: the place cannot be written to; what was there before is there still.
    """
    try:
        with replacing(path) as partial:
            partial.write_bytes(content)
    except OSError as error:
        why = error.strerror or str(error)
        raise OutputError(f"cannot write {path}: {why}. Check that the folder exists and may be written to") from error


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A new file in the same folder, which takes the place of ``path`` when the block has written it.

    Where anything is raised it is removed. A file that is replaced keeps its mode. A link stays a link, and what it
    names is replaced.

    Raises:
        OSError: the place cannot be written to.
    """
    target = Path(os.path.realpath(path))
    partial = target.with_name(part_name())
    try:
        mode = _mode_of(target)
        partial.touch(exist_ok=False)
        if mode is not None:
            partial.chmod(mode | stat.S_IRUSR | stat.S_IWUSR)
        yield partial
        with partial.open("rb+") as file:
            if mode is not None:
                partial.chmod(mode)
            # A file system may write the new name before the content: after a power cut it would stand for an empty
            # file. And what has been reported as written, or lets others be deleted, must not come to lack its name.
            os.fsync(file.fileno())
        os.replace(partial, target)
        sync(target.parent)
    except BaseException:  # Ctrl-C too
        with suppress(OSError):
            partial.unlink(missing_ok=True)
        raise


def part_name() -> str:
    """A new name for what is being written; it tells the process."""
    return f"{PART_BEGIN}{os.getpid()}-{secrets.token_hex(8)}{PART_END}"


def sync(path: Path) -> None:
    """Waits until a file, or the names in a folder, are on the disk.

    A folder that may not be read, or is on a file system that cannot do it, is left to the system.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except PermissionError:
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in NO_SYNC:
            raise
    finally:
        os.close(descriptor)


def make_folder(folder: Path) -> None:
    """Makes a folder for results, and those that it is to lie in.

    Raises:
        OutputError: it cannot be made.
    """
    try:
        missing = [each for each in (folder, *folder.parents) if not each.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        for made in missing:
            sync(made.parent)
    except OSError as error:
        raise OutputError(f"cannot make the folder {folder}: {error.strerror}") from error


def _mode_of(target: Path) -> int | None:
    """Who may do what with a file that is to be replaced; None where there is none."""
    try:
        found = target.stat()
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(found.st_mode):
        raise OSError("there is something that is no file")
    return stat.S_IMODE(found.st_mode) & 0o777


def remove_parts(path: Path, writer: int) -> None:
    """Removes what a process that has ended left beside a file that it was writing.

    Args:
        path: of the file.
        writer: number of the process.
    """
    with suppress(OSError):
        for partial in Path(os.path.realpath(path)).parent.glob(f"{PART_BEGIN}{writer}-*{PART_END}"):
            partial.unlink(missing_ok=True)


def remove_stale(folder: Path) -> None:
    """Removes what writing left in a folder when it was killed or the power failed; what others write now stays."""
    oldest = time.time() - STALE
    with suppress(OSError):
        for path in folder.glob(PARTS):
            with suppress(OSError):
                if path.stat().st_mtime < oldest:
                    path.unlink()
