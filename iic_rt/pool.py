"""Several inpainters for programs with several threads."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from iic_rt.bundle.manifest import DEFAULT_BUNDLE
from iic_rt.checks import check_whole
from iic_rt.errors import BackendError, InputError
from iic_rt.inpainter import Inpainter
from iic_rt.options import InpaintOptions
from iic_rt.result import InpaintResult

__all__ = ["InpainterPool", "threads_each", "usable_threads"]


def threads_each(workers: int) -> int | None:
    """CPU threads for each of so many workers, so that they are not in each other's way; None: the engine's default."""
    return None if workers == 1 else max(1, usable_threads() // workers)


def usable_threads() -> int:
    """Hardware threads that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class InpainterPool:
    """Fills images for any number of threads, so many at once as it has inpainters.

    Thread-safe: a call takes an inpainter that is free, or waits for one. It runs in the thread that makes it. Use the
    pool as a context manager or call :meth:`close`.

    Args:
        workers: inpainters, each with memory of its own. On a CPU more of them fill more images a second, each of which
            takes longer.
        bundle, backend, precision, working_size, options: as for :class:`iic_rt.Inpainter`.
        threads: CPU threads of each inpainter; None shares the cores among them.
        warmup: sides in pixels that every inpainter is made ready for, as by :meth:`iic_rt.Inpainter.warmup`.

    Raises:
        InputError: ``workers`` is below 1, or as for :class:`iic_rt.Inpainter`.
        BundleError, BackendError: as for :class:`iic_rt.Inpainter`.
    """

    def __init__(
        self,
        workers: int = 2,
        *,
        bundle: str | Path = DEFAULT_BUNDLE,
        backend: str = "auto",
        precision: str | None = None,
        threads: int | None = None,
        working_size: int | None = None,
        options: InpaintOptions | None = None,
        warmup: Sequence[int] = (),
    ) -> None:
        workers = check_whole(workers, "workers", "a whole number from 1 up", least=1)
        self._settings: dict[str, Any] = {
            "bundle": bundle,
            "backend": backend,
            "precision": precision,
            "threads": threads_each(workers) if threads is None else threads,
            "working_size": working_size,
            "options": options,
        }
        self._warmup = tuple(warmup)
        self._changed = threading.Condition()
        self._closed = False
        self._in_use: list[int] = []  # threads whose calls have an inpainter
        # The one used last is taken first: what it needs is at hand. None stands for one that failed.
        self._free: list[Inpainter | None] = []
        try:
            for _ in range(workers):
                self._free.append(self._open())
        except BaseException:
            self.close()
            raise

    def inpaint(
        self,
        image: Any,
        mask: Any,
        *,
        avoid: Any = None,
        prefer: Any = None,
        options: InpaintOptions | None = None,
    ) -> InpaintResult:
        """Fills the hole that ``mask`` marks, as :meth:`iic_rt.Inpainter.inpaint` does.

        After a BackendError nobody knows what state an inpainter is in: a new one takes its place.

        Raises:
            InputError: as there.
            BackendError: as there, or the pool is closed.
        """
        inpainter = self._take()
        try:
            if inpainter is None:
                inpainter = self._open()
            return inpainter.inpaint(image, mask, avoid=avoid, prefer=prefer, options=options)
        except (InputError, TypeError):
            raise  # the arguments were wrong, and the inpainter is as it was
        except BaseException:
            failed, inpainter = inpainter, None
            if failed is not None:
                failed.close()
            raise
        finally:
            self._give_back(inpainter)

    def close(self) -> None:
        """Releases the inpainters; a second call does nothing.

        Calls that have an inpainter are waited for, and their results are good. Those that wait for one are refused.

        Raises:
            BackendError: called in the middle of a call of the same thread, such as by a signal handler.
        """
        with self._changed:
            if threading.get_ident() in self._in_use:
                raise BackendError("close() came in the middle of a call of the same thread; close it after that call")
            self._closed = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._in_use)
            free, self._free = self._free, []
        for inpainter in free:
            if inpainter is not None:
                inpainter.close()

    def __enter__(self) -> InpainterPool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _open(self) -> Inpainter:
        inpainter = Inpainter(**self._settings)
        try:
            inpainter.warmup(self._warmup)
        except BaseException:
            inpainter.close()
            raise
        return inpainter

    def _take(self) -> Inpainter | None:
        with self._changed:
            self._changed.wait_for(lambda: self._free or self._closed)
            if self._closed:
                raise BackendError("this InpainterPool is closed; make a new one")
            self._in_use.append(threading.get_ident())
            return self._free.pop()

    def _give_back(self, inpainter: Inpainter | None) -> None:
        with self._changed:
            self._in_use.remove(threading.get_ident())
            self._free.append(inpainter)
            self._changed.notify_all()
