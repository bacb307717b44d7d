"""Boxes of pixels, and the sides that regions may have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Box", "bounding_box", "ladder_side"]


@dataclass(frozen=True)
class Box:
    """Pixels [top, bottom) x [left, right)."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def longest(self) -> int:
        return max(self.bottom - self.top, self.right - self.left)

    def union(self, other: Box) -> Box:
        return Box(
            min(self.top, other.top),
            min(self.left, other.left),
            max(self.bottom, other.bottom),
            max(self.right, other.right),
        )

    def meets(self, other: Box) -> bool:
        return (
            self.top < other.bottom and other.top < self.bottom and self.left < other.right and other.left < self.right
        )

    def grown(self, margin: int, height: int, width: int) -> Box:
        """The box with a margin, inside an image of the given size."""
        return Box(self.top - margin, self.left - margin, self.bottom + margin, self.right + margin).inside(
            height, width
        )

    def inside(self, height: int, width: int) -> Box:
        """What of the box is inside an image of the given size."""
        return Box(max(0, self.top), max(0, self.left), min(height, self.bottom), min(width, self.right))

    def moved(self, rows: int, columns: int) -> Box:
        """The box so many pixels further down and to the right."""
        return Box(self.top + rows, self.left + columns, self.bottom + rows, self.right + columns)

    @property
    def slices(self) -> tuple[slice, slice]:
        return slice(self.top, self.bottom), slice(self.left, self.right)


def bounding_box(mask: NDArray[Any]) -> Box:
    """Bounding box of the nonzero pixels of a mask that has some."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return Box(int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1)


def ladder_side(pixels: float, working_size: int) -> int:
    """The smallest allowed side that holds ``pixels``: working_size / 4 times 4, 6, 8, 10, 12, 14, then the doubles.

    Few sides, so that static engines and captured graphs can be kept for each; all of them shrink exactly to the
    working size with the weights of ``reference.area_weights``, and a patch has an even number of pixels.
    """
    quarter = working_size // 4
    octave = 1
    while True:
        for step in (4, 5, 6, 7):
            if octave * step % 2 == 0 and quarter * octave * step >= pixels:
                return quarter * octave * step
        octave *= 2
