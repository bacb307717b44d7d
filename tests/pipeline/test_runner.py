"""A pass enqueued at once gives what the same pass gives graph by graph."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from iic_rt import Inpainter, InpaintOptions
from iic_rt.backends.onnxruntime import OnnxRuntimeBackend
from iic_rt.backends.registry import BACKENDS
from iic_rt.bundle.manifest import MANIFEST, file_sha256, load_bundle
from iic_rt.contract import CapturedGraph, Event
from iic_rt.masks import Masks
from iic_rt.pipeline import runners
from iic_rt.pipeline.loop import Loop
from iic_rt.pipeline.upsample import Upsampling

SIZE = 64


class Repeated(CapturedGraph):
    """The work itself, called again."""

    def __init__(self, work: Callable[[], Sequence[Event]]) -> None:
        self._work = work

    def enqueue(self) -> Sequence[Event]:
        return self._work()


class AheadBackend(OnnxRuntimeBackend):
    """Says of itself that it runs ahead of the host, and counts what is captured."""

    synchronous: ClassVar[bool] = False
    captured: ClassVar[list[CapturedGraph]] = []

    def capture(self, work):
        self.captured.append(Repeated(work))
        return self.captured[-1]


@pytest.fixture
def ahead(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(BACKENDS, "ahead", AheadBackend)
    AheadBackend.captured.clear()
    options = InpaintOptions(grow=0, outputs=("confidence", "hole_left"))
    with Inpainter(backend="ahead", working_size=SIZE, options=options) as inpainter:
        yield inpainter


@pytest.fixture(scope="module")
def doubtful(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped bundle with a network that trusts nothing."""
    folder = tmp_path_factory.mktemp("bundles") / "doubtful"
    shutil.copytree(load_bundle("edge").folder, folder)
    path, manifest = folder / "step.onnx", json.loads((folder / MANIFEST).read_text())
    model = onnx.load(path)
    (bias,) = [i for i in model.graph.initializer if i.name.endswith("confidence_decoder.to_logit.conv.bias")]
    bias.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(bias) - np.float32(20), bias.name))
    onnx.save(model, path)
    manifest["precisions"]["fp32"]["step"]["sha256"] = file_sha256(path)
    (folder / MANIFEST).write_text(json.dumps(manifest))
    return folder


def scene(side: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    small = rng.integers(0, 256, (side // 8, side // 8, 3), np.uint8)
    mask = np.zeros((side, side), np.uint8)
    mask[side // 3 : side // 3 + side // 4, side // 4 : side // 2] = 1
    return np.kron(small, np.ones((8, 8, 1), np.uint8)), mask


@pytest.mark.parametrize("side", [48, 64, 128, 192, 320])
@pytest.mark.parametrize("upsample", [True, False])
@pytest.mark.parametrize("iterations", [1, 4])
def test_at_once_equals_stepwise(
    ahead: Inpainter,
    inpainter: Inpainter,
    rng: np.random.Generator,
    monkeypatch: pytest.MonkeyPatch,
    side: int,
    upsample: bool,
    iterations: int,
) -> None:
    monkeypatch.setattr("iic_rt.pipeline.loop.ENOUGH", 0.0)  # who does not look does not end with a few pixels left
    image, mask = scene(side, rng)
    options = InpaintOptions(grow=0, upsample=upsample, iterations=iterations, outputs=("confidence", "hole_left"))
    first, second = (i.inpaint(image, mask, options=options) for i in (ahead, inpainter))
    np.testing.assert_array_equal(first.image, second.image)
    np.testing.assert_array_equal(first.confidence, second.confidence)
    np.testing.assert_array_equal(first.hole_left, second.hole_left)
    assert len(first.timings.iterations_ms) == iterations  # no look at the hole in between
    assert AheadBackend.captured


def test_partly_known_patches_are_filled_again(
    ahead: Inpainter, inpainter: Inpainter, rng: np.random.Generator
) -> None:
    image, mask = scene(320, rng)
    avoid = np.zeros_like(mask)
    avoid[::8, ::8] = 1
    first, second = (i.inpaint(image, mask, avoid=avoid) for i in (ahead, inpainter))
    np.testing.assert_array_equal(first.image, second.image)


def test_what_is_missing_is_a_hole_again(
    ahead: Inpainter, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    image, hole = scene(128, rng)
    visible = 1 - hole
    partly = visible.copy()
    partly[::8, ::8] = 0
    runner = ahead._filling._runners.runner(128, channels=3, options=ahead.options, slot=0)
    staged: list[Masks] = []
    stage = runner.stage
    monkeypatch.setattr(runner, "stage", lambda image, masks: (staged.append(masks), stage(image, masks)))

    def fill(copyable: np.ndarray) -> tuple[bool, int]:
        staged.clear()
        runner.stage(image, Masks(hole, visible, copyable))
        runner.enqueue(ahead.options)
        return runner.collect().is_changed, len(staged)

    assert fill(visible) == (False, 1)
    assert fill(partly) == (True, 2)
    again = staged[1]
    assert 0 < again.hole.sum() < hole.sum()
    found = hole - again.hole
    np.testing.assert_array_equal(again.visible, visible | found)
    np.testing.assert_array_equal(again.copyable, partly | found)
    assert (runner.image.host != image)[found > 0].any()
    monkeypatch.setattr(Upsampling, "missing", lambda _self, hole: hole.copy())
    assert fill(partly) == (False, 1)  # with nothing found a second run would give the same


def test_a_pass_is_captured_once_for_its_side_and_iterations(ahead: Inpainter, rng: np.random.Generator) -> None:
    for _ in range(3):
        ahead.inpaint(*scene(128, rng))
    assert len(AheadBackend.captured) == 1
    for iterations in (1, 2, 4, 1):
        ahead.inpaint(*scene(128, rng), options=InpaintOptions(grow=0, iterations=iterations))
    assert len(AheadBackend.captured) == 4  # without confidence it is another graph


def test_each_kind_of_pass_is_captured_on_its_own(ahead: Inpainter, rng: np.random.Generator) -> None:
    """With whole patches, with partly known ones, with none, and with an image that is on the device already."""
    image, hole = scene(128, rng)
    visible = 1 - hole
    partly = visible.copy()
    partly[::8, ::8] = 0
    runner = ahead._filling._runners.runner(128, channels=3, options=ahead.options, slot=0)
    kinds = [(image, visible), (image, partly), (image, np.zeros_like(hole)), (None, visible)]
    for given, copyable in 2 * kinds:
        runner.stage(given, Masks(hole, visible, copyable))
        runner.enqueue(ahead.options)
        runner.collect()
    assert len(AheadBackend.captured) == len(kinds)


def test_sides_in_rotation_do_not_evict_each_other(ahead: Inpainter, rng: np.random.Generator) -> None:
    sides = (64, 192, 256, 320, 384, 448, 512)  # regions of 64 to 256 pixels
    for side in sides:
        ahead.inpaint(*scene(side, rng))
    before = len(AheadBackend.captured)
    assert before >= 5
    for side in 2 * sides:
        ahead.inpaint(*scene(side, rng))
    assert len(AheadBackend.captured) == before


def test_a_pass_is_captured_again_when_its_buffers_have_gone(
    ahead: Inpainter, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runners, "MOST_BYTES", 1)
    expected = ahead.inpaint(*scene(128, np.random.default_rng(1)))
    ahead.inpaint(*scene(192, rng))
    before = len(AheadBackend.captured)
    again = ahead.inpaint(*scene(128, np.random.default_rng(1)))
    assert len(AheadBackend.captured) == before + 1
    np.testing.assert_array_equal(again.image, expected.image)


def test_what_must_be_looked_at_goes_graph_by_graph(ahead: Inpainter, rng: np.random.Generator) -> None:
    image, mask = scene(128, rng)
    ahead.inpaint(image, mask, options=InpaintOptions(grow=0, outputs=("history",)))
    ahead.inpaint(image, mask, options=InpaintOptions(grow=0, budget_ms=1e6))
    assert not AheadBackend.captured


@pytest.mark.usefixtures("ahead")
def test_with_a_budget_the_hole_is_looked_at_too(doubtful: Path, rng: np.random.Generator) -> None:
    image, mask = scene(64, rng)  # the first iteration is the last that is worth it
    options = InpaintOptions(grow=0, iterations=4, upsample=False)
    with Inpainter(doubtful, backend="ahead", working_size=SIZE) as inpainter:
        for given, iterations in (({"budget_ms": 1e6}, 1), ({"outputs": ("history",)}, 4), ({}, 4)):
            assert inpainter.inpaint(image, mask, options=replace(options, **given)).iterations == iterations


def test_a_spent_budget_still_fills_the_hole(inpainter: Inpainter, rng: np.random.Generator) -> None:
    image, mask = scene(128, rng)
    result = inpainter.inpaint(image, mask, options=InpaintOptions(grow=0, iterations=6, budget_ms=1e-6))
    assert result.iterations == 1
    assert (result.image != image).any()


def test_an_iteration_that_trusts_nothing_ends_the_loop(
    doubtful: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the further iterations would give is the same to the bit."""
    image, mask = scene(64, rng)
    options = InpaintOptions(grow=0, iterations=4, upsample=False, outputs=("confidence", "hole_left"))
    with Inpainter(doubtful, backend="onnxruntime", working_size=SIZE) as inpainter:
        ended = inpainter.inpaint(image, mask, options=options)
        assert ended.iterations == 1
        assert ended.hole_left.sum() == mask.sum()
        monkeypatch.setattr(Loop, "is_done", lambda _loop: False)
        whole = inpainter.inpaint(image, mask, options=options)
    assert whole.iterations == 4
    for name in ("image", "confidence", "hole_left"):
        np.testing.assert_array_equal(getattr(ended, name), getattr(whole, name))


def test_an_empty_hole_stops_the_loop(inpainter: Inpainter) -> None:
    flat, mask = np.full((128, 128, 3), 90, np.uint8), np.zeros((128, 128), np.uint8)
    mask[60:70, 60:70] = 1
    result = inpainter.inpaint(flat, mask, options=InpaintOptions(grow=0, iterations=40, outputs=("hole_left",)))
    assert result.hole_left is not None
    assert result.iterations < 40 or result.hole_left.any()


@pytest.mark.parametrize("colour", [(90,), (60, 110, 160), (60, 110, 160, 77)])
@pytest.mark.parametrize("upsample", [True, False])
@pytest.mark.parametrize("order", ["rgb", "bgr"])
def test_one_colour_goes_on(inpainter: Inpainter, colour: tuple[int, ...], upsample: bool, order: Any) -> None:
    image, mask = np.full((64, 64, len(colour)), colour, np.uint8), np.zeros((64, 64), np.uint8)
    mask[20:40, 20:44] = 1
    options = InpaintOptions(grow=0, iterations=2, upsample=upsample, channel_order=order)
    np.testing.assert_allclose(inpainter.inpaint(image, mask, options=options).image, image.astype(int), atol=8)
