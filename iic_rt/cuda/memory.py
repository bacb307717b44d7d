"""Memory of the device, pinned memory of the host, and the buffers made of both."""

from __future__ import annotations

import math
import mmap
from collections.abc import Callable
from functools import cached_property, partial
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from iic_rt.contract import Buffer
from iic_rt.cuda.driver import Driver, mib
from iic_rt.cuda.stream import Stream
from iic_rt.errors import BackendError

__all__ = ["Allocator", "CudaBuffer", "DeviceAllocation", "Memory", "driver_allocator", "pycuda_allocator"]


class Allocator(Protocol):
    """Where device memory comes from."""

    def __call__(self, size: int) -> tuple[int, Callable[[], object]]:
        """Address of ``size`` bytes, aligned to 256, and what gives them back."""


def driver_allocator(driver: Driver) -> Allocator:
    """Memory from the driver itself."""

    def allocate(size: int) -> tuple[int, Callable[[], object]]:
        address = driver.allocate(size)
        return address, partial(driver.free, address)

    return allocate


def pycuda_allocator(driver: Driver) -> Allocator:
    """Memory from ``pycuda.driver.mem_alloc``, for applications that keep their account of memory there.

    Raises:
        BackendError: pycuda is not installed.
    """
    try:
        import pycuda.driver as pycuda
    except ImportError as error:
        raise BackendError(f"pycuda cannot be imported ({error}); run `pip install 'iic-rt[pycuda]'`") from error

    def allocate(size: int) -> tuple[int, Callable[[], object]]:
        try:
            memory = pycuda.mem_alloc(size)
        except pycuda.Error as error:
            free, total = driver.memory_info()
            raise BackendError(
                f"pycuda cannot allocate {mib(size)} ({error}); {mib(free)} of {mib(total)} are free: free what the "
                "application holds, lower working_size, or give smaller images"
            ) from error
        return int(memory), lambda: driver.poisoned or memory.free()

    return allocate


class DeviceAllocation:
    """Device memory that is freed some time after the object has gone.

    Attributes:
        address: of the first byte.
        size: in bytes.
    """

    def __init__(self, address: int, size: int) -> None:
        self.address, self.size = address, size


class Memory:
    """Makes the memory of one stream and counts it.

    Attributes:
        device_bytes: on the device now.
        pinned_bytes: of the host, locked now.
    """

    def __init__(self, stream: Stream, allocator: Allocator) -> None:
        self.stream, self._allocator = stream, allocator
        self.device_bytes = self.pinned_bytes = 0

    def allocate(self, size: int) -> DeviceAllocation:
        """Device memory.

        Raises:
            BackendError: there is not enough, or work is being captured.
        """
        self.stream.collect()
        address, free = self._allocator(size)
        allocation = DeviceAllocation(address, size)
        self.device_bytes += size
        self.stream.resources.adopt(allocation, "memory", partial(self._free, free, size))
        return allocation

    def _free(self, free: Callable[[], object], size: int) -> None:
        self.device_bytes -= size
        free()

    def pin(self, owner: object, shape: tuple[int, ...], dtype: np.dtype[Any]) -> tuple[NDArray[Any], int]:
        """A C-contiguous array in pinned memory and its address on the device; unpinned after ``owner`` has gone.

        The memory is numpy's own and only locked, so that an array somebody still holds stays good for ever.
        """
        self.stream.collect()
        needed, page = math.prod(shape) * dtype.itemsize, mmap.PAGESIZE
        size = -(-needed // page) * page  # whole pages, so that no two buffers lock the same one
        raw = np.empty(size + page, np.uint8)
        first = -raw.ctypes.data % page
        address = raw.ctypes.data + first
        mapped = self.stream.driver.pin(address, size)
        self.pinned_bytes += size
        self.stream.resources.adopt(owner, "memory", partial(self._unpin, raw, address, size))
        return raw[first : first + needed].view(dtype).reshape(shape), mapped

    def _unpin(self, raw: NDArray[np.uint8], address: int, size: int) -> None:
        self.pinned_bytes -= size
        self.stream.driver.unpin(address)  # while there is raw: numpy must not give away locked pages

    def buffer(self, shape: tuple[int, ...], dtype: str, *, shared: bool = False) -> CudaBuffer:
        """A buffer: one memory for host and device if it is ``shared`` and the device integrated, otherwise one each.

        An integrated GPU does not cache pinned memory, so that what it alone works on is better in device memory.
        """
        kind = MappedBuffer if shared and self.stream.driver.device.integrated else CopiedBuffer
        return kind(self, shape, dtype)


class CudaBuffer(Buffer):
    """A buffer of a CUDA backend.

    Attributes:
        address: on the device.
    """

    address: int

    def __init__(self, memory: Memory, shape: tuple[int, ...], dtype: str) -> None:
        self.shape, self.dtype = shape, np.dtype(dtype)
        self.stream, self._memory = memory.stream, memory

    def stage(self, array: NDArray[Any]) -> None:
        self.check(array)
        self.stream.enter()
        if self.stream.capturing:
            raise BackendError("staging is the host's work and cannot be captured")
        self._settle()
        np.copyto(self.host, array)

    def _settle(self) -> None:
        """Waits until the device neither reads nor writes ``host``."""
        raise NotImplementedError


class MappedBuffer(CudaBuffer):
    """Pinned memory that the device works on directly; the copies are none."""

    def __init__(self, memory: Memory, shape: tuple[int, ...], dtype: str) -> None:
        super().__init__(memory, shape, dtype)
        self.host, self.address = memory.pin(self, shape, self.dtype)

    def _settle(self) -> None:
        self.stream.wait()  # any work may use the memory, not only a copy

    def upload(self) -> None:
        self.stream.enter()

    def download(self) -> None:
        self.stream.enter()

    def read(self) -> NDArray[Any]:
        self.stream.wait()
        return self.host


class CopiedBuffer(CudaBuffer):
    """Device memory, and pinned host memory once it is asked for: most buffers never leave the device."""

    def __init__(self, memory: Memory, shape: tuple[int, ...], dtype: str) -> None:
        super().__init__(memory, shape, dtype)
        self._allocation = memory.allocate(self.nbytes)
        self.address = self._allocation.address
        self._copied: tuple[int, int] | None = None  # event and ticket of the last copy from or to host
        self._event: int | None = None

    @cached_property
    def host(self) -> NDArray[Any]:  # type: ignore[override]  # made when it is first read, and never written to
        return self._memory.pin(self, self.shape, self.dtype)[0]

    def copied_at(self, event: int, ticket: int) -> None:
        """Notes that a copy from or to ``host`` is done when ``event`` is reached."""
        self._copied = event, ticket

    def _settle(self) -> None:
        if self._copied is not None and not self.stream.reached(self._copied[1]):
            self.stream.driver.wait_event(self._copied[0])

    def _record_copy(self, handle: int) -> None:
        """Sets this buffer's event; a captured graph does it for all of its buffers at once."""
        if self.stream.capturing:
            return
        if self._event is None:
            self._event = self.stream.take_event(self)
        self.stream.driver.record_event(self._event, handle)
        self.copied_at(self._event, self.stream.ticket)

    def upload(self) -> None:
        host, handle = self.host.ctypes.data, self.stream.begin(self)
        self.stream.driver.copy_in(self.address, host, self.nbytes, handle)
        self._record_copy(handle)

    def download(self) -> None:
        host, handle = self.host.ctypes.data, self.stream.begin(self)
        self.stream.driver.copy_out(host, self.address, self.nbytes, handle)
        self._record_copy(handle)

    def read(self) -> NDArray[Any]:
        self.download()
        self.stream.wait()
        return self.host
