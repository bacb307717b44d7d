"""Boxes and polygons: checked, cut to the image, drawn into a mask."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from iic_rt.errors import InputError
from iic_rt.video.mask_source import Mask

__all__ = ["LARGEST_COORDINATE", "check_boxes", "check_points", "draw_boxes", "draw_polygon"]

LARGEST_COORDINATE = 1e6  # pixels; beyond it something is wrong, and arithmetic stays exact below it
FRACTION = 8  # bits behind the point of the coordinates that are drawn
Points = NDArray[np.float64]


def _numbers(value: Any, name: str, columns: str, width: int) -> Points:
    """float64 [n, width], finite and within the largest coordinate; n may be 0."""
    try:
        numbers = np.asarray(value, np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"{name} is not a list of {columns} in numbers") from error
    if numbers.size == 0:
        return np.zeros((0, width))
    if numbers.ndim != 2 or numbers.shape[1] != width:
        raise InputError(f"{name} has shape {list(numbers.shape)}; allowed: [n, {width}], each {columns}")
    bad = ~(np.abs(numbers) <= LARGEST_COORDINATE).all(1)  # NaN compares as false
    if bad.any():
        raise InputError(
            f"{name}[{int(np.argmax(bad))}] holds NaN, infinity or a number beyond {LARGEST_COORDINATE:.0f} pixels; "
            "give pixels of the image"
        )
    return numbers


def check_boxes(value: Any, name: str) -> Points:
    """Boxes as float64 [n, 4]: x1, y1, x2, y2 in pixels.

    Raises:
        InputError: not numbers, another shape, NaN or infinity, or corners that are the wrong way round.
    """
    boxes = _numbers(value, name, "[x1, y1, x2, y2]", 4)
    turned = (boxes[:, 2:] < boxes[:, :2]).any(1)
    if turned.any():
        first = int(np.argmax(turned))
        raise InputError(
            f"{name}[{first}] is {boxes[first].tolist()}: x2 or y2 is smaller than x1 or y1. "
            "Give [x1, y1, x2, y2], the corner at the top left first; width and height are no corners"
        )
    return boxes


def check_points(value: Any, name: str) -> Points:
    """The corners of a polygon as float64 [n, 2]: x, y in pixels.

    Raises:
        InputError: not numbers, another shape, or NaN or infinity.
    """
    return _numbers(value, name, "[x, y]", 2)


def draw_boxes(mask: Mask, boxes: Points) -> None:
    """Fills boxes [n, 4] into a mask: every pixel that a box touches."""
    height, width = mask.shape
    start = np.clip(np.floor(boxes[:, :2]), 0, (width, height)).astype(int)
    stop = np.clip(np.ceil(boxes[:, 2:]), 0, (width, height)).astype(int)
    for (left, top), (right, bottom) in zip(start, stop, strict=True):
        mask[top:bottom, left:right] = 255


def draw_polygon(mask: Mask, points: Points) -> None:
    """Fills a polygon [n, 2] into a mask, its outline included; n is 3 or more."""
    height, width = mask.shape
    # Cut two pixels outside the image, so that the edges which the cut makes are not seen.
    for axis, low, high in ((0, -2.0, width + 1.0), (1, -2.0, height + 1.0)):
        points = _cut(points, axis, low, 1)
        points = _cut(points, axis, high, -1)
    if len(points):
        cv2.fillPoly(mask, [np.rint(points * 2**FRACTION).astype(np.int32)], 255, shift=FRACTION)


def _cut(points: Points, axis: int, limit: float, side: int) -> Points:
    """What of a polygon lies on one side of a line (Sutherland and Hodgman)."""
    distance = (points[:, axis] - limit) * side
    if (distance >= 0).all():
        return points
    kept = []
    for i in range(len(points)):
        before, here = distance[i - 1], distance[i]
        if (before < 0) != (here < 0):
            share = before / (before - here)
            kept.append(points[i - 1] + share * (points[i] - points[i - 1]))
        if here >= 0:
            kept.append(points[i])
    return np.array(kept).reshape(-1, 2)
