"""A process that works on the stub driver; test_stub.py compiles it and runs this with the stub on LD_LIBRARY_PATH.

Prints what it compared, one line each, and at the end the functions of the driver that the bindings called.
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import pytest

from iic_rt.contract import CaptureError
from iic_rt.cuda.arrays import DeviceArray, copy_pixels
from iic_rt.cuda.dlpack import dense_strides
from iic_rt.cuda.driver import Driver, load_api
from iic_rt.cuda.event import CudaEvent
from iic_rt.cuda.graph import capture
from iic_rt.cuda.memory import CopiedBuffer, MappedBuffer, Memory, driver_allocator
from iic_rt.cuda.stream import Stream
from iic_rt.errors import BackendError


class Recording:
    """The bindings, with the names of the functions that were called."""

    def __init__(self, api: Any) -> None:
        self._api, self.called = api, set[str]()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("cu") and name[2].isupper():
            self.called.add(name)
        return getattr(self._api, name)


def raises(kind: type[Exception], call: Any) -> str:
    with pytest.raises(kind) as caught:
        call()
    assert caught.type is kind
    return str(caught.value)


def whole(buffer: Any) -> DeviceArray:
    return DeviceArray(buffer.stream, buffer.address, buffer.shape, dense_strides(buffer.shape), buffer)


def main() -> None:
    api = Recording(load_api())
    live = ctypes.CDLL("libcuda.so.1").stub_live
    driver = Driver(api)
    device = driver.device
    print(device.name, device.compute_capability, device.integrated, device.total_bytes, device.driver_version)

    with driver.guard():
        stream = Stream(driver)
        memory = Memory(stream, driver_allocator(driver))
        pixels = np.arange(5 * 7 * 3, dtype=np.uint8).reshape(5, 7, 3)
        source = CopiedBuffer(memory, pixels.shape, "uint8")
        target, mapped = CopiedBuffer(memory, (9, 11, 3), "uint8"), MappedBuffer(memory, (4,), "float32")
        free, total = driver.memory_info()
        print("memory", total - free)

        def work() -> list[CudaEvent]:
            first = CudaEvent(stream)
            source.upload()
            copy_pixels(whole(source).window(1, 2, 3, 4), whole(target).window(5, 6, 3, 4))
            target.download()
            return [first, CudaEvent(stream)]

        target.write(np.zeros(target.shape, np.uint8))
        graph = capture(stream, work)
        for step in range(3):
            expected = np.zeros(target.shape, np.uint8)
            expected[5:8, 6:10] = (pixels + step)[1:4, 2:6]
            source.stage(pixels + step)
            first, last = graph.enqueue()
            stream.wait()
            np.testing.assert_array_equal(target.host, expected)
            print("graph", last.ms_since(first))
        mapped.write(np.array([1.5, -2, 3, 4], np.float32))
        print("mapped", ctypes.c_float.from_address(mapped.address).value)

        print("error", raises(BackendError, lambda: memory.allocate(1 << 30)))
        print("error", raises(CaptureError, lambda: stream.capture(lambda: driver.allocate(64))))
        print("error", raises(BackendError, lambda: driver.elapsed_ms(0, 0)))
        other = driver.create_stream()
        event = driver.create_event()
        driver.record_event(event, other)
        driver.order(stream.handle, event)
        driver.destroy_event(event)
        driver.destroy_stream(other)
    print("current", int(api.cuCtxGetCurrent()[1]), "live", live() > 0)
    driver.activate()
    second = Driver(api)  # on a context that is current
    second.close()
    driver.activate()
    stream.close()
    print("current", int(api.cuCtxGetCurrent()[1]), "live", live())
    print(*sorted(api.called))


if __name__ == "__main__":
    main()
