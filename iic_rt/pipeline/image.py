"""The caller's image, on the host or on the device: where regions come from and go to."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from iic_rt.contract import Backend, Buffer, DeviceImage
from iic_rt.errors import InputError
from iic_rt.geometry import Box
from iic_rt.pipeline.regions import Region, crop

__all__ = [
    "DeviceResultImage",
    "HostResultImage",
    "ResultImage",
    "check_image",
    "host_mask",
    "is_on_device",
    "open_image",
]

Pixels = NDArray[np.uint8]
CUDA, CUDA_MANAGED = 2, 13  # device types of DLPack


class ResultImage(Protocol):
    """The result in the making: it begins as a copy of the caller's image.

    Attributes:
        shape: of the caller's array.
        channels: 1, 3 or 4.
        on_device: whether regions are copied on the device.
        array: the result, as the caller gets it.
    """

    shape: tuple[int, ...]
    channels: int
    on_device: bool
    array: Any

    def read(self, box: Box) -> Pixels:
        """A part of the result on the host, [h, w, C]."""

    def write(self, box: Box, pixels: Pixels) -> None:
        """Writes a part of the result from the host."""

    def take_region(self, region: Region, buffer: Buffer) -> Pixels | None:
        """The region's pixels [S, S, C]; or None where they were copied to ``buffer`` on the device."""

    def store_region(self, region: Region, buffer: Buffer) -> None:
        """Takes over the region's box from ``buffer`` [S, S, C]: from its host side, whose download must be done, or by
        a copy that is enqueued on the device."""


class HostResultImage:
    """A numpy array; the result is a new one."""

    on_device = False

    def __init__(self, image: Pixels) -> None:
        self.shape, self.array = image.shape, image.copy(order="C")
        self._pixels: Pixels = self.array.reshape(*image.shape[:2], -1)
        self.channels = self._pixels.shape[2]

    def read(self, box: Box) -> Pixels:
        return np.array(self._pixels[box.slices])

    def write(self, box: Box, pixels: Pixels) -> None:
        self._pixels[box.slices] = pixels

    def take_region(self, region: Region, buffer: Buffer) -> Pixels:
        return crop(self._pixels, region)

    def store_region(self, region: Region, buffer: Buffer) -> None:
        self._pixels[region.box.slices] = buffer.host[region.box_inside.slices]


class DeviceResultImage:
    """An array on the device, where the result is made."""

    on_device = True

    def __init__(self, source: DeviceImage) -> None:
        self.shape, self.array, self._image = source.shape, source.array, source
        self.channels = 1 if len(source.shape) == 2 else source.shape[2]

    def read(self, box: Box) -> Pixels:
        pixels = self._image.read(box)
        return pixels.reshape(*pixels.shape[:2], self.channels)

    def write(self, box: Box, pixels: Pixels) -> None:
        self._image.write(box, pixels.reshape(*pixels.shape[:2], *self.shape[2:]))

    def take_region(self, region: Region, buffer: Buffer) -> Pixels | None:
        inside = region.window.inside(*self.shape[:2])
        if inside == region.window:
            self._image.copy_part_to(inside, buffer, 0, 0)
            return None
        # What sticks out of the image is mirrored on the host.
        part = self.read(inside)
        return crop(part, Region(region.top - inside.top, region.left - inside.left, region.side, region.box))

    def store_region(self, region: Region, buffer: Buffer) -> None:
        inside = region.box_inside
        self._image.copy_part_from(region.box, buffer, inside.top, inside.left)


def check_image(image: object) -> Pixels:
    """The image as an array, if it is uint8 [H, W], [H, W, 1], [H, W, 3] or [H, W, 4] and not empty.

    Raises:
        InputError: it is anything else.
    """
    if not isinstance(image, np.ndarray):
        raise InputError(f"the image is a {type(image).__name__}, not a numpy array; use numpy.asarray on it first")
    if image.dtype != np.uint8:
        raise InputError(f"the image has dtype {image.dtype}; only uint8 (0 to 255) is taken. {_to_uint8_hint(image)}")
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (1, 3, 4)):
        raise InputError(
            f"the image has shape {image.shape}; allowed: [H, W], [H, W, 1], [H, W, 3] or [H, W, 4] (colour last)"
        )
    if 0 in image.shape:
        raise InputError(f"the image has no pixels: its shape is {image.shape}")
    return image


def _to_uint8_hint(image: NDArray[Any]) -> str:
    if image.dtype == np.uint16:
        return "For 16-bit images, (image // 257).astype('uint8') keeps the full range"
    if np.issubdtype(image.dtype, np.floating):
        if not np.isfinite(image).all():
            return "It also holds NaN or infinity: replace them, scale to 0..255 and convert to uint8"
        return "Scale it to 0..255 and convert with .round().astype('uint8')"
    return "Convert it with .astype('uint8') after checking its range"


def is_on_device(array: object) -> bool:
    """Whether an array says of itself that it lies in CUDA memory."""
    if hasattr(array, "__cuda_array_interface__"):
        return True
    device = getattr(array, "__dlpack_device__", None)
    return device is not None and int(device()[0]) in (CUDA, CUDA_MANAGED)


def open_image(image: object, out: object | None, backend: Backend) -> ResultImage:
    """The caller's image, to be filled.

    Args:
        image: numpy array, or an array on the device.
        out: array on the device that takes the result, or None for a new one.
        backend: reads and writes arrays on the device.

    Raises:
        InputError: it cannot be used.
        BackendError: it lies on a device where the backend does not compute.
    """
    if not is_on_device(image):
        if out is not None:
            raise InputError("out is for images on the device; omit it: a numpy array gives a new one")
        return HostResultImage(check_image(image))
    source = backend.device_image(image)
    if out is None:
        return DeviceResultImage(source.copy())
    target = backend.device_image(out)
    if target.shape != source.shape:
        raise InputError(f"out has shape {target.shape} and the image {source.shape}; they must be equal")
    source.copy_to(target)
    return DeviceResultImage(target)


def host_mask(mask: object, backend: Backend) -> object:
    """The mask on the host: a device's is copied there as a whole, since regions are found on the host."""
    if not is_on_device(mask):
        return mask
    source = backend.device_image(mask)
    return source.read(Box(0, 0, *source.shape[:2]))
