"""Pictures on a device: only what lies around the holes comes to the host, and only hole pixels go back."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from iic_rt import Inpainter, InpaintOptions
from iic_rt.backends.onnxruntime import OnnxRuntimeBackend
from iic_rt.backends.registry import BACKENDS
from iic_rt.bundle.shapes import Limits
from iic_rt.contract import Buffer, DeviceImage
from iic_rt.errors import BackendError, InputError
from iic_rt.geometry import Box
from iic_rt.pipeline.image import is_on_device


class OnDevice:
    """Stands for an array on the device: numpy cannot look inside."""

    def __init__(self, pixels: np.ndarray) -> None:
        self.pixels, self.shape = pixels, pixels.shape
        self.__cuda_array_interface__: dict[str, Any] = {}


class ArrayImage(DeviceImage):
    """Reads and writes an :class:`OnDevice`, and remembers which pixels were touched."""

    def __init__(self, array: OnDevice) -> None:
        self.array, self.shape = array, array.pixels.shape
        self.seen = np.zeros(self.shape[:2], bool)
        self.written = np.zeros(self.shape[:2], bool)

    def read(self, box: Box) -> np.ndarray:
        self.seen[box.slices] = True
        return self.array.pixels[box.slices].copy()

    def write(self, box: Box, pixels: np.ndarray) -> None:
        self.written[box.slices] = True
        self.array.pixels[box.slices] = pixels

    def _in_buffer(self, box: Box, buffer: Buffer, top: int, left: int) -> np.ndarray:
        pixels = buffer.host.reshape(*buffer.shape[:2], *self.shape[2:])
        return pixels[top : top + box.bottom - box.top, left : left + box.right - box.left]

    def copy_part_to(self, box: Box, buffer: Buffer, top: int, left: int) -> None:
        self._in_buffer(box, buffer, top, left)[:] = self.array.pixels[box.slices]

    def copy_part_from(self, box: Box, buffer: Buffer, top: int, left: int) -> None:
        self.array.pixels[box.slices] = self._in_buffer(box, buffer, top, left)

    def copy(self) -> ArrayImage:
        DeviceBackend.images.append(ArrayImage(OnDevice(self.array.pixels.copy())))
        return DeviceBackend.images[-1]

    def copy_to(self, other: DeviceImage) -> None:
        if other.array is not self.array:
            other.array.pixels[:] = self.array.pixels


class DeviceBackend(OnnxRuntimeBackend):
    images: list[ArrayImage] = []  # noqa: RUF012

    def device_image(self, array: object) -> ArrayImage:
        assert isinstance(array, OnDevice)
        self.images.append(ArrayImage(array))
        return self.images[-1]


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Iterator[Inpainter]:
    monkeypatch.setitem(BACKENDS, "device", DeviceBackend)
    DeviceBackend.images.clear()
    with Inpainter(backend="device", working_size=64, options=InpaintOptions(grow=0)) as inpainter:
        yield inpainter


def scene(channels: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    image = rng.integers(0, 256, (400, 600, channels), np.uint8)
    mask = np.zeros((400, 600), np.uint8)
    mask[100:150, 90:130] = 255
    mask[300:310, 590:600] = 255  # in the corner of the picture
    return (image[..., 0] if channels == 1 else image), mask


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("order", ["rgb", "bgr"])
def test_equals_the_host(
    device: Inpainter, inpainter: Inpainter, rng: np.random.Generator, channels: int, order: Any
) -> None:
    image, mask = scene(channels, rng)
    before = image.copy()
    options = InpaintOptions(grow=0, channel_order=order, outputs=("confidence",))
    on_device = device.inpaint(OnDevice(image), OnDevice(mask), options=options)
    on_host = inpainter.inpaint(image, mask, options=options)
    np.testing.assert_array_equal(on_device.image.pixels, on_host.image)
    np.testing.assert_array_equal(on_device.confidence, on_host.confidence)
    np.testing.assert_array_equal(image, before)


def test_no_pixel_comes_to_the_host(device: Inpainter, rng: np.random.Generator) -> None:
    image, mask = scene(3, rng)
    device.inpaint(OnDevice(image), mask)
    result = DeviceBackend.images[-1]
    assert not result.seen.any()
    assert not result.written.any()


@pytest.mark.parametrize("shape", [(50, 600), (600, 50)])
def test_what_sticks_out_of_the_image_comes_to_the_host(
    device: Inpainter, inpainter: Inpainter, rng: np.random.Generator, shape: tuple[int, int]
) -> None:
    image, mask = rng.integers(0, 256, (*shape, 3), np.uint8), np.zeros(shape, np.uint8)
    centre = shape[0] // 2, shape[1] // 2
    mask[centre[0] - 10 : centre[0] + 10, centre[1] - 10 : centre[1] + 20] = 255
    made = device.inpaint(OnDevice(image), mask)
    assert 0 < DeviceBackend.images[-1].seen.mean() < 0.3
    np.testing.assert_array_equal(made.image.pixels, inpainter.inpaint(image, mask).image)


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_dust_alone_comes_to_the_host(
    device: Inpainter, inpainter: Inpainter, rng: np.random.Generator, channels: int
) -> None:
    image, mask = scene(channels, rng)
    mask[:] = 0
    mask[200, 300:304] = 255
    made = device.inpaint(OnDevice(image), mask)
    np.testing.assert_array_equal(made.image.pixels, inpainter.inpaint(image, mask).image)
    result = DeviceBackend.images[-1]
    assert np.argwhere(result.written).tolist() == [[200, x] for x in range(300, 304)]
    assert result.seen[200, 300:304].all()
    assert result.seen.sum() < 200


def test_in_place(device: Inpainter, inpainter: Inpainter, rng: np.random.Generator) -> None:
    image, mask = scene(3, rng)
    expected = inpainter.inpaint(image, mask).image
    array = OnDevice(image)
    assert device.inpaint(array, mask, out=array).image is array
    np.testing.assert_array_equal(array.pixels, expected)


def test_in_tiles(device: Inpainter, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DeviceBackend, "limits", Limits(whole_pixels=1, tile_pixels=64 * 64))
    image, mask = scene(3, rng)
    on_device, on_host = (device.inpaint(i, mask).image for i in (OnDevice(image), image))
    np.testing.assert_array_equal(on_device.pixels, on_host)


def test_into_another(device: Inpainter, inpainter: Inpainter, rng: np.random.Generator) -> None:
    image, mask = scene(3, rng)
    other = OnDevice(np.zeros_like(image))
    device.inpaint(OnDevice(image), mask, out=other)
    np.testing.assert_array_equal(other.pixels, inpainter.inpaint(image, mask).image)
    with pytest.raises(InputError, match="must be equal"):
        device.inpaint(OnDevice(image), mask, out=OnDevice(image[1:]))
    with pytest.raises(InputError, match="omit it"):
        device.inpaint(image, mask, out=other)


def test_history_and_empty_mask(device: Inpainter, inpainter: Inpainter, rng: np.random.Generator) -> None:
    image, mask = scene(3, rng)
    options = InpaintOptions(grow=0, outputs=("history",))
    made, expected = (i.inpaint(a, mask, options=options) for i, a in ((device, OnDevice(image)), (inpainter, image)))
    for a, b in zip(made.history, expected.history, strict=True):
        np.testing.assert_array_equal(a.image, b.image)
    same = device.inpaint(OnDevice(image), np.zeros_like(mask))
    assert [warning.kind for warning in same.warnings] == ["empty"]
    np.testing.assert_array_equal(same.image.pixels, image)


def test_a_mask_on_the_device_may_have_a_channel(device: Inpainter, rng: np.random.Generator) -> None:
    image, mask = scene(3, rng)
    first, second = (device.inpaint(image, OnDevice(m)).image for m in (mask, mask[..., None]))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(("kind", "is_cuda"), [(1, False), (2, True), (3, False), (13, True)])
def test_dlpack_tells_where_an_array_lies(kind: int, is_cuda: bool) -> None:
    device = (kind, 2 - kind % 2)  # the second number says which of the devices of that kind
    array = type("Array", (), {"__dlpack_device__": lambda _self: device})()
    assert is_on_device(array) is is_cuda
    assert not is_on_device(object())


def test_a_backend_on_the_cpu_says_so(inpainter: Inpainter, rng: np.random.Generator) -> None:
    image, mask = scene(3, rng)
    with pytest.raises(BackendError, match="copy the image to the host"):
        inpainter.inpaint(OnDevice(image), mask)
    with pytest.raises(BackendError, match="takes no CUDA stream"):
        Inpainter(backend="onnxruntime", stream=1)
