"""What this process holds, on Linux."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["open_files", "resident_mib", "threads"]


def resident_mib() -> float:
    """Memory that lies in RAM."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 2**20


def open_files() -> int:
    """Files, pipes and sockets that are open."""
    return len(os.listdir("/proc/self/fd")) - 1  # noqa: PTH208 - it is no folder of files; one is the listing's own


def threads() -> int:
    """Threads, those of engines too."""
    return len(os.listdir("/proc/self/task"))  # noqa: PTH208 - as above
