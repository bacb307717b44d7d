"""The overlay and the strip show what they say."""

from __future__ import annotations

import numpy as np
import pytest

from iic_rt import Inpainter, InpaintOptions
from iic_rt.figures import confidence_overlay, iterations_strip


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_figures_of_any_picture(inpainter: Inpainter, rng: np.random.Generator, channels: int) -> None:
    image = rng.integers(0, 256, (90, 120, channels), np.uint8)
    hole = np.zeros((90, 120), np.uint8)
    hole[30:60, 30:70] = 1
    options = InpaintOptions(grow=0, outputs=("confidence", "history"), iterations=2, channel_order="bgr")
    result = inpainter.inpaint(image, hole, options=options)
    overlay = confidence_overlay(result, hole)
    colours = np.repeat(image[..., :1], 3, 2) if channels == 1 else image[..., :3]
    np.testing.assert_array_equal(overlay[:90][hole == 0], colours[hole == 0])
    assert overlay.shape[0] > 90
    strip = iterations_strip(image, hole, result)
    assert result.timings.upsample_ms > 0
    assert strip.shape[1] == (result.iterations + 2) * 120 + (result.iterations + 1) * 8
    assert strip.dtype == overlay.dtype == np.uint8


def test_sure_is_green_and_unsure_is_red(inpainter: Inpainter) -> None:
    hole = np.zeros((64, 64), np.uint8)
    hole[10:30, 10:30] = hole[40:60, 40:60] = 1
    result = inpainter.inpaint(np.full((64, 64, 3), 128, np.uint8), hole)
    result.confidence[10:30, 10:30], result.confidence[40:60, 40:60] = 1, 0
    overlay = confidence_overlay(result, hole).astype(int)
    assert overlay[20, 20, 1] > overlay[20, 20, 2]
    assert overlay[50, 50, 2] > overlay[50, 50, 1]


def test_an_empty_hole(inpainter: Inpainter) -> None:
    image, hole = np.zeros((64, 64, 3), np.uint8), np.zeros((64, 64), np.uint8)
    result = inpainter.inpaint(image, hole, options=InpaintOptions(grow=0, outputs=("confidence", "history")))
    assert [warning.kind for warning in result.warnings] == ["empty"]
    assert confidence_overlay(result, hole).shape[1] == 64
    assert iterations_strip(image, hole, result).shape[1] == 64
