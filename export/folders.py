"""Folders that replace others: whole or not at all, also where the program is killed or the power fails."""

from __future__ import annotations

import ctypes
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from iic_rt.files import PARTS, make_folder, part_name, sync

__all__ = ["replacing_folder"]

STALE = 86_400.0  # seconds; to build the next engine takes less
AT_FDCWD, RENAME_EXCHANGE = -100, 2  # of Linux


@contextmanager
def replacing_folder(out: Path) -> Iterator[Path]:
    """A new folder beside ``out``, which takes its place when the block has filled it.

    Where anything is raised it is removed.

    Raises:
        OutputError: the folder that it is to lie in cannot be made.
        OSError: it cannot be written to.
    """
    target = Path(os.path.realpath(out))
    make_folder(target.parent)
    _remove_stale(target.parent)
    folder = target.with_name(part_name())
    folder.mkdir()
    try:
        yield folder
        for path in (*folder.rglob("*"), folder):
            sync(path)
        if target.exists():
            _exchange(folder, target)
        else:
            folder.rename(target)
        sync(target.parent)
    finally:
        shutil.rmtree(folder, ignore_errors=True)  # by now what was there before, if all went well


def _exchange(first: Path, second: Path) -> None:
    """Gives each the name of the other: in one step where the system can, since there would be none between two."""
    rename = getattr(ctypes.CDLL(None), "renameat2", None)
    if rename is not None:
        names = os.fsencode(first), os.fsencode(second)
        if rename(AT_FDCWD, names[0], AT_FDCWD, names[1], RENAME_EXCHANGE) == 0:
            return
    aside = first.with_name(part_name())
    second.rename(aside)
    first.rename(second)
    aside.rename(first)


def _remove_stale(parent: Path) -> None:
    """Removes the folders that a kill left."""
    oldest = time.time() - STALE
    for path in parent.glob(PARTS):
        if path.is_dir() and path.stat().st_mtime < oldest:
            shutil.rmtree(path, ignore_errors=True)
