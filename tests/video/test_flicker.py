from __future__ import annotations

import cv2
import numpy as np
import pytest

from iic_rt.video.flicker import Flicker
from tests.video.scenes import Pixels, background, disc

HOLE = (disc(80, 60, 25) > 0).astype(np.uint8)


def noisy(rng: np.random.Generator, still: Pixels, sigma: float = 2.0) -> Pixels:
    return np.clip(still + rng.normal(0, sigma, still.shape), 0, 255).round().astype(np.uint8)


def test_noise_everywhere_is_a_ratio_of_one(rng: np.random.Generator) -> None:
    flicker = Flicker()
    for _ in range(8):
        flicker.add(noisy(rng, background()), HOLE)
    assert flicker.pairs == 7
    assert flicker.ratio == pytest.approx(1, abs=0.1)
    assert flicker.ring == pytest.approx(0.23, abs=0.03)  # of noise of two grey levels; the raw change is 1.5


def test_a_hole_that_breathes_is_seen_beneath_noise(rng: np.random.Generator) -> None:
    flicker, still = Flicker(), Flicker()
    for i in range(8):
        frame = noisy(rng, background())
        smooth = np.where(HOLE[..., None] > 0, cv2.GaussianBlur(background(), (0, 0), 3), frame)
        still.add(smooth, HOLE)
        smooth = np.where(HOLE[..., None] > 0, smooth + i % 2, smooth).astype(np.uint8)
        flicker.add(smooth, HOLE)
    assert still.ratio == 0 or (still.ratio is not None and still.ratio < 0.2)
    assert flicker.ratio is not None
    assert flicker.ratio > 3
    assert flicker.hole == pytest.approx(1, abs=0.2)


def test_no_pair_across_a_frame_that_is_none_of_its_own(rng: np.random.Generator) -> None:
    flicker = Flicker()
    for hole in (HOLE, None, HOLE, np.zeros_like(HOLE), HOLE):
        flicker.add(noisy(rng, background()), hole)
    flicker.add(np.zeros((50, 60), np.uint8), np.ones((50, 60), np.uint8))  # another size
    assert (flicker.pairs, flicker.hole, flicker.ring, flicker.ratio) == (0, None, None, None)


def test_grey_frames_and_moving_holes() -> None:
    flicker = Flicker()
    for i in range(3):
        grey = np.full((120, 160), 100, np.uint8)
        hole = (disc(60 + 5 * i, 60, 20) > 0).astype(np.uint8)
        grey[hole > 0] = 100 + 10 * i
        flicker.add(grey, hole)
    assert flicker.pairs == 2
    assert flicker.hole is not None
    assert 7 < flicker.hole <= 10
    assert flicker.ring == pytest.approx(0, abs=0.2)
