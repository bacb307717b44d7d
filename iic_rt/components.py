"""Parts of a mask that hang together, found on a smaller copy of it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from iic_rt.geometry import Box

__all__ = ["MOST_COMPONENTS", "Component", "find_components", "shrink"]

Pixels = NDArray[np.uint8]

MOST_COMPONENTS = 32  # more are grouped: specks of a noisy mask must not cost a region each
MOST_CELLS = 1 << 18  # of the smaller copy
LARGEST_CELL = 16  # pixels on a side; the mean of more would round one pixel of a mask to nothing


@dataclass(frozen=True)
class Component:
    """A part of a mask, or several that are near each other.

    Attributes:
        box: the smallest that holds it.
        mask: uint8 [h, w] in {0, 1} in the box: its own pixels, without those of another component.
    """

    box: Box
    mask: Pixels


def shrink(mask: Pixels, most_cells: int = MOST_CELLS) -> tuple[Pixels, int]:
    """A smaller copy of a mask in {0, 1}, a cell of which is 1 as soon as one pixel of it is; and a cell's side."""
    height, width = mask.shape
    cell = 1
    while cell < LARGEST_CELL and height * width > most_cells * cell * cell:
        cell *= 2
    if cell == 1:
        return mask, 1
    rows, columns = -(-height // cell), -(-width // cell)
    padded = cv2.copyMakeBorder(mask, 0, rows * cell - height, 0, columns * cell - width, cv2.BORDER_CONSTANT, value=0)
    mean = cv2.resize(np.asarray(padded * 255, np.uint8), (columns, rows), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.threshold(mean, 0, 1, cv2.THRESH_BINARY)[1], np.uint8), cell


def find_components(mask: Pixels) -> list[Component]:
    """The components of a mask, ``MOST_COMPONENTS`` at most; parts within a few pixels of each other count as one.

    Args:
        mask: uint8 [H, W] in {0, 1}, C-contiguous.
    """
    left, top, width, height = cv2.boundingRect(mask)
    if width == 0:
        return []
    part = mask[top : top + height, left : left + width]
    coarse, cell = shrink(np.ascontiguousarray(part))
    reach, grouped = 0, coarse
    while True:
        count, labels, stats, _ = cv2.connectedComponentsWithStats(grouped, connectivity=8)
        if count - 1 <= MOST_COMPONENTS:
            break
        reach = max(1, 2 * reach)
        grouped = np.asarray(cv2.dilate(coarse, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)), np.uint8)
    found = []
    for label in range(1, count):
        x, y, w, h = (int(n) for n in stats[label, :4])
        own = np.asarray(labels[y : y + h, x : x + w] == label, np.uint8)
        pixels = part[y * cell : (y + h) * cell, x * cell : (x + w) * cell]
        if cell > 1:
            own = np.repeat(np.repeat(own, cell, 0), cell, 1)
        own = own[: pixels.shape[0], : pixels.shape[1]] & pixels
        inner_x, inner_y, inner_w, inner_h = cv2.boundingRect(own)
        box = Box(0, 0, inner_h, inner_w).moved(top + y * cell + inner_y, left + x * cell + inner_x)
        found.append(
            Component(box, np.ascontiguousarray(own[inner_y : inner_y + inner_h, inner_x : inner_x + inner_w]))
        )
    return found
