"""The contract between the loop and what runs the graphs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from iic_rt.bundle import Bundle

__all__ = ["Backend", "Binding", "Buffer"]


class Buffer(ABC):
    """Memory where the backend computes, of one shape and dtype, owned by whoever allocated it."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @abstractmethod
    def write(self, array: NDArray[Any]) -> None:
        """Copies ``array`` (same shape and dtype, any strides) in, in stream order."""

    @abstractmethod
    def read(self) -> NDArray[Any]:
        """The content after all work enqueued so far; the next enqueue may overwrite the array, so copy to keep."""


class Binding(ABC):
    """One graph with its inputs and outputs tied to buffers."""

    @abstractmethod
    def enqueue(self) -> None:
        """Runs the graph once after all work enqueued before, and may return before it is done."""


class Backend(ABC):
    """Loads a bundle's graphs and runs them on buffers. Not thread-safe: one backend, one thread at a time.

    Attributes:
        name: the name it is asked for by.
        synchronous: work is done when ``enqueue`` returns, so that looking at a buffer costs no wait.
    """

    name: str
    synchronous: bool

    @abstractmethod
    def __init__(self, bundle: Bundle, *, threads: int | None) -> None:
        """Loads every graph of ``bundle``.

        Raises:
            BackendError: the engine is missing or refuses a graph.
        """

    @staticmethod
    @abstractmethod
    def version() -> str:
        """Version of the engine underneath.

        Raises:
            BackendError: it cannot be used here; the message says why and what to install.
        """

    @abstractmethod
    def allocate(self, shape: tuple[int, ...], dtype: str) -> Buffer:
        """Uninitialised memory."""

    @abstractmethod
    def bind(self, graph: str, inputs: Mapping[str, Buffer], outputs: Mapping[str, Buffer]) -> Binding:
        """Ties a graph to buffers, once; the binding is then enqueued as often as needed."""

    @abstractmethod
    def close(self) -> None:
        """Releases everything; a second call does nothing."""
