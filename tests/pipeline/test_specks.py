"""Dust and scratches are told from objects, and interpolated better than OpenCV does."""

from __future__ import annotations

from itertools import product

import cv2
import numpy as np
import pytest

from iic_rt import Inpainter, InpaintOptions
from iic_rt.masks import Masks
from iic_rt.pipeline.image import HostResultImage
from iic_rt.pipeline.specks import fill_specks, find_specks, interpolate_specks


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
    image = HostResultImage(np.full((20, 40, 3), 9, np.uint8))
    assert np.argwhere(interpolate_specks(image, Masks(hole, visible)).hole).tolist() == [[10, 30]]


def test_all_that_a_speck_goes_by_is_looked_at(rng: np.random.Generator) -> None:
    image, hole = rng.integers(0, 256, (40, 60, 3), np.uint8), np.zeros((40, 60), np.uint8)
    hole[20:22, 30] = hole[0, 10:13] = hole[39, 59] = 1
    filled = HostResultImage(image)
    interpolate_specks(filled, Masks(hole))
    fill_specks(image, hole)  # the whole image at once
    assert np.abs(filled.array.astype(int) - image).max() <= 1


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


def solution(image: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """The values of the hole's pixels [N, C] at which the Laplacian of the Laplacian is 0, the border repeated."""
    laplacian = np.zeros((5, 5))
    laplacian[2, 1:4] += (1, -2, 1)
    laplacian[1:4, 2] += (1, -2, 1)
    weights = cv2.filter2D(laplacian, -1, laplacian, borderType=cv2.BORDER_CONSTANT)
    places = np.argwhere(hole)
    number = {tuple(place): i for i, place in enumerate(places)}
    matrix, wanted = np.zeros((len(places), len(places))), np.zeros((len(places), image.shape[2]))
    for (i, place), step in product(enumerate(places), product(range(-2, 3), repeat=2)):
        y, x = np.clip(place + step, 0, np.subtract(hole.shape, 1))
        weight = weights[step[0] + 2, step[1] + 2]
        if hole[y, x]:
            matrix[i, number[y, x]] += weight
        else:
            wanted[i] -= weight * image[y, x]
    return np.linalg.solve(matrix, wanted)


@pytest.mark.parametrize("channels", [1, 3])
def test_specks_get_the_solution_of_the_biharmonic_equation(channels: int, rng: np.random.Generator) -> None:
    image, hole = rng.integers(0, 256, (26, 38, channels), np.uint8), np.zeros((26, 38), np.uint8)
    hole[0, 0] = hole[0, -1] = hole[-1, 0] = hole[-1, -1] = 1
    hole[8:16, :2] = hole[9:12, -2:] = hole[:2, 12:20] = hole[-2:, 10:16] = 1
    hole[10, 8] = hole[7:9, 13:25] = hole[13:17, 20:23] = 1
    expected = np.clip(solution(image, hole), 0, 255)
    image[hole > 0] = 255
    fill_specks(image, hole)
    assert np.abs(image[hole > 0] - expected).max() < 2  # of 255: at the border it converges more slowly


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


@pytest.mark.parametrize(("width", "is_speck"), [(1, True), (5, True), (6, True), (7, False)])
def test_how_thick_a_speck_may_be(width: int, is_speck: bool) -> None:
    for shape in ((40, 60), (60, 40)):
        hole = np.zeros(shape, np.uint8)
        stripe = hole if shape == (40, 60) else hole.T
        stripe[5:30, 20 : 20 + width] = 1
        assert specks_of(hole).sum() == is_speck * hole.sum()


@pytest.mark.parametrize(("gap", "is_speck"), [(1, False), (2, True)])
def test_how_far_from_what_is_unknown_a_speck_must_be(gap: int, is_speck: bool) -> None:
    hole = np.zeros((60, 80), np.uint8)
    hole[20:40, 20:40] = 1
    hole[30, 40 + gap] = 1
    for seen in (None, 1 - hole):
        assert specks_of(hole, seen)[30, 40 + gap] == is_speck
        assert specks_of(hole, seen).sum() == is_speck
    alone, visible = np.zeros_like(hole), np.ones_like(hole)
    alone[30, 40] = 1
    visible[30, 41 + gap] = 0
    assert specks_of(alone, visible).sum() == is_speck
    assert specks_of(alone, 1 - alone).sum() == 1  # itself it may hide


def test_specks_have_boxes_and_masks_of_their_own() -> None:
    hole = np.zeros((90, 90), np.uint8)
    hole[10, 12:15] = hole[11, 12] = hole[70:74, 60] = 1
    found = sorted(find_specks(hole), key=lambda speck: speck.box.top)
    assert [(speck.box.slices, speck.mask.tolist()) for speck in found] == [
        ((slice(10, 12), slice(12, 15)), [[1, 1, 1], [1, 0, 0]]),
        ((slice(70, 74), slice(60, 61)), [[1], [1], [1], [1]]),
    ]


def test_values_do_not_wrap_round() -> None:
    row = np.concatenate([np.arange(30, 270, 20), np.zeros(4), np.arange(250, 10, -20)])
    for values, end in ((row, 255), (255 - row, 0)):
        image = np.repeat(values.astype(np.uint8)[None, :, None], 40, 0)
        hole = np.zeros(image.shape[:2], np.uint8)
        hole[:, 12:16] = 1
        fill_specks(image, hole)
        assert (image[10:30, 12:16] == end).all()


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_what_is_known_after_specks_were_filled(channels: int) -> None:
    pixels = np.repeat(smooth(60, 70)[..., :1], channels, 2)
    pixels[..., 3:] = 9
    hole, visible, copyable = np.zeros((60, 70), np.uint8), np.ones((60, 70), np.uint8), np.zeros((60, 70), np.uint8)
    hole[20, 20] = hole[21, 21] = hole[30:50, 30:50] = 1
    visible[hole > 0] = 0
    copyable[:, 5] = 1
    given = Masks(hole.copy(), visible.copy(), copyable.copy())
    image = HostResultImage(np.where(hole[..., None] > 0, np.uint8(0), pixels))
    left = interpolate_specks(image, given)
    assert np.argwhere(left.hole != hole).tolist() == [[20, 20], [21, 21]]
    assert np.argwhere(left.visible != visible).tolist() == [[20, 20], [21, 21]]
    assert np.argwhere(left.copyable != copyable).tolist() == [[20, 20], [21, 21]]
    for before, now in zip((hole, visible, copyable), (given.hole, given.visible, given.copyable), strict=True):
        np.testing.assert_array_equal(before, now)
    filled = image.array.astype(int)
    assert np.abs(filled[20, 20, :3] - pixels[20, 20, :3]).max() <= 2
    assert (filled[20, 20, 3:] == 0).all()  # alpha as it was
    np.testing.assert_array_equal(image.array[hole == 0], pixels[hole == 0])
    assert not filled[30:50, 30:50].any()
    none = interpolate_specks(image, Masks(hole * 0))
    assert (none.visible, none.copyable) == (None, None)
