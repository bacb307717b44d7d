"""Dust and scratches are told from objects, and interpolated better than OpenCV does."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from iic_rt import Inpainter, InpaintOptions
from iic_rt.pipeline.specks import fill_specks, find_specks


def specks_of(hole: np.ndarray, visible: np.ndarray | None = None) -> np.ndarray:
    """All specks in one mask."""
    found = np.zeros_like(hole)
    for speck in find_specks(hole, visible):
        found[speck.box.slices] |= speck.mask
    return found


def dusty(height: int, width: int, count: int, radius: int, seed: int = 0) -> np.ndarray:
    rng, hole = np.random.default_rng(seed), np.zeros((height, width), np.uint8)
    for x, y in zip(rng.integers(0, width, count), rng.integers(0, height, count), strict=True):
        cv2.circle(hole, (int(x), int(y)), radius, 1, -1)
    return hole


def smooth(height: int, width: int) -> np.ndarray:
    noise = np.random.default_rng(5).normal(0, 1, (height, width, 3))
    picture = cv2.GaussianBlur(noise, (0, 0), 6)
    return np.asarray(128 + 100 * picture / np.abs(picture).max(), np.uint8)


def test_what_is_a_speck() -> None:
    hole = np.zeros((60, 80), np.uint8)
    hole[5, 5] = hole[5:8, 20:60] = 1  # a pixel, a scratch
    hole[30:50, 30:50] = 1  # an object
    hole[40, 51] = 1  # a pixel beside it, which has nothing known on one side
    found = specks_of(hole)
    assert found.sum() == 1 + 3 * 40
    assert found[5, 5]
    assert found[6, 30]
    assert not find_specks(np.zeros_like(hole))


def test_a_speck_beside_what_is_hidden_is_none() -> None:
    hole, visible = np.zeros((20, 40), np.uint8), np.ones((20, 40), np.uint8)
    hole[10, 10] = hole[10, 30] = 1
    visible[hole > 0] = visible[10, 32] = 0
    found = specks_of(hole, visible)
    assert (found[10, 10], found[10, 30]) == (1, 0)


def test_at_the_border_only_one_side_is_known() -> None:
    hole = np.zeros((20, 20), np.uint8)
    hole[:, :3] = 1
    assert specks_of(hole).sum() == 3 * 20
    hole[:, :5] = 1  # the picture's border is no known pixel
    assert not find_specks(hole)


@pytest.mark.parametrize("radius", [0, 1, 2])
def test_better_than_telea(radius: int) -> None:
    image, hole = smooth(200, 300), dusty(200, 300, 150, radius)
    specks = specks_of(hole)
    inside = specks > 0
    assert inside.sum() > 100
    filled = image.copy()
    filled[inside] = 255  # what stands there is not read
    fill_specks(filled, specks)
    telea = cv2.inpaint(image, hole, 5, cv2.INPAINT_TELEA)
    error, theirs = (np.square(p.astype(float) - image)[inside].mean() for p in (filled, telea))
    assert error < 0.5 * theirs
    np.testing.assert_array_equal(filled[~inside], image[~inside])


def test_a_slope_is_continued_exactly() -> None:
    image = np.repeat(np.arange(40, 100, dtype=np.uint8)[None, :, None], 30, 0).repeat(3, 2)
    hole = np.zeros(image.shape[:2], np.uint8)
    hole[12:16, 20:24] = 1
    filled = np.where(hole[..., None] > 0, np.uint8(0), image)
    fill_specks(filled, hole)
    assert np.abs(filled.astype(int) - image).max() <= 1


def test_the_inpainter_interpolates_specks_and_fills_the_rest() -> None:
    image, hole = smooth(300, 320), dusty(300, 320, 60, 1)
    cv2.circle(hole, (150, 150), 30, 1, -1)
    options = InpaintOptions(grow=0, outputs=("confidence", "history"))
    with Inpainter(backend="onnxruntime", options=options) as inpainter:
        result = inpainter.inpaint(np.where(hole[..., None] > 0, np.uint8(0), image), hole)
        dust = dusty(300, 320, 60, 1, seed=3)
        alone = inpainter.inpaint(image, dust)
    np.testing.assert_array_equal(result.hole, hole)
    np.testing.assert_array_equal(result.image[hole == 0], image[hole == 0])
    np.testing.assert_array_equal(result.history[-1].image[hole == 0], image[hole == 0])
    assert np.abs(result.image.astype(int) - image)[specks_of(hole) > 0].mean() < 2
    assert (alone.regions, alone.iterations) == (0, 0)
    assert (alone.confidence == 1).all()
