"""Pictures on the device through the whole inpainter: the host's result, and the application's memory."""

from __future__ import annotations

import numpy as np
import pytest

from iic_rt import Inpainter, InpaintOptions
from iic_rt.backends.tensorrt import TensorRTBackend
from iic_rt.bundle.shapes import Limits
from iic_rt.cuda.arrays import DeviceArray
from iic_rt.cuda.dlpack import BOOL
from iic_rt.errors import InputError
from tests.cuda.fake_driver import FakeApi
from tests.cuda.test_arrays import Interface, Packed

SHAPES = [
    ((160, 300, 3), 0),
    ((160, 300, 3), 1024),
    ((160, 300, 4), 0),
    ((160, 300, 1), 0),
    ((160, 300), 512),
]  # and bytes a row


def content(api: FakeApi, array: Interface | Packed | DeviceArray) -> np.ndarray:
    extent = array.shape[0] * array.strides[0]
    return np.lib.stride_tricks.as_strided(api.view(array.address, extent), array.shape, array.strides).copy()


def box(shape: tuple[int, ...]) -> np.ndarray:
    mask = np.zeros(shape[:2], np.uint8)
    mask[40:90, 50:100] = 255
    mask[150:160, 290:300] = 255
    return mask


@pytest.mark.parametrize("kind", [Interface, Packed])
@pytest.mark.parametrize(("shape", "pitch"), SHAPES)
def test_equals_the_host(open_inpainter, api: FakeApi, inpainter: Inpainter, kind, shape, pitch) -> None:
    on_device, mask = open_inpainter(api), box(shape)
    picture = kind(api, shape, pitch)
    expected = inpainter.inpaint(picture.values, mask)
    result = on_device.inpaint(picture, mask)
    assert isinstance(result.image, DeviceArray)
    np.testing.assert_array_equal(content(api, result.image), expected.image)
    np.testing.assert_array_equal(result.confidence, expected.confidence)
    np.testing.assert_array_equal(content(api, picture), picture.values)  # never written to


def test_in_tiles(open_inpainter, discrete: FakeApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TensorRTBackend, "limits", Limits(whole_pixels=1, tile_pixels=64 * 64))
    # Two, so that neither's buffers have anything of the other's image.
    (on_device, on_host), shape = (open_inpainter(discrete) for _ in range(2)), (160, 300, 3)
    picture = Interface(discrete, shape)
    result = on_device.inpaint(picture, box(shape))
    expected = on_host.inpaint(picture.values, box(shape)).image
    np.testing.assert_array_equal(content(discrete, result.image), expected)


def test_history(open_inpainter, discrete: FakeApi) -> None:
    on_device, shape = open_inpainter(discrete), (160, 300)
    picture = Interface(discrete, shape)
    options = InpaintOptions(grow=0, iterations=2, outputs=("history",))
    made, expected = (on_device.inpaint(i, box(shape), options=options).history for i in (picture, picture.values))
    assert made
    for first, second in zip(made, expected, strict=True):
        np.testing.assert_array_equal(first.image, second.image)


def test_in_place_and_masks_on_the_device(open_inpainter, api: FakeApi, inpainter: Inpainter) -> None:
    on_device, shape = open_inpainter(api), (160, 300, 3)
    picture, mask, avoid = Interface(api, shape), Interface(api, shape[:2]), Interface(api, shape[:2])
    mask.values[:] = box(shape)
    avoid.values[:] = 0
    avoid.values[:30] = 255
    expected = inpainter.inpaint(picture.values, mask.values, avoid=avoid.values)
    result = on_device.inpaint(picture, mask, avoid=avoid, out=picture)
    assert result.image is picture
    np.testing.assert_array_equal(content(api, picture), expected.image)


@pytest.mark.parametrize("kind", [Interface, Packed])
def test_a_mask_of_truths(open_inpainter, api: FakeApi, inpainter: Inpainter, kind, monkeypatch) -> None:
    monkeypatch.setattr(Interface, "typestr", "|b1")
    monkeypatch.setattr(Packed, "dtype", BOOL)
    shape = (160, 300, 3)
    mask = kind(api, (160, 300, 1))
    mask.values[..., 0] = box(shape) > 0
    image = np.random.default_rng(5).integers(0, 256, shape, np.uint8)
    monkeypatch.undo()
    picture = Interface(api, shape)
    picture.values[:] = image
    on_device = open_inpainter(api)
    monkeypatch.setattr(Interface, "typestr", "|b1")
    monkeypatch.setattr(Packed, "dtype", BOOL)
    found = on_device.inpaint(picture, mask).image
    np.testing.assert_array_equal(content(api, found), inpainter.inpaint(image, box(shape)).image)


def test_a_result_goes_in_again(open_inpainter, api: FakeApi, inpainter: Inpainter) -> None:
    on_device, shape = open_inpainter(api), (160, 300, 3)
    picture, mask = Interface(api, shape), box(shape)
    again = mask.T[:160, :160].copy()
    again = np.pad(again, ((0, 0), (0, 140)))
    once = on_device.inpaint(picture, mask).image
    twice = on_device.inpaint(once, again, out=once).image
    expected = inpainter.inpaint(inpainter.inpaint(picture.values, mask).image, again).image
    np.testing.assert_array_equal(content(api, twice), expected)


def test_images_in_place_need_no_new_memory(open_inpainter, api: FakeApi) -> None:
    on_device, shape = open_inpainter(api), (160, 300, 3)
    picture = Interface(api, shape)
    counts = []
    for _ in range(3):
        on_device.inpaint(picture, box(shape), out=picture, options=InpaintOptions(grow=0, iterations=2))
        counts.append({call: n for call, n in api.counts().items() if call in ("cuMemAlloc", "cuMemHostRegister")})
    assert counts[0] == counts[1] == counts[2]


def test_no_pixel_crosses_and_the_host_waits_once(open_inpainter, discrete: FakeApi) -> None:
    """One region of a device image: masks go in, nothing comes out."""
    shape = (160, 300, 3)
    on_device, picture = open_inpainter(discrete, options=InpaintOptions(grow=0)), Interface(discrete, shape)
    mask = np.zeros(shape[:2], np.uint8)
    mask[40:60, 50:80] = 255
    on_device.inpaint(picture, mask, out=picture)  # captures
    before = discrete.counts()
    del discrete.done[:]
    on_device.inpaint(picture, mask, out=picture)
    calls = discrete.counts() - before
    assert calls["cuEventSynchronize"] == 1
    assert calls["cuGraphLaunch"] == 1
    assert discrete.done.count("copy rows") == 2  # the region to its buffer, the box back
    assert discrete.done.count("copy in") == 5  # visible, hole, two values a patch, and one a working pixel
    assert discrete.done.count("copy out") == 0


def test_what_is_refused(open_inpainter, api: FakeApi) -> None:
    on_device = open_inpainter(api)
    with pytest.raises(InputError, match=r"must be \[H, W\]"):
        on_device.inpaint(Interface(api, (160, 300, 2)), np.ones((160, 300), np.uint8))
    with pytest.raises(InputError, match="and the image"):
        on_device.inpaint(Interface(api, (160, 300, 3)), np.ones((160, 299), np.uint8))
