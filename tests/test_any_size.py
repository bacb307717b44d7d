"""Guided upsampling at every factor and shape of picture and hole."""

from __future__ import annotations

import numpy as np
import pytest

from iic_rt import Inpainter, InpaintOptions
from iic_rt.masks import Masks
from iic_rt.pipeline.loop import Loop
from iic_rt.pipeline.runner import RegionRunner


def picture(height: int, width: int) -> np.ndarray:
    rng = np.random.default_rng(height + width)
    image = np.kron(rng.integers(0, 256, (height // 8 + 1, width // 8 + 1, 3), np.uint8), np.ones((8, 8, 1), np.uint8))
    return image[:height, :width] // 2 + rng.integers(0, 128, (height, width, 3), np.uint8)


def hole(kind: str, height: int, width: int) -> np.ndarray:
    mask = np.zeros((height, width), bool)
    if kind == "border":
        mask[: height // 3, : width // 4] = True
    elif kind == "several":
        for i in range(3):
            mask[height // 4 : height // 2, (2 * i + 1) * width // 8 : (2 * i + 2) * width // 8] = True
    elif kind == "wire":
        mask[height // 2 : height // 2 + 2] = True
    elif kind == "60 %":
        mask[height // 10 : height * 9 // 10, width // 8 : width * 7 // 8] = True
    elif kind == "frame":
        mask[:4] = mask[-4:] = mask[:, :4] = mask[:, -4:] = True
    elif kind == "specks":
        mask = np.random.default_rng(0).random((height, width)) < 0.1
    return mask


@pytest.mark.parametrize(
    "size", [(90, 90), (97, 203), (400, 300), (1200, 90), (70, 1500), (1100, 1300)], ids=lambda s: f"{s[0]}x{s[1]}"
)
@pytest.mark.parametrize("kind", ["border", "several", "wire", "60 %", "frame", "specks"])
def test_every_hole_in_every_picture(inpainter: Inpainter, size: tuple[int, int], kind: str) -> None:
    """At a working size of 64 these are factors of 1.5 to 24."""
    image, mask = picture(*size), hole(kind, *size)
    result = inpainter.inpaint(image, mask)
    np.testing.assert_array_equal(result.image[~mask], image[~mask])
    assert result.image[mask].std() > 2
    assert (result.image[mask] != image[mask]).mean() > 0.8
    if kind == "60 %":
        assert result.timings.upsample_ms > 0


def test_a_picture_that_fits_is_textured_too(inpainter: Inpainter) -> None:
    mask = np.zeros((60, 60), bool)
    mask[20:30, 20:30] = True
    assert inpainter.inpaint(picture(60, 60), mask).timings.upsample_ms > 0


def test_without_upsampling_the_loop_runs_at_full_size(inpainter: Inpainter) -> None:
    image, mask = picture(192, 192), np.zeros((192, 192), bool)
    mask[48:144, 48:144] = True  # one region: the whole picture
    options = InpaintOptions(grow=0, upsample=False, outputs=("history",))
    result = inpainter.inpaint(image, mask, options=options)
    assert result.timings.upsample_ms == 0
    with Inpainter(backend="onnxruntime", working_size=192, options=options) as full:
        expected = full.inpaint(image, mask)
    np.testing.assert_array_equal(result.image, expected.image)
    np.testing.assert_array_equal(result.history[-1].image, result.image)


def test_upsampling_is_sharper_than_the_loop_alone(inpainter: Inpainter) -> None:
    image, mask = picture(256, 256), np.zeros((256, 256), bool)
    mask[80:180, 80:180] = True
    result = inpainter.inpaint(image, mask, options=InpaintOptions(grow=0, outputs=("history",)))

    def roughness(pixels: np.ndarray) -> float:
        inside = pixels[82:178, 82:178].astype(float)
        return float(np.abs(np.diff(inside, axis=0)).mean())

    assert roughness(result.image) > 3 * roughness(result.history[-1].image)
    assert roughness(result.image) > 0.4 * roughness(image)


def test_what_partly_known_patches_lack_is_filled_in_a_second_run(monkeypatch: pytest.MonkeyPatch) -> None:
    image = picture(256, 256)
    mask = np.zeros((256, 256), bool)
    mask[::8] = mask[:, :1] = True  # no patch is wholly known
    mask[96:160, 96:160] = True
    holes = []
    stage = RegionRunner.stage

    def counted(self: RegionRunner, region: np.ndarray, masks: Masks) -> None:
        holes.append(masks.hole.copy())
        stage(self, region, masks)

    monkeypatch.setattr(RegionRunner, "stage", counted)
    options = InpaintOptions(grow=0)
    with Inpainter(backend="onnxruntime", working_size=64, options=options) as inpainter:
        result = inpainter.inpaint(image, mask)
    assert len(holes) > result.regions  # the first region leaves whole patches to those after it
    assert 0 < holes[1].sum() < holes[0].sum()
    np.testing.assert_array_equal(result.image[~mask], image[~mask])
    holes.clear()
    mask[:] = False
    mask[96:160, 96:160] = True
    with Inpainter(backend="onnxruntime", working_size=64, options=options) as inpainter:
        assert inpainter.inpaint(image, mask).regions == len(holes) == 1


def test_the_second_run_keeps_to_the_budget_too(monkeypatch: pytest.MonkeyPatch) -> None:
    image, mask = picture(256, 256), np.zeros((256, 256), bool)
    mask[::8] = mask[:, :1] = True  # no patch is wholly known
    mask[96:160, 96:160] = True
    steps, passes = [], []
    step, start = Loop.enqueue_step, Loop.start
    monkeypatch.setattr(Loop, "enqueue_step", lambda self: (steps.append(1), step(self))[1])
    monkeypatch.setattr(Loop, "start", lambda self: (passes.append(1), start(self))[1])
    options = InpaintOptions(grow=0, iterations=30, budget_ms=1e-6)
    with Inpainter(backend="onnxruntime", working_size=64, options=options) as inpainter:
        assert len(passes) == 0
        result = inpainter.inpaint(image, mask)
    assert len(passes) > result.regions
    assert len(steps) == len(passes)  # one iteration each
