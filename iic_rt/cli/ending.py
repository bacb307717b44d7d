"""How the command ends when it is told to."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["POLITE", "ending", "status_of"]

POLITE = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name))  # beside Ctrl-C


@contextmanager
def ending() -> Iterator[None]:
    """Within it a polite kill and a closed terminal end the work as Ctrl-C does, so that no unfinished file is left."""

    def end(number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt(number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # What is ignored, as under nohup, stays ignored.
    heeded = [number for number in POLITE if signal.getsignal(number) == signal.SIG_DFL]
    for number in heeded:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in heeded:
            signal.signal(number, signal.SIG_DFL)


def status_of(stop: KeyboardInterrupt) -> int:
    """The exit status of a command that was ended."""
    number = stop.args[0] if stop.args else signal.SIGINT
    return 128 + int(number)
