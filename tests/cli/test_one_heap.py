"""Threads share one heap where a command asks for it."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

PROGRAM = """
import ctypes, threading
from iic_rt.cli.one_heap import share_one_heap
{call}
threads = [threading.Thread(target=lambda: bytearray(50_000)) for _ in range(4)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
ctypes.CDLL(None).malloc_stats()
"""


@pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "malloc_stats"), reason="glibc alone has heaps to share"
)
def test_threads_share_one_heap() -> None:
    def heaps(call: str) -> int:
        done = subprocess.run([sys.executable, "-c", PROGRAM.format(call=call)], capture_output=True, check=True)
        return done.stderr.count(b"Arena ")

    assert heaps("share_one_heap()") == 1
    assert heaps("") > 1  # or else this says nothing
