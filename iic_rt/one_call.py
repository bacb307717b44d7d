"""One call at a time into what is not thread-safe."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from iic_rt.errors import BackendError

__all__ = ["OneCall"]


class OneCall:
    """Lets one call in; what comes meanwhile is refused. It is not kept waiting, since that would hide a mistake."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._thread: int | None = None  # of the call in hand

    @contextmanager
    def enter(self) -> Iterator[None]:
        """For the time of a call.

        Raises:
            BackendError: there is one already.
        """
        if not self._lock.acquire(blocking=False):
            raise BackendError(
                "this Inpainter is in the middle of another call, and its buffers serve one at a time; give every "
                "thread an Inpainter of its own, or share an iic_rt.InpainterPool"
            )
        self._thread = threading.get_ident()
        try:
            yield
        finally:
            self._thread = None
            self._lock.release()

    @contextmanager
    def enter_last(self) -> Iterator[None]:
        """To close what is used: waits for the call in hand, if there is one.

        Raises:
            BackendError: that call is the caller's own, which a signal handler has interrupted; it would wait forever.
        """
        if self._thread == threading.get_ident():
            raise BackendError("close() came in the middle of a call of the same thread; close it after that call")
        with self._lock:
            yield
