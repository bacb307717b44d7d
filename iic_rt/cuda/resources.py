"""What lives on a CUDA context, and when it is freed."""

from __future__ import annotations

import itertools
import math
import weakref
from collections import deque
from collections.abc import Callable

__all__ = ["KINDS", "Resources"]

KINDS = ("graph", "execution", "engine", "memory")
"""The order in which everything is freed at the end: what uses something goes before it."""


class Resources:
    """Frees what belongs to an object after the object has gone, at a moment when that is safe.

    The garbage collector may take an object while a graph is captured, while the device still works on it, or on
    another thread. So it only leaves a note; :meth:`collect` does the work.

    Args:
        ticket: number of the work enqueued last; no later work uses an object that has gone by then.
    """

    def __init__(self, ticket: Callable[[], int]) -> None:
        self._ticket = ticket
        self._live: dict[str, dict[int, Callable[[], object]]] = {kind: {} for kind in KINDS}
        self._left: deque[tuple[int, Callable[[], object]]] = deque()
        self._keys = itertools.count()

    def adopt(self, owner: object, kind: str, free: Callable[[], object]) -> None:
        """Calls ``free`` once, some time after ``owner`` has gone or in :meth:`close`; it must not refer to it."""
        key = next(self._keys)
        self._live[kind][key] = free
        weakref.finalize(owner, self._leave, kind, key).atexit = False

    def _leave(self, kind: str, key: int) -> None:
        free = self._live[kind].pop(key, None)
        if free is not None:
            self._left.append((self._ticket(), free))

    @property
    def waiting(self) -> bool:
        """Something is to be freed."""
        return bool(self._left)

    def collect(self, reached: float = math.inf) -> None:
        """Frees what the objects that have gone left behind, where the device is done with it.

        Args:
            reached: ticket of work that is done, and all before it.
        """
        while self._left and self._left[0][0] <= reached:
            self._left.popleft()[1]()

    def close(self) -> None:
        """Frees everything; the device must be done with it."""
        self.collect()
        for kind in KINDS:
            while self._live[kind]:
                self._live[kind].popitem()[1]()
        self.collect()  # of what only the things just freed held
