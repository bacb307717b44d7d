"""The caller's picture, on the host or on the device, as the RGB pixels that regions are filled in."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from iic_rt.backends.base import Backend, Frame
from iic_rt.checks import check_image, from_rgb, to_rgb
from iic_rt.errors import InputError
from iic_rt.regions import Box

__all__ = ["DevicePicture", "HostPicture", "Picture", "host_mask", "open_picture"]

Pixels = NDArray[np.uint8]
CUDA, CUDA_MANAGED = 2, 13  # device types of DLPack


class Picture(Protocol):
    """Where a call reads from and writes to.

    Attributes:
        shape: of the caller's array.
        rgb: uint8 [H, W, 3] on the host, to be changed in place; valid where it was loaded.
    """

    shape: tuple[int, ...]
    rgb: Pixels

    def load(self, box: Box) -> None:
        """Makes ``rgb`` valid in a box."""

    def store(self, box: Box, hole: Pixels) -> None:
        """Takes over the hole's pixels of ``rgb`` in a box; hole is uint8 [H, W] in {0, 1}."""

    def on_host(self, rgb: Pixels, hole: Pixels) -> Pixels:
        """A new array like the caller's with the hole's pixels taken from ``rgb`` [H, W, 3]."""

    def result(self, hole: Pixels) -> Any:
        """The new picture, of the kind the caller gave."""


class HostPicture:
    """A numpy array; the result is a new one."""

    def __init__(self, image: Pixels, channel_order: str) -> None:
        self.shape, self.rgb = image.shape, to_rgb(image, channel_order)
        self._image, self._order = image, channel_order

    def load(self, box: Box) -> None:
        pass

    def store(self, box: Box, hole: Pixels) -> None:
        pass

    def on_host(self, rgb: Pixels, hole: Pixels) -> Pixels:
        return from_rgb(rgb, self._image, hole, self._order)

    def result(self, hole: Pixels) -> Pixels:
        return self.on_host(self.rgb, hole)


class DevicePicture:
    """An array on the device. Only the pixels around holes come to the host, and only filled pixels go back."""

    def __init__(self, frame: Frame, channel_order: str) -> None:
        self.shape, self._frame, self._order = frame.shape, frame, channel_order
        self.rgb = np.empty((*frame.shape[:2], 3), np.uint8)  # memory that is never touched costs nothing

    def load(self, box: Box) -> None:
        self.rgb[box.slices] = to_rgb(self._frame.read(*box.slices), self._order)

    def store(self, box: Box, hole: Pixels) -> None:
        before = self._frame.read(*box.slices)
        self._frame.write(*box.slices, from_rgb(self.rgb[box.slices], before, hole[box.slices], self._order))

    def on_host(self, rgb: Pixels, hole: Pixels) -> Pixels:
        height, width = self.shape[:2]
        return from_rgb(rgb, self._frame.read(slice(0, height), slice(0, width)), hole, self._order)

    def result(self, hole: Pixels) -> Any:
        return self._frame.array


def is_on_device(array: object) -> bool:
    """Whether an array says of itself that it lies in CUDA memory."""
    if hasattr(array, "__cuda_array_interface__"):
        return True
    device = getattr(array, "__dlpack_device__", None)
    return device is not None and int(device()[0]) in (CUDA, CUDA_MANAGED)


def open_picture(image: object, out: object | None, backend: Backend, channel_order: str) -> Picture:
    """The caller's picture, to be filled.

    Args:
        image: numpy array, or an array on the device.
        out: array on the device that takes the result, or None for a new one.
        backend: reads and writes arrays on the device.
        channel_order: of the colours.

    Raises:
        InputError: it cannot be used.
        BackendError: it lies on a device where the backend does not compute.
    """
    if not is_on_device(image):
        if out is not None:
            raise InputError("out is for pictures on the device; leave it away: a numpy array gives a new one")
        return HostPicture(check_image(image), channel_order)
    frame = backend.frame(image)
    if out is None:
        return DevicePicture(frame.copy(), channel_order)
    target = backend.frame(out)
    if target.shape != frame.shape:
        raise InputError(f"out has shape {target.shape} and the image {frame.shape}; they must be equal")
    frame.copy_to(target)
    return DevicePicture(target, channel_order)


def host_mask(mask: object, backend: Backend) -> object:
    """The mask on the host: a device's is copied there as a whole, since regions are found on the host."""
    if not is_on_device(mask):
        return mask
    frame = backend.frame(mask)
    return frame.read(slice(0, frame.shape[0]), slice(0, frame.shape[1]))
