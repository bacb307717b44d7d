"""A pass enqueued at once gives what the same pass gives graph by graph."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest

from iic_rt import Inpainter, InpaintOptions
from iic_rt.backends import BACKENDS
from iic_rt.backends.base import Program
from iic_rt.backends.onnxruntime import OnnxRuntimeBackend
from iic_rt.filler import MAX_PROGRAMS

SIZE = 64


class AheadBackend(OnnxRuntimeBackend):
    """Says of itself that it runs ahead of the host, and counts what is captured."""

    synchronous: ClassVar[bool] = False
    captured: ClassVar[list[Program]] = []

    def capture(self, work):
        self.captured.append(super().capture(work))
        return self.captured[-1]


@pytest.fixture
def ahead(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(BACKENDS, "ahead", AheadBackend)
    AheadBackend.captured.clear()
    with Inpainter(backend="ahead", working_size=SIZE, options=InpaintOptions(grow=0)) as inpainter:
        yield inpainter


def scene(side: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    small = rng.integers(0, 256, (side // 8, side // 8, 3), np.uint8)
    mask = np.zeros((side, side), np.uint8)
    mask[side // 3 : side // 3 + side // 4, side // 4 : side // 2] = 1
    return np.kron(small, np.ones((8, 8, 1), np.uint8)), mask


@pytest.mark.parametrize("side", [48, 64, 128, 192, 320])
@pytest.mark.parametrize("upsample", [True, False])
@pytest.mark.parametrize("iterations", [1, 4])
def test_at_once_equals_stepwise(
    ahead: Inpainter, inpainter: Inpainter, rng: np.random.Generator, side: int, upsample: bool, iterations: int
) -> None:
    image, mask = scene(side, rng)
    options = InpaintOptions(grow=0, upsample=upsample, iterations=iterations)
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


def test_a_pass_is_captured_once_for_its_size(ahead: Inpainter, rng: np.random.Generator) -> None:
    for _ in range(3):
        ahead.inpaint(*scene(128, rng))
    assert len(AheadBackend.captured) == 1
    for iterations in range(1, MAX_PROGRAMS + 3):
        ahead.inpaint(*scene(128, rng), options=InpaintOptions(grow=0, iterations=iterations))
    assert len(AheadBackend.captured) == MAX_PROGRAMS + 2  # T = 4 was there
    assert ahead._filler is not None
    assert len(ahead._filler._captured) == MAX_PROGRAMS


def test_a_pass_is_captured_again_when_its_buffers_have_gone(ahead: Inpainter, rng: np.random.Generator) -> None:
    expected = ahead.inpaint(*scene(128, np.random.default_rng(1)))
    for side in (192, 256, 320, 384, 448):  # more sides than buffers are kept for
        ahead.inpaint(*scene(side, rng))
    before = len(AheadBackend.captured)
    again = ahead.inpaint(*scene(128, np.random.default_rng(1)))
    assert len(AheadBackend.captured) == before + 1
    np.testing.assert_array_equal(again.image, expected.image)


def test_what_must_be_looked_at_goes_graph_by_graph(ahead: Inpainter, rng: np.random.Generator) -> None:
    image, mask = scene(128, rng)
    ahead.inpaint(image, mask, options=InpaintOptions(grow=0, keep_iterations=True))
    ahead.inpaint(image, mask, options=InpaintOptions(grow=0, budget_ms=1e6))
    assert not AheadBackend.captured
