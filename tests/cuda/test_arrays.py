"""Pictures on the device: what is taken, who waits for whom, and how long memory is kept."""

from __future__ import annotations

import gc
import weakref
from collections import deque

import numpy as np
import pytest

from iic_rt.cuda.arrays import DeviceArray, as_device_array, copy_pixels, make_device_array
from iic_rt.cuda.dlpack import CUDA, UINT8, Tensor, dense_strides, from_capsule, to_capsule
from iic_rt.cuda.memory import Memory
from iic_rt.errors import BackendError, InputError
from tests.cuda.conftest import of_buffer
from tests.cuda.fake_driver import PRIMARY, FakeApi

THEIRS = 0x999  # a stream of the application


class Foreign:
    """A picture of another library on the fake device, written by work on a stream of that library."""

    def __init__(self, api: FakeApi, shape: tuple[int, ...], pitch: int = 0, stream: int = THEIRS) -> None:
        api.streams.setdefault(stream, deque())
        self.api, self.shape = api, shape
        row = int(np.prod(shape[1:]))
        self.strides = (pitch or row, *((shape[2], 1) if len(shape) == 3 else (1,)))
        before, api.current = api.current, PRIMARY  # of the library that makes it
        self.address = api.cuMemAlloc(shape[0] * self.strides[0])[1]
        api.current = before
        self.values = values = np.random.default_rng(1).integers(0, 256, shape, np.uint8)
        address, strides, extent = self.address, self.strides, shape[0] * self.strides[0]

        def write() -> None:
            np.lib.stride_tricks.as_strided(api.view(address, extent), shape, strides)[...] = values

        api.enqueue(stream, "their work", write)


class Interface(Foreign):
    """``__cuda_array_interface__``, as pycuda (version 2) or Numba (3) have it."""

    version, typestr = 3, "|u1"
    stream: int | None = THEIRS

    @property
    def __cuda_array_interface__(self) -> dict[str, object]:
        dense = self.strides == dense_strides(self.shape)
        found = {"version": self.version, "shape": self.shape, "typestr": self.typestr, "data": (self.address, False)}
        found["strides"] = None if dense else self.strides
        return found | ({"stream": self.stream} if self.version >= 3 else {})


class Packed(Foreign):
    """DLPack: the producer orders the streams."""

    device, dtype = (CUDA, 0), UINT8

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.device

    def __dlpack__(self, *, stream: int) -> object:
        assert stream > 0
        event = self.api.cuEventCreate(0)[1]
        self.api.cuEventRecord(event, THEIRS)
        self.api.cuStreamWaitEvent(stream, event, 0)
        return to_capsule(Tensor(self.address, self.device, self.dtype, self.shape, self.strides), self)


def read(memory: Memory, array: DeviceArray) -> np.ndarray:
    """The pixels, by way of a buffer."""
    buffer = memory.buffer(array.shape, "uint8")
    copy_pixels(array, of_buffer(buffer))
    return buffer.read().copy()


@pytest.mark.parametrize("kind", [Interface, Packed])
@pytest.mark.parametrize(("shape", "pitch"), [((6, 9), 0), ((6, 9), 16), ((6, 9, 3), 0), ((6, 9, 4), 64)])
def test_pixels_are_read_after_they_are_written(
    memory: Memory, api: FakeApi, kind: type, shape: tuple[int, ...], pitch: int
) -> None:
    foreign = kind(api, shape, pitch)
    array = as_device_array(foreign, memory.stream)
    assert (array.address, array.shape, array.strides) == (foreign.address, shape, foreign.strides)
    np.testing.assert_array_equal(read(memory, array), foreign.values)


def test_an_interface_without_a_stream_is_on_the_default_one(memory: Memory, api: FakeApi) -> None:
    foreign = Interface(api, (6, 9), stream=1)
    foreign.version = 2
    np.testing.assert_array_equal(read(memory, as_device_array(foreign, memory.stream)), foreign.values)


def test_an_interface_that_wants_no_order_gets_none(memory: Memory, api: FakeApi) -> None:
    foreign = Interface(api, (6, 9))
    foreign.stream = None
    as_device_array(foreign, memory.stream)
    assert "cuStreamWaitEvent" not in api.log


@pytest.mark.parametrize("kind", [Interface, Packed])
def test_a_picture_is_kept_until_the_device_is_done_with_it(memory: Memory, api: FakeApi, kind: type) -> None:
    foreign = kind(api, (6, 9, 3))
    gone, expected = weakref.ref(foreign), foreign.values
    array = as_device_array(foreign, memory.stream)
    buffer = memory.buffer(array.shape, "uint8")
    copy_pixels(array, of_buffer(buffer))
    del foreign, array
    assert gone() is not None
    np.testing.assert_array_equal(buffer.read(), expected)
    gc.collect()
    assert gone() is None


@pytest.mark.parametrize("shape", [(6,), (6, 9, 2), (1, 6, 9, 3), (0, 9)])
@pytest.mark.parametrize("kind", [Interface, Packed])
def test_shapes_that_are_no_picture(memory: Memory, api: FakeApi, kind: type, shape: tuple[int, ...]) -> None:
    foreign = kind(api, (6, 9, 3))
    foreign.shape = shape
    foreign.strides = tuple(np.empty(shape, np.uint8).strides)
    with pytest.raises(InputError, match=r"must be \[H, W\], \[H, W, 1\], \[H, W, 3\] or \[H, W, 4\]"):
        as_device_array(foreign, memory.stream)


@pytest.mark.parametrize("strides", [(27, 1, 9), (18, 3, 1), (-27, 3, 1), (0, 3, 1), (54, 6, 1)])
@pytest.mark.parametrize("kind", [Interface, Packed])
def test_layouts_that_are_not_rows(memory: Memory, api: FakeApi, kind: type, strides: tuple[int, ...]) -> None:
    foreign = kind(api, (6, 9, 3))
    foreign.strides = strides
    with pytest.raises(InputError, match="make it contiguous first"):
        as_device_array(foreign, memory.stream)


def test_other_dtypes_and_devices(memory: Memory, api: FakeApi) -> None:
    foreign = Interface(api, (6, 9))
    foreign.typestr = "<f4"
    with pytest.raises(InputError, match="dtype <f4, and must be uint8"):
        as_device_array(foreign, memory.stream)
    packed = Packed(api, (6, 9))
    packed.dtype = (2, 32, 1)
    with pytest.raises(InputError, match=r"type \(2, 32, 1\) of DLPack .*must be uint8"):
        as_device_array(packed, memory.stream)
    for device in ((CUDA, 1), (1, 0)):
        packed.device = device
        with pytest.raises(InputError, match="must be on CUDA device 0"):
            as_device_array(packed, memory.stream)
    with pytest.raises(InputError, match="a list is no array on the device"):
        as_device_array([1], memory.stream)
    with pytest.raises(InputError, match="must be on CUDA device 0"):
        as_device_array(np.zeros((4, 4), np.uint8), memory.stream)


def test_a_window_is_the_same_memory(memory: Memory, api: FakeApi) -> None:
    foreign = Interface(api, (20, 30, 3), 96)
    array = as_device_array(foreign, memory.stream)
    np.testing.assert_array_equal(read(memory, array.window(3, 5, 10, 12)), foreign.values[3:13, 5:17])
    target = make_device_array(memory, (20, 30, 3))
    copy_pixels(array, target)
    copy_pixels(array.window(0, 0, 4, 4), target.window(10, 20, 4, 4))
    expected = foreign.values.copy()
    expected[10:14, 20:24] = foreign.values[:4, :4]
    np.testing.assert_array_equal(read(memory, target), expected)
    for outside in [(-1, 0, 4, 4), (0, 28, 4, 4), (17, 0, 4, 4), (0, 0, 0, 4)]:
        with pytest.raises(ValueError, match="does not lie in 20 x 30"):
            array.window(*outside)
    with pytest.raises(ValueError, match="do not fit"):
        copy_pixels(array, target.window(0, 0, 4, 4))


def test_what_we_lend_by_interface(memory: Memory) -> None:
    array = make_device_array(memory, (6, 9, 3)).window(1, 2, 4, 5)
    interface = array.__cuda_array_interface__
    assert interface["shape"] == (4, 5, 3)
    assert interface["strides"] == (27, 3, 1)
    assert interface["data"] == (array.address, False)
    assert (interface["typestr"], interface["version"], interface["stream"]) == ("|u1", 3, memory.stream.handle)


@pytest.mark.parametrize(("stream", "waiting"), [(None, 1), (THEIRS, THEIRS), (2, 2)])
def test_who_borrows_by_dlpack_waits_for_us(memory: Memory, api: FakeApi, stream: int | None, waiting: int) -> None:
    api.streams[THEIRS] = deque()
    array = make_device_array(memory, (6, 9))
    tensor, give_back = from_capsule(array.__dlpack__(stream=stream, max_version=(1, 0)))
    assert tensor == (array.address, array.__dlpack_device__(), UINT8, (6, 9), (9, 1))
    assert [work.name for work in api.streams[waiting]] == ["order"]
    memory.stream.wait()
    api.streams[waiting].clear()
    give_back()


def test_no_order_and_an_ambiguous_one(memory: Memory, api: FakeApi) -> None:
    array = make_device_array(memory, (6, 9))
    array.__dlpack__(stream=-1)
    assert "cuStreamWaitEvent" not in api.log
    with pytest.raises(BufferError, match="ambiguous"):
        array.__dlpack__(stream=0)


def test_pixels_are_lent_where_they_lie(memory: Memory) -> None:
    array = make_device_array(memory, (6, 9))
    array.__dlpack__(stream=-1, copy=False, dl_device=array.__dlpack_device__())
    with pytest.raises(BufferError, match="copy=None"):
        array.__dlpack__(stream=-1, copy=True)
    with pytest.raises(BufferError, match=r"not on \(1, 0\)"):
        array.__dlpack__(stream=-1, dl_device=(1, 0))


def test_what_we_lent_stays_until_it_is_given_back(memory: Memory, api: FakeApi) -> None:
    array = make_device_array(memory, (6, 9))
    address = array.address
    _, give_back = from_capsule(array.__dlpack__(stream=-1))
    del array
    memory.stream.wait()
    assert address in api.blocks
    give_back()
    memory.stream.wait()
    assert address not in api.blocks


def test_our_own_arrays_go_through(memory: Memory) -> None:
    array = make_device_array(memory, (6, 9))
    assert as_device_array(array, memory.stream) is array


def test_nothing_is_lent_after_close(memory: Memory, api: FakeApi) -> None:
    array, foreign = make_device_array(memory, (6, 9)), Interface(api, (6, 9))
    api.streams[THEIRS].clear()
    memory.stream.close()
    for call in (lambda: array.__cuda_array_interface__, array.__dlpack__, lambda: copy_pixels(array, array)):
        with pytest.raises(BackendError, match="closed"):
            call()
    with pytest.raises(BackendError, match="closed"):
        as_device_array(foreign, memory.stream)


def test_pictures_are_not_exchanged_while_work_is_captured(memory: Memory, api: FakeApi) -> None:
    array, foreign = make_device_array(memory, (6, 9)), Interface(api, (6, 9))
    for call in (array.__dlpack__, lambda: as_device_array(foreign, memory.stream)):
        with pytest.raises(BackendError, match="not exchanged in work that is being captured"):
            memory.stream.capture(call)
