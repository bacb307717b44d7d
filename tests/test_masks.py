"""The hole is grown beyond the mask, and what is known beyond it stays."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from iic_rt import Inpainter, InpaintOptions
from iic_rt.errors import InputError
from iic_rt.masks import AUTO_MOST, grow_hole


def disc(side: int, radius: int) -> np.ndarray:
    hole = np.zeros((side, side), np.uint8)
    cv2.circle(hole, (side // 2, side // 2), radius, 1, -1)
    return hole


def radius_of(hole: np.ndarray) -> float:
    return float(np.sqrt(hole.sum() / np.pi))


@pytest.mark.parametrize("grow", [1, 3, 20])
def test_by_so_many_pixels(grow: int) -> None:
    hole = disc(160, 30)
    grown = grow_hole(hole, grow)
    assert radius_of(grown) == pytest.approx(radius_of(hole) + grow, abs=0.6)
    assert (grown >= hole).all()
    assert grow_hole(hole, 0) is hole


def test_auto_goes_by_the_size_of_each_object() -> None:
    hole = np.zeros((900, 900), np.uint8)
    hole[100:105, 100:105] = 1  # dust
    hole[100:200, 300:400] = 1
    hole[300:880, 100:880] = 1
    grown = grow_hole(hole, "auto")
    assert grown[90:120, 90:120].sum() == 25
    assert grown[150, 290:300].sum() == 3
    assert grown[600, 80:100].sum() == AUTO_MOST
    assert (grow_hole(hole[:, ::-1].copy(), "auto") == grown[:, ::-1]).all()


def test_at_the_border_and_where_nothing_would_be_left() -> None:
    hole = np.zeros((20, 20), np.uint8)
    hole[:, :18] = 1
    assert grow_hole(hole, 1)[:, :19].all()
    assert (grow_hole(hole, 5) == hole).all()
    empty = np.zeros((5, 5), np.uint8)
    assert grow_hole(empty, 3) is empty


@pytest.mark.parametrize("grow", [-1, 65, 1.5, True, "some"])
def test_wrong_values(grow: object) -> None:
    with pytest.raises(InputError, match="whole pixels from 0 to 64, or 'auto'"):
        InpaintOptions(grow=grow)  # type: ignore[arg-type]


@pytest.mark.parametrize("grow", [0, 4, "auto"])
def test_known_pixels_outside_the_grown_hole_stay(grow: object) -> None:
    image = np.random.default_rng(0).integers(0, 256, (280, 300, 3), np.uint8)
    hole = np.zeros((280, 300), np.uint8)
    hole[100:180, 120:220] = 255
    with Inpainter(backend="onnxruntime") as inpainter:
        result = inpainter.inpaint(image, hole, options=InpaintOptions(grow=grow, iterations=1))  # type: ignore[arg-type]
    assert result.hole.sum() == grow_hole(hole // 255, grow).sum()  # type: ignore[arg-type]
    np.testing.assert_array_equal(result.image[result.hole == 0], image[result.hole == 0])
    assert (result.image[result.hole > 0] != image[result.hole > 0]).any()
