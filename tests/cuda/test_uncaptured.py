"""Where nothing can be captured, the stages are enqueued one by one, and the result says so."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from iic_rt import Inpainter, InpaintOptions
from iic_rt.contract import CaptureError
from iic_rt.cuda.graph import capture
from iic_rt.cuda.memory import Memory
from iic_rt.errors import BackendError
from tests.cuda.fake_driver import ERROR, FakeApi
from tests.cuda.fake_engine import FakeContext, FakeRtxContext
from tests.cuda.test_arrays import Interface
from tests.cuda.test_inpainter import assert_equal, assert_images_equal
from tests.pipeline.test_runner import scene

Open = Callable[..., Inpainter]


def fill_three_times(ours: Inpainter, theirs: Inpainter, api: FakeApi, rng: np.random.Generator) -> list[str]:
    """Compares results and counts waits; the one warning of every result."""
    texts = []
    for call in range(3):
        image, mask = scene(320, rng)
        waits = api.counts()["cuEventSynchronize"]
        found, expected = ours.inpaint(image, mask), theirs.inpaint(image, mask)
        assert_equal(found, expected)
        assert found.timings.prepare_ms > 0
        assert call == 0 or api.counts()["cuEventSynchronize"] == waits + 1  # the host waits no more often for it
        (warning,) = found.warnings
        assert warning.kind == "not captured"
        texts.append(warning.text)
    assert not api.graphs
    return texts


def test_a_driver_that_refuses(
    open_inpainter: Open, api: FakeApi, inpainter: Inpainter, rng: np.random.Generator
) -> None:
    api.capture_status = ERROR.CUDA_ERROR_NOT_SUPPORTED
    (text,) = set(fill_three_times(open_inpainter(api), inpainter, api, rng))
    for part in ("NOT_SUPPORTED", "starting a capture", "The image is the same", "update the driver"):
        assert part in text
    assert api.counts()["cuStreamBeginCapture"] == 1  # not asked again and again


def test_an_engine_that_says_it_cannot_be_captured(
    open_inpainter: Open,
    api: FakeApi,
    inpainter: Inpainter,
    rng: np.random.Generator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []
    ask = FakeRtxContext.is_stream_capturable

    def is_stream_capturable(self: FakeRtxContext, stream: int) -> bool:
        asked.append(self._name)
        return ask(self, stream) and self._name != "similarity"

    monkeypatch.setattr(FakeRtxContext, "is_stream_capturable", is_stream_capturable)
    ours = open_inpainter(api, backend="tensorrt-rtx")
    (text,) = set(fill_three_times(ours, inpainter, api, rng))
    assert "tensorrt-rtx 11.0.0 says that its engine of 'similarity' cannot be captured" in text
    assert asked.count("similarity") == 1


def test_an_engine_that_can_be_captured_is(
    open_inpainter: Open, api: FakeApi, inpainter: Inpainter, rng: np.random.Generator
) -> None:
    image, mask = scene(320, rng)
    result = open_inpainter(api, backend="tensorrt-rtx").inpaint(image, mask)
    np.testing.assert_array_equal(result.image, inpainter.inpaint(image, mask).image)
    assert result.warnings == ()
    assert api.counts()["cuGraphLaunch"] == 1


def test_an_engine_that_breaks_the_capture(
    open_inpainter: Open,
    api: FakeApi,
    inpainter: Inpainter,
    rng: np.random.Generator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Classic TensorRT has no question to ask: it fails while it is captured."""
    run = FakeContext.execute_async_v3

    def execute_async_v3(self: FakeContext, stream_handle: int) -> bool:
        if api._capture is not None and self._name == "detail":
            api.cuMemAlloc(64)  # forbidden, and the end of the capture
            return False
        return run(self, stream_handle)

    monkeypatch.setattr(FakeContext, "execute_async_v3", execute_async_v3)
    (text,) = set(fill_three_times(open_inpainter(api), inpainter, api, rng))
    assert "failed to capture 'detail'" in text


def test_one_warning_for_all_regions_and_none_where_nothing_is_captured(
    open_inpainter: Open, api: FakeApi, rng: np.random.Generator
) -> None:
    api.capture_status = ERROR.CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED
    ours, image = open_inpainter(api), rng.integers(0, 256, (600, 800, 3), np.uint8)
    mask = np.zeros(image.shape[:2], np.uint8)
    mask[20:40, 20:40] = mask[560:580, 760:780] = 255
    result = ours.inpaint(image, mask)
    assert result.regions == 2
    assert [warning.kind for warning in result.warnings] == ["not captured"]
    budget = InpaintOptions(grow=0, budget_ms=1e6)  # graph by graph in any case
    assert ours.inpaint(image, mask, options=budget).warnings == ()


def test_a_device_image_in_place(open_inpainter: Open, api: FakeApi, inpainter: Inpainter) -> None:
    api.capture_status = ERROR.CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED
    ours, picture = open_inpainter(api), Interface(api, (160, 300, 3))
    mask = np.zeros((160, 300), np.uint8)
    mask[40:60, 50:80] = 255
    expected = inpainter.inpaint(picture.values, mask).image
    ours.inpaint(picture, mask, out=picture)
    assert_images_equal(api.view(picture.address, expected.size).reshape(expected.shape), expected)


def test_what_a_capture_cannot_hold_is_told_apart_from_mistakes(memory: Memory, api: FakeApi) -> None:
    calls = []

    def allocates() -> list[object]:
        calls.append(1)
        if len(calls) == 2:
            api.cuMemAlloc(64)
        return []

    with pytest.raises(CaptureError, match="STREAM_CAPTURE_INVALIDATED"):
        capture(memory.stream, allocates)
    assert not memory.stream.capturing
    with pytest.raises(BackendError) as caught:
        memory.stream.capture(memory.stream.wait)
    assert not isinstance(caught.value, CaptureError)
