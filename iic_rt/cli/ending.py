"""How the command ends when it is told to."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from iic_rt.cli.messages import say

__all__ = ["POLITE", "ending", "interruptible", "status_of"]

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


@contextmanager
def interruptible() -> Iterator[threading.Event]:
    """An event that Ctrl-C, a polite kill and a closed terminal set; a second one is a KeyboardInterrupt."""
    stop = threading.Event()

    def ask(number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            raise KeyboardInterrupt(number)
        stop.set()
        say("finishing what was begun; Ctrl-C again ends at once")

    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    # What is ignored, as under nohup, stays ignored.
    heeded = [number for number in (signal.SIGINT, *POLITE) if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, ask) for number in heeded}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def status_of(stop: KeyboardInterrupt) -> int:
    """The exit status of a command that was ended."""
    number = stop.args[0] if stop.args else signal.SIGINT
    return 128 + int(number)
