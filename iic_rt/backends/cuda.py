"""What backends on CUDA have in common: one stream, memory, captured work, events."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import ClassVar

from iic_rt.bundle.manifest import Bundle
from iic_rt.bundle.shapes import Limits
from iic_rt.contract import Backend, Event
from iic_rt.cuda.driver import Driver, load_api
from iic_rt.cuda.event import CudaEvent
from iic_rt.cuda.graph import CudaGraph, capture
from iic_rt.cuda.image import CudaImage, Staging
from iic_rt.cuda.memory import CudaBuffer, Memory, driver_allocator, pycuda_allocator
from iic_rt.cuda.stream import Stream
from iic_rt.errors import BackendError

__all__ = ["CudaBackend"]


class CudaBackend(Backend):
    """Base of the backends on CUDA: owns the context's use, the stream and the memory.

    All work goes to one stream. The caller's is used where one is given; where it is pycuda's, device memory comes
    from pycuda too. ``threads`` has no effect on a device.

    Attributes:
        stream: that all work goes to.
        memory: made for it.
    """

    synchronous: ClassVar[bool] = False
    limits = Limits(whole_pixels=1 << 22, tile_pixels=1 << 22)

    def __init__(self, bundle: Bundle, *, precision: str | None, threads: int | None, stream: object | None) -> None:
        offered = self.precisions()
        fitting = [name for name, graphs in offered.items() if graphs in bundle.precisions]
        self.precision = precision or next(iter(fitting), next(iter(offered)))
        if self.precision not in offered:
            raise BackendError(f"{self.name} computes in {' or '.join(offered)}, not in {precision!r}")
        self.bundle = bundle.at(offered[self.precision])
        driver = Driver(load_api())
        of_pycuda = type(stream).__module__.partition(".")[0] == "pycuda"
        try:
            allocator = (pycuda_allocator if of_pycuda else driver_allocator)(driver)
            with driver.guard():
                self.stream = Stream(driver, stream)
        except BackendError:
            driver.close()
            raise
        self.memory = Memory(self.stream, allocator)
        self._staging = Staging(self.memory)
        weakref.finalize(self, self.stream.close)  # an inpainter that nobody closed must not hold the device

    def allocate(self, shape: tuple[int, ...], dtype: str, *, shared: bool = False) -> CudaBuffer:
        return self.memory.buffer(shape, dtype, shared=shared)

    def device_image(self, array: object) -> CudaImage:
        return CudaImage(array, self._staging)

    def capture(self, work: Callable[[], Sequence[Event]]) -> CudaGraph:
        return capture(self.stream, work)

    def record_event(self) -> CudaEvent:
        return CudaEvent(self.stream)

    def wait(self) -> None:
        self.stream.wait()

    def guard(self) -> AbstractContextManager[None]:
        return self.stream.driver.guard()

    def close(self) -> None:
        self.stream.close()
