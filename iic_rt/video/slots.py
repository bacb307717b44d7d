"""What a slot of a stream holds, and its memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from iic_rt.result import InpaintResult

__all__ = ["Entry", "Spares"]


@dataclass(eq=False)
class Entry:
    """A frame between ``put`` and ``get``.

    Attributes:
        image: the stream's copy, or the caller's array on the device; None where it is not needed any more.
        mask, avoid, prefer: the same.
        put_at: by the stream's clock, in seconds, as are the other times.
        state: ``"waiting"``, ``"working"``, ``"done"``, or ``"dropped"``: it has no slot and gets a substitute.
        untouched: there is nothing to remove.
        given: it, or a substitute, was given out while it was in work.
        remembered: share of the hole that came from the memory.
    """

    index: int
    pts: Any
    shape: tuple[int, ...]
    image: Any
    mask: Any
    avoid: Any
    prefer: Any
    put_at: float
    deadline: float | None
    state: Literal["waiting", "working", "done", "dropped"] = "waiting"
    untouched: bool = False
    done_at: float = 0.0
    result: InpaintResult | None = None
    error: BaseException | None = None
    given: bool = False
    remembered: float = 0.0


class Spares:
    """Arrays of frames that are gone, to be used again: new memory costs more time than the copy into it."""

    def __init__(self) -> None:
        self._arrays: list[NDArray[Any]] = []

    def take(self, like: NDArray[Any]) -> NDArray[Any]:
        """An array of that shape and dtype."""
        for i, array in enumerate(self._arrays):
            if array.shape == like.shape and array.dtype == like.dtype:
                return self._arrays.pop(i)
        self._arrays.clear()  # of a size that the stream had before
        return np.empty(like.shape, like.dtype)

    def give_back(self, array: Any) -> None:
        """Keeps it, unless it is none of ours: an array on the device, or None."""
        if isinstance(array, np.ndarray):
            self._arrays.append(array)
