"""The contract between the loop and what runs the graphs."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from iic_rt.bundle.manifest import Bundle
from iic_rt.bundle.shapes import Limits
from iic_rt.errors import BackendError
from iic_rt.geometry import Box

__all__ = ["Backend", "Binding", "Buffer", "CaptureError", "CapturedGraph", "DeviceImage", "Event"]


class Buffer(ABC):
    """Memory where the backend computes, of one shape and dtype, owned by whoever allocated it.

    Attributes:
        host: C-contiguous array of the same shape and dtype that the host shares with the device, by copies or as one
            memory. It may be written before :meth:`upload` and read after :meth:`download` and ``Backend.wait``.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    host: NDArray[Any]

    @property
    def nbytes(self) -> int:
        """Bytes of the content."""
        return math.prod(self.shape) * self.dtype.itemsize

    @abstractmethod
    def stage(self, array: NDArray[Any]) -> None:
        """Copies ``array`` (same shape and dtype, any strides) into ``host`` as soon as no upload reads from it.

        Raises:
            ValueError: the array has another shape or dtype.
        """

    @abstractmethod
    def upload(self) -> None:
        """Enqueues the copy of ``host`` to the device."""

    @abstractmethod
    def download(self) -> None:
        """Enqueues the copy of the device's content to ``host``."""

    @abstractmethod
    def read(self) -> NDArray[Any]:
        """``host`` after all work enqueued so far; the next enqueue may overwrite the array, so copy to keep."""

    def write(self, array: NDArray[Any]) -> None:
        """:meth:`stage` and :meth:`upload`."""
        self.stage(array)
        self.upload()

    def check(self, array: NDArray[Any]) -> None:
        """Raises ValueError where ``array`` does not fit."""
        if array.shape != self.shape or array.dtype != self.dtype:
            raise ValueError(f"buffer holds {self.dtype}{self.shape}, not {array.dtype}{array.shape}")


class Binding(ABC):
    """One graph with its inputs and outputs tied to buffers."""

    @abstractmethod
    def enqueue(self) -> None:
        """Runs the graph once after all work enqueued before, and may return before it is done."""


class Event(ABC):
    """A point in the work of a backend."""

    @abstractmethod
    def wait(self) -> None:
        """Returns when it is reached.

        Raises:
            BackendError: the work before it failed.
        """

    @abstractmethod
    def ms_since(self, earlier: Event) -> float:
        """Milliseconds from ``earlier`` to this event of the same backend; waits until it is reached."""


class CaptureError(BackendError):
    """The device, its driver or the engine cannot capture the work; enqueued piece by piece it may well run."""


class CapturedGraph(ABC):
    """Work that was captured and is enqueued as a whole, again and again; a CUDA graph, not a graph of the bundle."""

    @abstractmethod
    def enqueue(self) -> Sequence[Event]:
        """Runs the work after all work enqueued before; returns the events recorded in it."""


class DeviceImage(ABC):
    """An image of the application, uint8, in device memory. What is not said to be enqueued is done on return.

    Attributes:
        shape: [H, W] or [H, W, C].
        array: the image as the application takes it; exports ``__cuda_array_interface__`` and DLPack.
    """

    shape: tuple[int, ...]
    array: Any

    @abstractmethod
    def read(self, box: Box) -> NDArray[np.uint8]:
        """A part of the image on the host, after all work enqueued so far."""

    @abstractmethod
    def write(self, box: Box, pixels: NDArray[np.uint8]) -> None:
        """Writes a part of the image."""

    @abstractmethod
    def copy_part_to(self, box: Box, buffer: Buffer, top: int, left: int) -> None:
        """Enqueues the copy of a part of the image to a buffer [S, S, C], at ``top`` and ``left`` of it."""

    @abstractmethod
    def copy_part_from(self, box: Box, buffer: Buffer, top: int, left: int) -> None:
        """Enqueues the copy of a buffer [S, S, C], from ``top`` and ``left`` of it, to a part of the image."""

    @abstractmethod
    def copy(self) -> DeviceImage:
        """The same image in new memory, copied on the device."""

    @abstractmethod
    def copy_to(self, other: DeviceImage) -> None:
        """Copies the image on the device to another of the same shape; nothing to do where both are one memory."""


class Backend(ABC):
    """Loads a bundle's graphs and runs them on buffers. Not thread-safe: one backend, one thread at a time.

    Attributes:
        name: the name it is asked for by.
        synchronous: work is done when ``enqueue`` returns, so that looking at a buffer costs no wait.
        limits: what it gives to a graph at once.
        precision: the precision it computes in.
        bundle: the bundle at the precision of the graphs it runs.
    """

    name: ClassVar[str]
    synchronous: ClassVar[bool]
    limits: Limits = Limits()
    precision: str
    bundle: Bundle

    @abstractmethod
    def __init__(self, bundle: Bundle, *, precision: str | None, threads: int | None, stream: object | None) -> None:
        """Opens the engine for ``bundle``.

        Args:
            bundle: graphs, in every precision they were exported in.
            precision: one of :meth:`precisions`, None for the first.
            threads: of the CPU, None for the engine's default.
            stream: a CUDA stream of the application that all work is enqueued on, None for one of its own.

        Raises:
            BackendError: the engine is missing or refuses a graph, a precision or a stream.
        """

    @staticmethod
    @abstractmethod
    def version() -> str:
        """Version of the engine underneath.

        Raises:
            BackendError: it cannot be used here; the message says why and what to install.
        """

    @staticmethod
    @abstractmethod
    def precisions() -> Mapping[str, str]:
        """Precisions it can compute in on this machine, its default first, each with that of the graphs it takes.

        Raises:
            BackendError: as :meth:`version`.
        """

    @abstractmethod
    def allocate(self, shape: tuple[int, ...], dtype: str, *, shared: bool = False) -> Buffer:
        """Uninitialised memory.

        Args:
            shape: of the content.
            dtype: numpy's name of it.
            shared: the host writes or reads it in every call. Where host and device have one memory, it is that and
                needs no copies; what stays on the device is faster in memory of its own.

        Raises:
            BackendError: there is not enough; the message names the size and what to lower.
        """

    @abstractmethod
    def bind(self, graph: str, inputs: Mapping[str, Buffer], outputs: Mapping[str, Buffer]) -> Binding:
        """Ties a graph to buffers, once; the binding is then enqueued as often as needed."""

    def capture(self, work: Callable[[], Sequence[Event]]) -> CapturedGraph:
        """The work that ``work`` enqueues, to be repeated on the same buffers. It must not wait for the device.

        Raises:
            CaptureError: the work cannot be captured; call ``work`` every time instead.
        """
        raise CaptureError(f"{self.name} has no captured graphs; enqueue the work every time")

    @abstractmethod
    def record_event(self) -> Event:
        """An event behind all work enqueued so far."""

    @abstractmethod
    def wait(self) -> None:
        """Returns when all work enqueued so far is done.

        Raises:
            BackendError: the work failed.
        """

    def device_image(self, array: object) -> DeviceImage:
        """The application's image on the device, without a copy.

        Args:
            array: exports ``__cuda_array_interface__`` or DLPack, uint8.

        Raises:
            BackendError: the backend computes elsewhere.
            InputError: the array cannot be used.
        """
        raise BackendError(
            f"{self.name} computes on the CPU and takes numpy arrays; copy the image to the host, or open the "
            "Inpainter with backend='tensorrt' or 'tensorrt-rtx'"
        )

    def guard(self) -> AbstractContextManager[None]:
        """For the time of a public call: leaves the calling thread as it was found, its CUDA context above all."""
        return nullcontext()

    @abstractmethod
    def close(self) -> None:
        """Releases everything and leaves the thread as it was found; a second call does nothing."""
