"""The whole inpainter on a fake device gives what it gives on ONNX Runtime."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from iic_rt import Inpainter, InpaintOptions, InpaintResult
from iic_rt.backends.cuda import CudaBackend
from iic_rt.backends.onnxruntime import OnnxRuntimeBackend
from iic_rt.backends.tensorrt import TensorRTBackend
from iic_rt.bundle.shapes import Limits, RegionShapes
from iic_rt.errors import BackendError
from iic_rt.pipeline import runners
from iic_rt.pipeline.runner import MOST_CAPTURED
from tests.cuda.conftest import SIZE, is_empty
from tests.cuda.fake_driver import FakeApi
from tests.pipeline.test_runner import scene

Open = Callable[..., Inpainter]
MADE = ("cuMemAlloc", "cuMemHostRegister", "cuEventCreate", "cuStreamCreate", "cuGraphInstantiate")


def assert_images_equal(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> None:
    """Bit for bit, but for sums of `prepare` and `refine` in another order: a byte here and there is the next."""
    differing = first != second
    assert differing.mean() < 1e-4
    assert np.abs(first.astype(int) - second)[differing].max(initial=0) <= 1


def assert_equal(first: InpaintResult, second: InpaintResult) -> None:
    np.testing.assert_array_equal(first.hole_left, second.hole_left)
    if first.confidence is not None:
        np.testing.assert_allclose(first.confidence, second.confidence, atol=1e-5)
    assert_images_equal(first.image, second.image)


@pytest.mark.parametrize(("side", "upsample"), [(48, True), (192, True), (320, True), (448, True), (320, False)])
def test_captured(
    open_inpainter: Open,
    api: FakeApi,
    inpainter: Inpainter,
    rng: np.random.Generator,
    monkeypatch: pytest.MonkeyPatch,
    side: int,
    upsample: bool,
) -> None:
    monkeypatch.setattr("iic_rt.pipeline.loop.ENOUGH", 0.0)  # a device is not asked what is left
    ours = open_inpainter(api)
    options = InpaintOptions(grow=0, upsample=upsample, outputs=("confidence", "hole_left"))
    made, waits = {}, 0
    for call in range(3):  # the first call captures, later ones give the same graph other pictures
        image, mask = scene(side, rng)
        assert_equal(ours.inpaint(image, mask, options=options), inpainter.inpaint(image, mask, options=options))
        if call > 0:
            assert {name: api.counts()[name] for name in MADE} == made
            assert api.counts()["cuEventSynchronize"] == waits + 1
        made, waits = {name: api.counts()[name] for name in MADE}, api.counts()["cuEventSynchronize"]
    assert api.counts()["cuStreamEndCapture"] == 1
    assert api.counts()["cuGraphLaunch"] == 3
    assert ("add_detail" in api.done) == upsample


def test_half_precision(open_inpainter: Open, api: FakeApi, rng: np.random.Generator) -> None:
    """The bundle's FP16 graphs, which is what a device gets where nobody asks for another precision."""
    ours = open_inpainter(api, precision=None)
    assert ours.precision == "fp16"
    with Inpainter(backend="onnxruntime", precision="fp16", working_size=SIZE, options=ours.options) as theirs:
        for _ in range(2):
            image, mask = scene(320, rng)
            assert_equal(ours.inpaint(image, mask), theirs.inpaint(image, mask))


def test_the_order_of_the_work(open_inpainter: Open, discrete: FakeApi, rng: np.random.Generator) -> None:
    ours, options = open_inpainter(discrete), InpaintOptions(grow=0, iterations=2)
    ours.inpaint(*scene(320, rng), options=options)
    del discrete.done[:]
    timings = ours.inpaint(*scene(320, rng), options=options).timings
    graphs = [name for name in discrete.done if name not in ("event", "event in graph")]
    upsampling = ["seam", "similarity", "search", "refine", "detail", "replace", "add_detail"]
    assert graphs == [*["copy in"] * 6, "prepare", "step", "step", *upsampling, "copy out"]
    assert discrete.done.count("event in graph") == 7  # recorded in the graph
    assert discrete.done[-2:] == ["event", "event"]  # the graph's end, and the one wait
    # A piece of work on the fake device takes 1 ms, an event too.
    assert (timings.copy_in_ms, timings.prepare_ms, timings.iterations_ms) == (7, 2, (2, 2))
    assert (timings.upsample_ms, timings.copy_out_ms) == (8, 2)


def test_where_host_and_device_have_one_memory_nothing_is_copied(
    open_inpainter: Open, rng: np.random.Generator
) -> None:
    api = FakeApi(integrated=True)
    ours = open_inpainter(api)
    image, mask = scene(128, rng)
    for _ in range(2):  # the first call writes constants
        del api.done[:]
        ours.inpaint(image, mask, options=InpaintOptions(grow=0))
    assert "add_detail" in api.done
    assert not {"copy in", "copy out"} & set(api.done)


def test_several_sizes_and_options_in_turn(
    open_inpainter: Open, api: FakeApi, inpainter: Inpainter, rng: np.random.Generator
) -> None:
    ours = open_inpainter(api)
    for side, iterations in [(320, 4), (48, 1), (192, 3), (320, 4), (320, 1), (48, 1), (448, 2), (192, 3)]:
        options = InpaintOptions(grow=0, iterations=iterations, outputs=("confidence", "hole_left"))
        image, mask = scene(side, rng)
        assert_equal(ours.inpaint(image, mask, options=options), inpainter.inpaint(image, mask, options=options))
    assert api.counts()["cuStreamEndCapture"] == 5


@pytest.mark.parametrize(
    "options",
    [
        InpaintOptions(grow=0, outputs=("confidence", "hole_left", "history")),
        InpaintOptions(grow=0, budget_ms=1e6, outputs=("confidence", "hole_left")),
    ],
    ids=["keep", "budget"],
)
def test_graph_by_graph(
    open_inpainter: Open, api: FakeApi, inpainter: Inpainter, rng: np.random.Generator, options: InpaintOptions
) -> None:
    ours, made = open_inpainter(api), {}
    image, mask = scene(320, rng)
    for call in range(4):
        first, second = (i.inpaint(image, mask, options=options) for i in (ours, inpainter))
        assert_equal(first, second)
        if "history" in options.outputs:  # where nobody looks at the hole, iterations that change nothing are made too
            assert len(first.history) >= len(second.history)
            for snapshot, other in zip(first.history, second.history, strict=False):
                assert_images_equal(snapshot.image, other.image)
        if call > 1:
            assert {name: api.counts()[name] for name in MADE} == made
        made = {name: api.counts()[name] for name in MADE}
    assert not api.counts()["cuStreamBeginCapture"]


def test_partly_known_patches(
    open_inpainter: Open, api: FakeApi, inpainter: Inpainter, rng: np.random.Generator
) -> None:
    ours = open_inpainter(api)
    for spacing in (8, 10):
        image, mask = scene(320, rng)
        avoid = np.zeros_like(mask)
        avoid[::spacing, ::spacing] = 1
        del api.done[:]
        assert_equal(ours.inpaint(image, mask, avoid=avoid), inpainter.inpaint(image, mask, avoid=avoid))
        assert api.done.count("replace") >= 2  # the picture, and what in it was unknown


def test_tiles(open_inpainter: Open, api: FakeApi, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = Limits(whole_pixels=1 << 14, tile_pixels=1 << 14)
    for backend in (TensorRTBackend, OnnxRuntimeBackend):
        monkeypatch.setattr(backend, "limits", limits)
    ours = open_inpainter(api)
    with Inpainter(backend="onnxruntime", working_size=SIZE, options=ours.options) as theirs:
        for _ in range(2):
            image, mask = scene(320, rng)
            assert_equal(ours.inpaint(image, mask), theirs.inpaint(image, mask))
    assert not api.counts()["cuStreamBeginCapture"]


@pytest.mark.parametrize("stream", [0, 0x999])
def test_the_stream_of_the_caller(
    open_inpainter: Open, api: FakeApi, inpainter: Inpainter, rng: np.random.Generator, stream: int
) -> None:
    api.streams.setdefault(stream, deque())
    own = {}
    for handle in api.streams:
        own[handle] = 0

    def count(handle: int, name: str, run: Callable[[], None], *uses: tuple[int, int]) -> None:
        if api._capture is None:
            own[handle] = own.get(handle, 0) + 1
        FakeApi.enqueue(api, handle, name, run, *uses)

    api.enqueue = count
    ours = open_inpainter(api, stream=stream)
    for _ in range(2):
        image, mask = scene(320, rng)
        assert_equal(ours.inpaint(image, mask), inpainter.inpaint(image, mask))
    assert {handle for handle, works in own.items() if works} == {stream}
    ours.close()
    assert stream in api.streams


def test_captured_graphs_go_when_others_come(open_inpainter: Open, api: FakeApi, rng: np.random.Generator) -> None:
    ours = open_inpainter(api)
    for iterations in range(1, MOST_CAPTURED + 4):
        ours.inpaint(*scene(64, rng), options=InpaintOptions(grow=0, iterations=iterations))
        assert len(api.graphs) <= MOST_CAPTURED
    assert api.counts()["cuGraphExecDestroy"] == 3


def test_memory_of_a_size_goes_before_that_of_the_next_comes(
    open_inpainter: Open, discrete: FakeApi, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A captured graph must not keep the buffers of a size that had to go."""
    monkeypatch.setattr(runners, "MOST_BYTES", 1)
    ours = open_inpainter(discrete)
    free = []
    for side in (448, 384, 448, 384):
        ours.inpaint(*scene(side, rng))
        free.append(discrete.total - sum(map(len, discrete.blocks.values())))
        assert len(discrete.graphs) == 1
    assert free[3] == free[1]
    discrete.total -= free[2]  # no byte more than the larger size takes
    for side in (448, 384, 448):
        ours.inpaint(*scene(side, rng))


def test_everything_goes_at_close(open_inpainter: Open, api: FakeApi, rng: np.random.Generator) -> None:
    ours = open_inpainter(api)
    ours.inpaint(*scene(320, rng))
    ours.close()
    ours.close()
    assert is_empty(api)
    assert list(api.streams) == [0, 1, 2]
    assert api.current == 0


def test_an_inpainter_that_nobody_closed_frees_everything(
    install: Callable[[FakeApi], object], api: FakeApi, rng: np.random.Generator
) -> None:
    install(api)
    forgotten = Inpainter(backend="tensorrt", precision="fp32", working_size=SIZE)
    forgotten.inpaint(*scene(320, rng))
    del forgotten
    assert is_empty(api)


def test_two_inpainters_side_by_side(
    open_inpainter: Open, api: FakeApi, inpainter: Inpainter, rng: np.random.Generator
) -> None:
    first, second = open_inpainter(api), open_inpainter(api)
    image, mask = scene(320, rng)
    expected = inpainter.inpaint(image, mask)
    assert_equal(first.inpaint(image, mask), expected)
    first.close()
    assert_equal(second.inpaint(image, mask), expected)


def test_running_out_of_memory_anywhere(
    open_inpainter: Open, api: FakeApi, inpainter: Inpainter, rng: np.random.Generator
) -> None:
    """Whichever allocation fails, the error says what to lower, nothing leaks, and the next call works."""
    image, mask = scene(320, rng)
    expected = inpainter.inpaint(image, mask)
    open_inpainter(api).inpaint(image, mask)
    allocations = api.counts()["cuMemAlloc"]
    assert allocations > 10
    for failing in range(1, allocations + 1, 5):
        fresh, opened = FakeApi(integrated=api.integrated), []
        fresh.fail_allocation = failing

        def run(fresh: FakeApi = fresh, opened: list[Inpainter] = opened) -> None:
            opened.append(open_inpainter(fresh))
            opened[0].inpaint(image, mask)

        with pytest.raises(BackendError, match=r"MiB asked, .* free: lower working_size"):
            run()
        if opened:  # it ran out in the first call
            assert_equal(opened[0].inpaint(image, mask), expected)
            opened[0].close()
        assert is_empty(fresh)


def test_a_device_that_fails(open_inpainter: Open, api: FakeApi, rng: np.random.Generator) -> None:
    ours = open_inpainter(api)
    image, mask = scene(320, rng)
    ours.inpaint(image, mask)
    api.fail_launch = api._launches + 3
    messages = set()
    for _ in range(3):
        with pytest.raises(BackendError, match=r"ILLEGAL_ADDRESS.*restart it") as caught:
            ours.inpaint(image, mask)
        messages.add(str(caught.value))
    assert len(messages) == 1
    ours.close()


def test_a_crop_of_2048_goes_through_at_once() -> None:
    assert RegionShapes(2048, 256, limits=CudaBackend.limits).whole
