"""A wrong output is found whatever is wrong with it, and is not timed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from iic_rt import InpaintResult
from iic_rt.backends.onnxruntime import OnnxRuntimeBackend
from iic_rt.backends.registry import BACKENDS
from iic_rt.bench.cases import Case, Scene
from iic_rt.bench.check import TOLERANCES, Reference, check
from iic_rt.bench.worker import measure
from iic_rt.contract import Binding, Buffer
from iic_rt.errors import BackendError
from iic_rt.result import Timings


def result(image: NDArray[np.uint8], confidence: NDArray[np.float32]) -> InpaintResult:
    left = np.zeros(image.shape[:2], np.uint8)
    return InpaintResult(
        image=image, confidence=confidence, hole=left, hole_left=left, iterations=1, regions=1, timings=Timings()
    )


def test_the_same_picture_is_right(scene: Scene, expected: Reference) -> None:
    found = check(result(expected.image, expected.confidence), expected, scene, "fp32")
    assert found == {"psnr_db": 100, "difference": 0, "confidence": 0}


def test_figures_by_hand(scene: Scene, expected: Reference, monkeypatch: pytest.MonkeyPatch) -> None:
    flat = Reference(np.where(scene.hole[..., None] > 0, 100, scene.image).astype(np.uint8), expected.confidence)
    image = np.where(scene.hole[..., None] > 0, 101, scene.image).astype(np.uint8)
    monkeypatch.setitem(TOLERANCES, "fp32", TOLERANCES["bf16"])
    step = np.where(expected.confidence > 0.5, np.float32(-0.01), np.float32(0.01)) * scene.hole
    found = check(result(image, expected.confidence + step), flat, scene, "fp32")
    assert found["psnr_db"] == pytest.approx(20 * np.log10(255), abs=0.01)
    assert found["difference"] == 1
    assert found["confidence"] == pytest.approx(0.01, abs=1e-4)


def known_pixel(image: NDArray[np.uint8], confidence: NDArray[np.float32], hole: NDArray[np.uint8]) -> None:
    image[0, 0, 0] ^= 1


def filled_grey(image: NDArray[np.uint8], confidence: NDArray[np.float32], hole: NDArray[np.uint8]) -> None:
    image[hole > 0] = 127


def one_is_nan(image: NDArray[np.uint8], confidence: NDArray[np.float32], hole: NDArray[np.uint8]) -> None:
    confidence[0, 0] = np.nan


def out_of_range(image: NDArray[np.uint8], confidence: NDArray[np.float32], hole: NDArray[np.uint8]) -> None:
    confidence[0, 0] = 1.01


def unsure(image: NDArray[np.uint8], confidence: NDArray[np.float32], hole: NDArray[np.uint8]) -> None:
    confidence[hole > 0] = 0


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (known_pixel, "1 known pixels"),
        (filled_grey, r"PSNR \(dB\) in the hole.*at least 60"),
        (one_is_nan, "not finite"),
        (out_of_range, r"not in \[0, 1\]"),
        (unsure, "confidence's mean difference"),
    ],
)
def test_what_is_wrong_is_named(scene: Scene, expected: Reference, spoil: Callable[..., None], message: str) -> None:
    image, confidence = expected.image.copy(), expected.confidence.copy()
    spoil(image, confidence, scene.hole)
    with pytest.raises(BackendError, match=message):
        check(result(image, confidence), expected, scene, "fp32")


@pytest.mark.parametrize("precision", TOLERANCES)
def test_the_fill_of_another_method_is_wrong(scene: Scene, expected: Reference, precision: str) -> None:
    other = np.asarray(cv2.inpaint(scene.image, scene.hole, 3, cv2.INPAINT_TELEA), np.uint8)
    other[scene.hole == 0] = scene.image[scene.hole == 0]
    with pytest.raises(BackendError, match="PSNR"):
        check(result(other, expected.confidence), expected, scene, precision)


def test_another_texture_is_right_in_16_bits(scene: Scene, expected: Reference, rng: np.random.Generator) -> None:
    noise = rng.normal(0, 8, scene.image.shape) * (scene.hole[..., None] > 0)
    image = np.clip(expected.image + noise, 0, 255).astype(np.uint8)
    assert check(result(image, expected.confidence), expected, scene, "bf16")["psnr_db"] > 36
    with pytest.raises(BackendError, match="PSNR"):
        check(result(image, expected.confidence), expected, scene, "fp32")


def test_a_small_difference_everywhere_counts(
    scene: Scene, expected: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(TOLERANCES, "fp32", replace(TOLERANCES["fp32"], psnr=20))
    image = np.where(scene.hole[..., None] > 0, expected.image ^ 1, expected.image).astype(np.uint8)
    with pytest.raises(BackendError, match=r"mean difference \(of 255\)"):
        check(result(image, expected.confidence), expected, scene, "fp32")


def test_another_size_is_wrong(scene: Scene, expected: Reference) -> None:
    with pytest.raises(BackendError, match="wrong output: uint8"):
        check(result(expected.image[1:], expected.confidence[1:]), expected, scene, "fp32")


def test_a_precision_without_a_tolerance_is_refused(scene: Scene, expected: Reference) -> None:
    with pytest.raises(BackendError, match=r"int3.*fp32, fp16, bf16"):
        check(result(expected.image, expected.confidence), expected, scene, "int3")


class SpoiledBinding(Binding):
    """Makes the picture brighter from the ``after``-th run of the graph on."""

    runs = 0
    after = 0

    def __init__(self, binding: Binding, y: Buffer) -> None:
        self._binding, self._y = binding, y

    def enqueue(self) -> None:
        self._binding.enqueue()
        SpoiledBinding.runs += 1
        if SpoiledBinding.runs > self.after:
            self._y.host += 0.2


class SpoiledBackend(OnnxRuntimeBackend):
    name = "spoiled"

    def bind(self, graph: str, inputs: Mapping[str, Buffer], outputs: Mapping[str, Buffer]) -> Any:
        bound = super().bind(graph, inputs, outputs)
        return SpoiledBinding(bound, outputs["y_out"]) if graph == "step" else bound


@pytest.fixture
def spoiled(monkeypatch: pytest.MonkeyPatch, case: Case) -> Case:
    monkeypatch.setitem(BACKENDS, "spoiled", SpoiledBackend)
    monkeypatch.setattr(SpoiledBinding, "runs", 0)
    return replace(case, backend="spoiled")


def test_a_spoiled_backend_is_not_timed(spoiled: Case, scene: Scene, expected: Reference) -> None:
    row = measure([spoiled], scene, expected)
    assert row.keys() == {"asked", "failed"}
    assert "wrong output" in row["failed"]
    assert SpoiledBinding.runs <= spoiled.iterations  # one call, the one that was looked at


def test_output_that_goes_wrong_while_timed_is_found(
    spoiled: Case, scene: Scene, expected: Reference, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SpoiledBinding, "after", spoiled.iterations)
    row = measure([spoiled], scene, expected)
    assert "wrong output" in row["failed"]
    assert "end_to_end_ms" not in row
    assert SpoiledBinding.runs > spoiled.iterations


def test_a_pair_with_a_spoiled_side_is_not_timed(spoiled: Case, case: Case, scene: Scene, expected: Reference) -> None:
    row = measure([case, spoiled], scene, expected)
    assert "wrong output" in row["failed"]
    assert "ratio" not in row
