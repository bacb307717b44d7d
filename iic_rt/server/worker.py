"""A thread with an inpainter of its own."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from iic_rt.errors import InputError
from iic_rt.inpainter import Inpainter

__all__ = ["Worker"]

T = TypeVar("T")

WARM_SIDES = (256, 512, 1024)  # pixels of the regions that are made ready before the first request


class Worker:
    """Fills images, one after another, in one thread: an inpainter is not thread-safe.

    Args:
        open_inpainter: makes an inpainter.
    """

    def __init__(self, open_inpainter: Callable[[], Inpainter], name: str) -> None:
        self._open = open_inpainter
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self.inpainter: Inpainter | None = None

    def start(self) -> Future[None]:
        """Opens the inpainter and makes it ready."""
        return self._thread.submit(self._start)

    def _start(self) -> None:
        self.inpainter = self._open()
        self.inpainter.warmup(WARM_SIDES)

    def submit(self, fill: Callable[[Inpainter], T]) -> Future[T]:
        """Has the inpainter do something."""
        return self._thread.submit(self._run, fill)

    def _run(self, fill: Callable[[Inpainter], T]) -> T:
        if self.inpainter is None:
            self.inpainter = self._open()
        try:
            return fill(self.inpainter)
        except InputError:
            raise  # the request was wrong, and the inpainter is as it was
        except BaseException:
            self._close()  # nobody knows what state it is in: the next request gets a new one
            raise

    def close(self) -> None:
        """Waits for what is in hand, and releases the inpainter."""
        done: Future[Any] = self._thread.submit(self._close)
        self._thread.shutdown()
        done.result()

    def _close(self) -> None:
        if self.inpainter is not None:
            inpainter, self.inpainter = self.inpainter, None
            inpainter.close()
