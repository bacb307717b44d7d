"""Buffers: what arrives where, when the host waits, and when memory goes back."""

from __future__ import annotations

import gc
import sys
from itertools import permutations
from types import ModuleType

import numpy as np
import pytest

from iic_rt.cuda.driver import Driver
from iic_rt.cuda.graph import CudaEvent, capture
from iic_rt.cuda.memory import Memory, pycuda_allocator
from iic_rt.cuda.stream import Stream
from iic_rt.errors import BackendError
from tests.cuda.conftest import make_memory
from tests.cuda.fake_driver import FakeApi

SHAPE = (5, 7)


def numbers(first: int) -> np.ndarray:
    return np.arange(first, first + 35, dtype=np.float32).reshape(SHAPE)


def on_device(api: FakeApi, buffer: object) -> np.ndarray:
    return api.view(buffer.address, buffer.nbytes).view(buffer.dtype).reshape(buffer.shape)


def waits(api: FakeApi) -> int:
    return api.counts()["cuEventSynchronize"]


def test_round_trip(memory: Memory, api: FakeApi) -> None:
    buffer = memory.buffer(SHAPE, "float32")
    buffer.write(numbers(1)[::-1])  # any strides
    np.testing.assert_array_equal(buffer.read(), numbers(1)[::-1])
    on_device(api, buffer)[:] = numbers(50)
    np.testing.assert_array_equal(buffer.read(), numbers(50))
    assert buffer.host.flags.c_contiguous
    assert buffer.host.shape == SHAPE


def test_copies_wait_for_nobody(discrete: FakeApi) -> None:
    memory = make_memory(discrete)
    buffer = memory.buffer(SHAPE, "float32")
    buffer.write(numbers(1))
    assert not (on_device(discrete, buffer) == numbers(1)).any()  # only enqueued
    buffer.download()
    assert waits(discrete) == 0
    memory.stream.wait()
    np.testing.assert_array_equal(on_device(discrete, buffer), numbers(1))
    memory.stream.close()


def test_integrated_memory_is_one_and_copies_nothing() -> None:
    api = FakeApi(integrated=True)
    memory = make_memory(api)
    buffer = memory.buffer(SHAPE, "float32", shared=True)
    buffer.write(numbers(1))
    np.testing.assert_array_equal(on_device(api, buffer), numbers(1))
    buffer.download()
    assert not {"cuMemcpyHtoDAsync", "cuMemcpyDtoHAsync", "cuMemAlloc"} & set(api.log)
    memory.stream.close()


def test_what_the_host_does_not_use_is_in_device_memory_on_every_device() -> None:
    api = FakeApi(integrated=True)
    memory = make_memory(api)
    memory.buffer(SHAPE, "float32")
    assert memory.device_bytes > 0
    assert memory.pinned_bytes == 0
    memory.stream.close()


def test_stage_waits_for_the_copy_under_way_and_for_no_other(discrete: FakeApi) -> None:
    memory = make_memory(discrete)
    first, second = memory.buffer(SHAPE, "float32"), memory.buffer(SHAPE, "float32")
    first.write(numbers(1))
    second.stage(numbers(9))
    assert waits(discrete) == 0
    first.stage(numbers(2))
    assert waits(discrete) == 1
    np.testing.assert_array_equal(on_device(discrete, first), numbers(1))  # the upload read what it was given
    first.upload()
    memory.stream.wait()
    first.stage(numbers(3))
    assert waits(discrete) == 2  # known to be done
    memory.stream.close()


def test_stage_waits_for_a_download_too(discrete: FakeApi) -> None:
    memory = make_memory(discrete)
    buffer = memory.buffer(SHAPE, "float32")
    buffer.write(numbers(1))
    buffer.download()
    buffer.write(numbers(2))  # the download must not land on top of this
    np.testing.assert_array_equal(buffer.read(), numbers(2))
    memory.stream.close()


def test_stage_waits_for_any_work_on_mapped_memory() -> None:
    api = FakeApi(integrated=True)
    memory = make_memory(api)
    buffer, seen = memory.buffer(SHAPE, "float32", shared=True), []
    buffer.write(numbers(1))
    stream = memory.stream.begin(buffer)
    api.launch(stream, "kernel", lambda: seen.append(on_device(api, buffer).copy()))
    buffer.write(numbers(2))
    np.testing.assert_array_equal(seen[0], numbers(1))
    memory.stream.close()


def test_stage_refuses_what_does_not_fit(memory: Memory) -> None:
    buffer = memory.buffer(SHAPE, "float32")
    for wrong in (numbers(0).T, numbers(0).astype(np.float64)):
        with pytest.raises(ValueError, match="buffer holds"):
            buffer.stage(wrong)


def test_what_stays_on_the_device_takes_no_pinned_memory(discrete: FakeApi) -> None:
    memory = make_memory(discrete)
    buffer = memory.buffer(SHAPE, "float32")
    assert (memory.device_bytes, memory.pinned_bytes) == (140, 0)
    buffer.read()
    assert memory.pinned_bytes == 4096
    memory.stream.close()
    assert (memory.device_bytes, memory.pinned_bytes) == (0, 0)


def test_memory_goes_back_before_new_memory_is_taken(memory: Memory, api: FakeApi) -> None:
    first = memory.buffer(SHAPE, "float32")
    first.write(numbers(1))
    blocks, pinned = len(api.blocks), len(api.pinned)
    del first  # with its upload still enqueued
    assert (len(api.blocks), len(api.pinned)) == (blocks, pinned)
    second = memory.buffer(SHAPE, "float32")
    second.write(numbers(2))
    assert (len(api.blocks), len(api.pinned)) == (blocks, pinned)


def test_an_array_outlives_its_buffer_and_the_backend(memory: Memory) -> None:
    buffer = memory.buffer((300, 500), "uint8")
    buffer.write(np.full((300, 500), 7, np.uint8))
    kept = buffer.read()
    del buffer
    memory.stream.close()
    gc.collect()
    assert (kept == 7).all()
    kept[:] = 8


def test_use_after_close_is_an_error(memory: Memory) -> None:
    buffer, event = memory.buffer(SHAPE, "float32"), CudaEvent(memory.stream)
    graph = capture(memory.stream, lambda: [])
    memory.stream.close()
    memory.stream.close()
    calls = [buffer.read, buffer.upload, buffer.download, lambda: buffer.stage(numbers(0)), graph.enqueue]
    calls += [lambda: event.ms_since(event), lambda: memory.buffer(SHAPE, "uint8"), lambda: CudaEvent(memory.stream)]
    for call in calls:
        with pytest.raises(BackendError, match="closed"):
            call()


@pytest.mark.parametrize("order", [*permutations(["close", "buffer", "graph", "event", "allocation"])])
def test_close_in_any_order(api: FakeApi, order: tuple[str, ...]) -> None:
    memory = make_memory(api)
    things = {
        "buffer": memory.buffer(SHAPE, "float32"),
        "event": CudaEvent(memory.stream),
        "allocation": memory.allocate(64),
    }
    things["graph"] = capture(memory.stream, lambda: [things["buffer"].upload(), CudaEvent(memory.stream)][1:])
    things["graph"].enqueue()
    for name in order:
        if name == "close":
            memory.stream.close()
        else:
            del things[name]
    assert not api.blocks
    assert not api.pinned
    assert not api.graphs
    assert not api.events
    assert list(api.streams) == [0, 1, 2]
    assert api.retained == 0


def test_everything_is_freed_in_order(discrete: FakeApi) -> None:
    memory = make_memory(discrete)
    buffer = memory.buffer(SHAPE, "float32")
    graph = capture(memory.stream, lambda: [buffer.upload()][1:])
    graph.enqueue()
    del discrete.log[:]
    memory.stream.close()
    freeing = [name for name in discrete.log if any(part in name for part in ("Destroy", "Free", "Unreg", "Release"))]
    assert list(dict.fromkeys(freeing)) == [
        "cuGraphExecDestroy",
        *(name for name in freeing if name in ("cuMemFree", "cuMemHostUnregister")),
        "cuEventDestroy",
        "cuStreamDestroy",
        "cuDevicePrimaryCtxRelease",
    ]


def test_close_after_the_device_failed(api: FakeApi) -> None:
    memory = make_memory(api)
    buffer = memory.buffer(SHAPE, "float32")
    api.fail_launch = 1
    api.launch(memory.stream.begin(), "kernel", lambda: None)
    with pytest.raises(BackendError, match="restart"):
        memory.stream.wait()
    with pytest.raises(BackendError, match="restart"):
        buffer.read()
    memory.stream.close()


def test_close_that_finds_the_device_failed(api: FakeApi) -> None:
    memory = make_memory(api)
    api.fail_launch = 1
    api.launch(memory.stream.begin(), "kernel", lambda: None)
    memory.stream.close()


@pytest.fixture
def pycuda(monkeypatch: pytest.MonkeyPatch, discrete: FakeApi) -> ModuleType:
    """As much of pycuda as the adapter needs, on the fake device."""
    package, driver = ModuleType("pycuda"), ModuleType("pycuda.driver")
    package.driver, driver.Error = driver, type("Error", (Exception,), {})

    class DeviceAllocation:
        def __init__(self, size: int) -> None:
            status, self._address = discrete.cuMemAlloc(size)
            if int(status):
                raise driver.Error("cuMemAlloc failed: out of memory")

        def __int__(self) -> int:
            return self._address

        def free(self) -> None:
            discrete.cuMemFree(self._address)

    driver.mem_alloc = DeviceAllocation
    monkeypatch.setitem(sys.modules, "pycuda", package)
    monkeypatch.setitem(sys.modules, "pycuda.driver", driver)
    return driver


def test_memory_from_pycuda(pycuda: ModuleType, discrete: FakeApi) -> None:
    driver = Driver(discrete)
    memory = Memory(Stream(driver), pycuda_allocator(driver))
    buffer = memory.buffer(SHAPE, "float32")
    buffer.write(numbers(1))
    np.testing.assert_array_equal(buffer.read(), numbers(1))
    with pytest.raises(BackendError, match=r"pycuda cannot allocate 2048\.0 MiB.*lower working_size"):
        memory.allocate(2 << 30)
    memory.stream.close()
    assert not discrete.blocks


def test_pycuda_that_is_not_there(monkeypatch: pytest.MonkeyPatch, discrete: FakeApi) -> None:
    monkeypatch.setitem(sys.modules, "pycuda", None)
    with pytest.raises(BackendError, match=r"pip install 'iic-rt\[pycuda\]'"):
        pycuda_allocator(Driver(discrete))
