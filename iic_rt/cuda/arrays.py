"""Device images as arrays: from other libraries and to them, without a copy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from iic_rt.cuda import dlpack
from iic_rt.cuda.driver import LEGACY
from iic_rt.cuda.memory import Memory
from iic_rt.cuda.stream import Stream
from iic_rt.errors import BackendError, InputError

__all__ = ["DeviceArray", "SettledArray", "as_device_array", "copy_pixels", "make_device_array"]

Shape = tuple[int, ...]


class DeviceArray:
    """Pixels uint8 [H, W] or [H, W, C] on the device; pixels of a row lie side by side, rows may lie further apart.

    Other libraries take it through ``__dlpack__`` (``torch.from_dlpack``, ``cupy.from_dlpack``) or
    ``__cuda_array_interface__`` (CuPy, Numba), pycuda as ``GPUArray(a.shape, a.dtype, gpudata=a.address, base=a)``.
    Memory that iic-rt made is good until the inpainter is closed.

    Attributes:
        address: of the first pixel.
        shape: [H, W] or [H, W, C].
        strides: bytes from one index to the next, for every axis.
        stream: whose work reads and writes the pixels.
    """

    dtype = np.dtype(np.uint8)

    def __init__(self, stream: Stream, address: int, shape: Shape, strides: Shape, owner: object) -> None:
        self.stream, self.address, self.shape, self.strides = stream, address, shape, strides
        self._owner = owner  # of the memory

    @property
    def row_bytes(self) -> int:
        """Bytes of a row's pixels."""
        return self.shape[1] * self.strides[1]

    def window(self, top: int, left: int, height: int, width: int) -> DeviceArray:
        """The same memory, a part of the image.

        Raises:
            ValueError: the part is empty or reaches beyond the image.
        """
        inside = 0 <= top < top + height <= self.shape[0] and 0 <= left < left + width <= self.shape[1]
        if not inside:
            raise ValueError(f"window {(top, left, height, width)} does not lie in {self.shape[0]} x {self.shape[1]}")
        address = self.address + top * self.strides[0] + left * self.strides[1]
        return DeviceArray(self.stream, address, (height, width, *self.shape[2:]), self.strides, self)

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        with self.stream.driver.guard():
            self.stream.enter()
        return self._interface(self.stream.handle or LEGACY)

    def _interface(self, stream: int | None) -> dict[str, Any]:
        return {
            "version": 3,
            "shape": self.shape,
            "strides": self.strides,
            "typestr": "|u1",
            "data": (self.address, False),
            "stream": stream,
        }

    def __dlpack_device__(self) -> tuple[int, int]:
        return dlpack.CUDA, self.stream.driver.device.ordinal

    def __dlpack__(
        self,
        *,
        stream: int | None = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> object:
        """A capsule of DLPack 0, which every consumer reads whatever its ``max_version``.

        The consumer's ``stream`` waits for the work on these pixels (None: the legacy default stream; -1: none waits).

        Raises:
            BufferError: a copy or another device is asked for; copy with the consumer's library instead.
            BackendError: the backend is closed.
        """
        return self._lend(stream, dl_device, copy)

    def _lend(self, stream: int | None, dl_device: tuple[int, int] | None, copy: bool | None) -> object:
        with self.stream.driver.guard():
            self.stream.enter()
            self._check_request(stream, dl_device, copy)
            if stream != -1:
                _order(self.stream, self, LEGACY if stream is None else stream, after=_begin(self.stream))
        return self._capsule()

    def _check_request(self, stream: int | None, dl_device: tuple[int, int] | None, copy: bool | None) -> None:
        if copy:
            raise BufferError("the pixels are lent where they lie; pass copy=None and copy them with your own library")
        if dl_device is not None and tuple(dl_device) != self.__dlpack_device__():
            raise BufferError(
                f"the pixels lie on DLPack device {self.__dlpack_device__()}, not on {tuple(dl_device)}; pass "
                "dl_device=None and copy them with your own library"
            )
        if stream == 0:
            raise BufferError("stream 0 is ambiguous in DLPack; give 1 for the legacy default stream")

    def _capsule(self) -> object:
        tensor = dlpack.Tensor(self.address, self.__dlpack_device__(), dlpack.UINT8, self.shape, self.strides)
        return dlpack.to_capsule(tensor, self)


class SettledArray(DeviceArray):
    """A device array that no work is under way on, so that nobody's stream has to wait.

    Unlike others it may be lent on any thread, while another thread works on the stream.
    """

    @classmethod
    def of(cls, array: DeviceArray) -> SettledArray:
        """The same memory; all work on it must be done, and none may follow unless this array is given for it."""
        return cls(array.stream, array.address, array.shape, array.strides, array)

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        self.stream.check_open()
        return self._interface(None)

    def _lend(self, stream: int | None, dl_device: tuple[int, int] | None, copy: bool | None) -> object:
        self.stream.check_open()
        self._check_request(stream, dl_device, copy)
        return self._capsule()


def make_device_array(memory: Memory, shape: Shape) -> DeviceArray:
    """New pixels, uninitialised.

    Raises:
        BackendError: there is not enough memory.
    """
    allocation = memory.allocate(int(np.prod(shape)))
    return DeviceArray(memory.stream, allocation.address, shape, dlpack.dense_strides(shape), allocation)


def as_device_array(array: object, stream: Stream) -> DeviceArray:
    """An image of another library, where it lies. Later work on ``stream`` waits for the library's stream.

    The image is kept alive until the stream is done with it.

    Args:
        array: has ``__dlpack__`` (PyTorch, CuPy) or ``__cuda_array_interface__`` (pycuda's GPUArray, Numba); uint8
            [H, W], [H, W, 1], [H, W, 3] or [H, W, 4], rows contiguous and as far apart as they like. A bool mask is
            taken as the bytes 0 and 1.
        stream: that will work on it.

    Raises:
        InputError: it is not on this device, of another dtype, shape or layout.
        BackendError: the backend is closed.
    """
    if isinstance(array, DeviceArray) and array.stream is stream:
        return array
    _begin(stream)
    if hasattr(array, "__dlpack__"):
        return _from_dlpack(array, stream)
    if hasattr(array, "__cuda_array_interface__"):
        return _from_interface(array, stream)
    raise InputError(
        f"a {type(array).__name__} is no array on the device; give one with __dlpack__ or __cuda_array_interface__ "
        "(PyTorch, CuPy, Numba, pycuda), or a numpy array"
    )


def _from_dlpack(array: Any, stream: Stream) -> DeviceArray:
    kind, number = array.__dlpack_device__()
    ours = stream.driver.device.ordinal
    if kind not in (dlpack.CUDA, dlpack.CUDA_MANAGED) or number != ours:
        raise InputError(f"the array is on device {int(kind), number} of DLPack, and must be on CUDA device {ours}")
    try:
        tensor, give_back = dlpack.from_capsule(array.__dlpack__(stream=stream.handle or LEGACY))
    except (BufferError, ValueError) as error:
        raise InputError(f"the array cannot be lent ({error}); give a plain uint8 array") from error
    try:
        if tensor.dtype not in (dlpack.UINT8, dlpack.BOOL):
            raise InputError(
                f"the array has type {tensor.dtype} of DLPack (code, bits, lanes), and must be uint8, or bool in a mask"
            )
        return _borrow(stream, tensor.address, tensor.shape, tensor.strides, give_back)
    except InputError:
        give_back()
        raise


def _from_interface(array: Any, stream: Stream) -> DeviceArray:
    interface = array.__cuda_array_interface__
    shape = tuple(interface["shape"])
    if interface["typestr"][1:] not in ("u1", "b1"):
        raise InputError(f"the array has dtype {interface['typestr']}, and must be uint8, or bool in a mask")
    strides = interface.get("strides") or dlpack.dense_strides(shape)
    kept = [array]
    found = _borrow(stream, int(interface["data"][0]), shape, tuple(strides), kept.clear)
    # Before version 3 no stream is named; most work is on the legacy default stream then.
    theirs = interface.get("stream") if interface["version"] >= 3 else LEGACY
    if theirs is not None and theirs != stream.handle:
        _order(stream, found, stream.handle, after=theirs)
    return found


def _begin(stream: Stream) -> int:
    """The handle of the stream, for work that orders it with another."""
    if stream.capturing:
        raise BackendError("device images are not exchanged in work that is being captured; do it before or after")
    return stream.begin()


def _order(ours: Stream, owner: DeviceArray, waiting: int, *, after: int) -> None:
    """Lets the stream ``waiting`` wait for what is on the stream ``after`` now; one of them is ``ours``."""
    event = ours.take_event(owner)
    ours.driver.record_event(event, after)
    ours.driver.order(waiting, event)


def _borrow(stream: Stream, address: int, shape: Shape, strides: Shape, give_back: Callable[[], None]) -> DeviceArray:
    fits = len(shape) == 2 or (len(shape) == 3 and shape[2] in (1, 3, 4))
    if not fits or min(shape) < 1:
        raise InputError(
            f"the array has shape {list(shape)}, and must be [H, W], [H, W, 1], [H, W, 3] or [H, W, 4] (colour last)"
        )
    if strides[1:] != dlpack.dense_strides(shape)[1:] or strides[0] < shape[1] * strides[1]:
        raise InputError(
            f"the array has strides {list(strides)} for shape {list(shape)}, and the pixels of a row must lie side by "
            "side; make it contiguous first"
        )
    found = DeviceArray(stream, address, shape, strides, None)
    stream.resources.adopt(found, "memory", give_back)
    return found


def copy_pixels(source: DeviceArray, target: DeviceArray) -> None:
    """Enqueues the copy of ``source`` to ``target`` on the target's stream.

    Raises:
        ValueError: they have different shapes.
    """
    if source.shape != target.shape:
        raise ValueError(f"pixels {source.shape} do not fit {target.shape}")
    stream, height = target.stream, source.shape[0]
    handle = stream.begin(source, target)
    stream.driver.copy_rows(
        target.address, target.strides[0], source.address, source.strides[0], source.row_bytes, height, handle
    )
