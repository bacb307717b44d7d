"""What backends on the CPU have in common: memory is one, work is done when it is asked for."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from iic_rt.bundle.manifest import Bundle
from iic_rt.contract import Backend, Buffer, Event
from iic_rt.errors import BackendError

__all__ = ["HostBackend", "HostBuffer", "host_buffers"]


class HostBuffer(Buffer):
    """A C-contiguous numpy array."""

    def __init__(self, shape: tuple[int, ...], dtype: str) -> None:
        self.host: NDArray[Any] = np.empty(shape, dtype)
        self.shape, self.dtype = shape, self.host.dtype

    def stage(self, array: NDArray[Any]) -> None:
        self.check(array)
        np.copyto(self.host, array)

    def upload(self) -> None:
        pass

    def download(self) -> None:
        pass

    def read(self) -> NDArray[Any]:
        return self.host


class HostEvent(Event):
    """The monotonic clock."""

    def __init__(self) -> None:
        self._seconds = time.perf_counter()

    def ms_since(self, earlier: Event) -> float:
        if not isinstance(earlier, HostEvent):
            raise TypeError("events of two backends cannot be compared")
        return (self._seconds - earlier._seconds) * 1e3


class HostBackend(Backend):
    """Base of the backends on the CPU: checks the precision, has no stream."""

    synchronous: ClassVar[bool] = True

    def __init__(self, bundle: Bundle, *, precision: str | None, threads: int | None, stream: object | None) -> None:
        if stream is not None:
            raise BackendError(f"{self.name} runs on the CPU and takes no CUDA stream; leave stream out")
        offered = self.precisions()
        self.precision = precision or next(iter(offered))
        if self.precision not in offered:
            raise BackendError(f"{self.name} computes in {' or '.join(offered)} here, not in {precision!r}")
        self.bundle = bundle.at(offered[self.precision])

    def allocate(self, shape: tuple[int, ...], dtype: str, *, shared: bool = False) -> HostBuffer:
        return HostBuffer(shape, dtype)

    def record_event(self) -> HostEvent:
        return HostEvent()

    def wait(self) -> None:
        pass


def host_buffers(buffers: Mapping[str, Buffer], backend: str) -> dict[str, HostBuffer]:
    """The same buffers, known to be host memory.

    Raises:
        BackendError: one of them belongs to another kind of backend.
    """
    hosts = {name: buffer for name, buffer in buffers.items() if isinstance(buffer, HostBuffer)}
    if len(hosts) != len(buffers):
        raise BackendError(f"{backend} computes on buffers that it allocated itself; use allocate()")
    return hosts
