from __future__ import annotations

import cv2
import numpy as np
import pytest

from iic_rt.errors import InputError
from iic_rt.video.shapes import check_boxes, check_points, draw_boxes, draw_polygon


def drawn_box(*corners: float) -> np.ndarray:
    mask = np.zeros((10, 12), np.uint8)
    draw_boxes(mask, check_boxes([list(corners)], "boxes"))
    return mask


def test_a_box_takes_every_pixel_it_touches() -> None:
    mask = drawn_box(2.5, 3, 4.1, 6)
    assert (mask[3:6, 2:5] == 255).all()
    assert np.count_nonzero(mask) == 9


def test_boxes_are_cut_to_the_image() -> None:
    assert drawn_box(-1e6, -5, 1e6, 1e5).all()
    for outside in ((-9, 0, -3, 5), (12, 0, 20, 5), (3, -4, 5, 0), (3, 3, 3, 3)):
        assert not drawn_box(*outside).any()


def test_polygons_are_cut_to_the_image(rng: np.random.Generator) -> None:
    """Against the same polygon in an image so large that nothing is cut."""
    for _ in range(60):
        points = rng.integers(-40, 60, (rng.integers(3, 8), 2)).astype(np.float64)
        mask = np.zeros((16, 20), np.uint8)
        draw_polygon(mask, points)
        large = np.zeros((128, 128), np.uint8)
        draw_polygon(large, points + 50)
        same = large[50:66, 50:70]
        near = cv2.dilate(large, np.ones((3, 3), np.uint8))[50:66, 50:70]
        inner = cv2.erode(large, np.ones((3, 3), np.uint8))[50:66, 50:70]
        # A cut edge starts at a fraction of a pixel, so its outline may run one pixel beside.
        assert not (mask & ~near).any()
        assert not (inner & ~mask).any()
        assert np.count_nonzero(mask != same) <= 24


def test_a_polygon_far_larger_than_the_image_covers_it() -> None:
    mask = np.zeros((16, 20), np.uint8)
    draw_polygon(mask, np.array([[-1e6, -1e6], [1e6, -1e6], [1e6, 1e6], [-1e6, 1e6]]))
    assert mask.all()


def test_a_polygon_outside_marks_nothing() -> None:
    mask = np.zeros((16, 20), np.uint8)
    draw_polygon(mask, np.array([[30.0, 2], [40, 2], [35, 9]]))
    assert not mask.any()


@pytest.mark.parametrize(
    ("boxes", "text"),
    [
        ([[1, 2, 3]], r"shape \[1, 3\]"),
        ([1, 2, 3, 4], r"shape \[4\]"),
        ([[1, 2, 3, 4], [1, 2, float("nan"), 4]], r"boxes\[1\] holds NaN"),
        ([[1, 2, 3, 10**400]], "numbers"),
        ([[1, 2, 3, 2e6]], r"boxes\[0\] holds"),
        ([[5, 2, 3, 4]], "x2 or y2 is smaller"),
        ([["a", 2, 3, 4]], "numbers"),
        ([[1, 2, 3, 4], [1]], "numbers"),
    ],
)
def test_wrong_boxes_are_named(boxes: list[object], text: str) -> None:
    with pytest.raises(InputError, match=text):
        check_boxes(boxes, "boxes")


def test_no_boxes_and_no_points() -> None:
    assert check_boxes([], "boxes").shape == (0, 4)
    assert check_points(np.zeros((0, 2)), "points").shape == (0, 2)
