"""Streams of frames on the device: they stay there, and are taken while the next ones are in work."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from iic_rt import Inpainter, InpaintOptions
from iic_rt.cuda.arrays import DeviceArray, SettledArray, as_device_array
from iic_rt.errors import BackendError
from iic_rt.video import VideoFrame, VideoInpainter
from tests.cuda.conftest import make_memory
from tests.cuda.fake_driver import FakeApi
from tests.cuda.test_arrays import Interface, Packed, read
from tests.cuda.test_image import content

Open = Callable[..., Inpainter]
SHAPE = (96, 120, 3)
MASK = np.zeros(SHAPE[:2], np.uint8)
MASK[40:60, 50:70] = 255


def stream_of(ours: Inpainter, frames: list, masks: list, **settings: object) -> list[VideoFrame]:
    """The fake device has one context for all threads, so this one only waits while the worker works."""
    with VideoInpainter(ours, slots=8, **settings) as video:
        for frame, mask in zip(frames, masks, strict=True):
            video.put(frame, mask)
        video.close()
        return list(video)


@pytest.mark.parametrize("kind", [Interface, Packed])
def test_frames_stay_on_the_device(open_inpainter: Open, api: FakeApi, inpainter: Inpainter, kind: type) -> None:
    ours = open_inpainter(api, options=InpaintOptions(grow=0))
    frames = [kind(api, SHAPE) for _ in range(4)]
    for n, frame in enumerate(frames):
        frame.values += np.uint8(n)
    given = stream_of(ours, frames, [MASK] * 4)
    for frame, found in zip(frames, given, strict=True):
        assert (found.status, found.error) == ("filled", "")
        assert isinstance(found.image, SettledArray)
        assert found.result is not None
        assert found.result.image is found.image
        np.testing.assert_array_equal(content(api, found.image), inpainter.inpaint(frame.values, MASK).image)
        np.testing.assert_array_equal(content(api, frame), frame.values)  # never written to


def test_numpy_frames_overlap_on_a_device(open_inpainter: Open, api: FakeApi, inpainter: Inpainter) -> None:
    ours = open_inpainter(api, options=InpaintOptions(grow=0))
    images = [np.random.default_rng(n).integers(0, 256, SHAPE, np.uint8) for n in range(4)]
    masks = [np.roll(MASK, 3 * n, axis=1) for n in range(4)]
    given = stream_of(ours, images, masks)
    for image, mask, found in zip(images, masks, given, strict=True):
        np.testing.assert_array_equal(found.image, inpainter.inpaint(image, mask).image)


def test_masks_on_the_device_and_frames_that_pass(open_inpainter: Open, api: FakeApi) -> None:
    ours = open_inpainter(api, options=InpaintOptions(grow=0))
    mask, frame = Interface(api, SHAPE[:2]), Interface(api, SHAPE)
    mask.values[:] = MASK
    small = np.zeros((3, 3), np.uint8)
    given = stream_of(ours, [frame] * 4, [None, small, mask, small], failed_as="unfilled")
    assert [found.status for found in given] == ["untouched", "failed", "filled", "failed"]
    assert [found.image is frame for found in given] == [True, True, False, True]  # its owner's own, not a copy


def test_what_takes_the_place_of_a_frame_on_the_device(open_inpainter: Open, api: FakeApi) -> None:
    ours = open_inpainter(api, options=InpaintOptions(grow=0))
    frame, wrong = Interface(api, SHAPE), np.zeros((3, 3), np.uint8)
    given = stream_of(ours, [frame] * 3, [wrong, MASK, wrong])
    assert [found.substitute for found in given] == ["blank", None, "last"]
    assert isinstance(given[0].image, np.ndarray)
    assert given[2].image is given[1].image


@pytest.mark.parametrize("by", ["__dlpack__", "__cuda_array_interface__"])
def test_a_settled_array_asks_nothing_of_the_device(api: FakeApi, by: str) -> None:
    """So that it can be lent on one thread while another captures work on the stream."""
    memory = make_memory(api)
    array = as_device_array(Interface(api, (6, 9, 3)), memory.stream)
    settled = SettledArray.of(array)
    memory.stream.wait()
    before = len(api.log)
    if by == "__dlpack__":
        settled.__dlpack__(stream=2)
    else:
        assert settled.__cuda_array_interface__["stream"] is None
    assert len(api.log) == before
    np.testing.assert_array_equal(read(memory, settled), read(memory, array))
    with pytest.raises(BufferError, match="copy=None"):
        settled.__dlpack__(copy=True)
    memory.stream.close()
    for lend in (lambda: settled.__dlpack__(stream=2), lambda: settled.__cuda_array_interface__):
        with pytest.raises(BackendError, match="closed"):
            lend()


def test_another_inpainter_takes_a_settled_array(open_inpainter: Open, api: FakeApi) -> None:
    ours = open_inpainter(api, options=InpaintOptions(grow=0))
    (found,) = stream_of(ours, [Interface(api, SHAPE)], [MASK])
    again = ours.inpaint(found.image, MASK)
    assert type(again.image) is DeviceArray
    other = make_memory(api)
    np.testing.assert_array_equal(read(other, as_device_array(found.image, other.stream)), content(api, found.image))
    other.stream.close()
