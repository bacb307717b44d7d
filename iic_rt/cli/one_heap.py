"""One heap for all threads of a command."""

from __future__ import annotations

import ctypes
import sys

__all__ = ["share_one_heap"]

M_ARENA_MAX = -8  # of glibc's malloc.h


def share_one_heap() -> None:
    """Has all threads allocate from one heap, in commands that pass images from thread to thread.

    glibc gives each thread a heap of its own, and takes its memory from the system again with every image, page by
    page. To be called before the first thread is started. Other C libraries are left as they are.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_ARENA_MAX, 1)
