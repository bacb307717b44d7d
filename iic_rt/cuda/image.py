"""The application's device images, read and written in parts by way of pinned memory."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from iic_rt.contract import Buffer, DeviceImage
from iic_rt.cuda.arrays import DeviceArray, as_device_array, copy_pixels, make_device_array
from iic_rt.cuda.dlpack import dense_strides
from iic_rt.cuda.memory import CudaBuffer, Memory
from iic_rt.geometry import Box

__all__ = ["CudaImage", "Staging"]

Pixels = NDArray[np.uint8]


class Staging:
    """Pinned memory that parts of images pass through, as large as the largest so far."""

    def __init__(self, memory: Memory) -> None:
        self.memory = memory
        self._owner: _Owner | None = None
        self._bytes, self._address = np.empty(0, np.uint8), 0

    def take(self, shape: tuple[int, ...]) -> tuple[Pixels, int]:
        """An array of ``shape`` and its address on the device, good until the next call."""
        size = math.prod(shape)
        if size > self._bytes.size:
            self._owner = _Owner()
            self._bytes, self._address = self.memory.pin(self._owner, (size,), np.dtype(np.uint8))
        return self._bytes[:size].reshape(shape), self._address


class _Owner:
    """Whose end gives pinned memory back."""


class CudaImage(DeviceImage):
    """A device image where it lies.

    Args:
        array: as the application has it.
        staging: of the backend.
    """

    def __init__(self, array: object, staging: Staging) -> None:
        self._staging, self._memory = staging, staging.memory
        self._pixels = as_device_array(array, self._memory.stream)
        self.array, self.shape = array, self._pixels.shape

    def read(self, box: Box) -> Pixels:
        part = self._part(box)
        host, address = self._staging.take(part.shape)
        handle = self._memory.stream.begin(part)
        width, height = part.row_bytes, part.shape[0]
        driver = self._memory.stream.driver
        driver.copy_rows(address, width, part.address, part.strides[0], width, height, handle)
        self._memory.stream.wait()
        return np.array(host)

    def write(self, box: Box, pixels: Pixels) -> None:
        part = self._part(box)
        host, address = self._staging.take(part.shape)
        np.copyto(host, pixels)
        handle = self._memory.stream.begin(part)
        width, height = part.row_bytes, part.shape[0]
        driver = self._memory.stream.driver
        driver.copy_rows(part.address, part.strides[0], address, width, width, height, handle)
        self._memory.stream.wait()

    def copy(self) -> CudaImage:
        made = CudaImage(make_device_array(self._memory, self.shape), self._staging)
        self.copy_to(made)
        return made

    def copy_to(self, other: DeviceImage) -> None:
        if not isinstance(other, CudaImage):
            raise TypeError("device images of two kinds of backend are not copied to each other")
        if other._pixels.address != self._pixels.address:
            copy_pixels(self._pixels, other._pixels)
            self._memory.stream.wait()

    def copy_part_to(self, box: Box, buffer: Buffer, top: int, left: int) -> None:
        copy_pixels(self._part(box), self._in_buffer(box, buffer, top, left))

    def copy_part_from(self, box: Box, buffer: Buffer, top: int, left: int) -> None:
        copy_pixels(self._in_buffer(box, buffer, top, left), self._part(box))

    def _part(self, box: Box) -> DeviceArray:
        return self._pixels.window(box.top, box.left, box.bottom - box.top, box.right - box.left)

    def _in_buffer(self, box: Box, buffer: Buffer, top: int, left: int) -> DeviceArray:
        if not isinstance(buffer, CudaBuffer) or buffer.stream is not self._memory.stream:
            raise TypeError("images are copied to and from buffers of their own backend")
        shape = (*buffer.shape[:2], *self.shape[2:])  # a grey image has no third axis
        whole = DeviceArray(buffer.stream, buffer.address, shape, dense_strides(shape), buffer)
        return whole.window(top, left, box.bottom - box.top, box.right - box.left)
