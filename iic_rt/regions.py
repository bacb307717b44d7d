"""Which square crops of a picture the holes are filled in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["Box", "Region", "crop", "find_regions", "ladder_side"]

MAX_BOXES = 32  # more components are grouped first: specks of a noisy mask must not cost a region each
MAX_REGIONS = 128  # beyond so many parts in all, long holes stay whole: parts near each other still share a region
MAX_PARTS = 16  # parts that one long, thin hole is cut into at most: each costs a region
THICK = 4  # a hole longer than this many times its own thickness is cut: a wire needs the context of its width
MIN_OPEN = 0.1  # least share of a region that may be copied, where the caller bars a part of the picture
MIN_CONTEXT = 1.25  # a square region is never tighter around its hole than this, even at the picture's border


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
        """The box with a margin, inside a picture of the given size."""
        return Box(self.top - margin, self.left - margin, self.bottom + margin, self.right + margin).inside(
            height, width
        )

    def inside(self, height: int, width: int) -> Box:
        """What of the box is inside a picture of the given size."""
        return Box(max(0, self.top), max(0, self.left), min(height, self.bottom), min(width, self.right))

    def moved(self, rows: int, columns: int) -> Box:
        """The box so many pixels further down and to the right."""
        return Box(self.top + rows, self.left + columns, self.bottom + rows, self.right + columns)

    @property
    def slices(self) -> tuple[slice, slice]:
        return slice(self.top, self.bottom), slice(self.left, self.right)


@dataclass(frozen=True)
class Region:
    """A square window of ``side`` pixels around ``box``, the holes it fills; it may stick out of the picture."""

    top: int
    left: int
    side: int
    box: Box


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


def find_regions(
    hole: NDArray[np.uint8], *, working_size: int, context: float, closed: NDArray[np.uint8] | None = None
) -> list[Region]:
    """Regions that together fill every hole; their boxes do not overlap.

    Args:
        hole: uint8 [H, W] in {0, 1}.
        working_size: side in pixels the network works at; a region is never smaller.
        context: wanted side of a region as a multiple of the longer side of its box.
        closed: uint8 [H, W] in {0, 1}, known pixels that must not be copied; a region is enlarged until it has others
            in it.
    """
    height, width = hole.shape
    short = min(height, width)

    def side(box: Box) -> int:
        wanted = min(context * box.longest, max(short, MIN_CONTEXT * box.longest))
        return ladder_side(max(wanted, working_size), working_size)

    boxes = component_boxes(hole)
    parts = [part for box in boxes for part in cut(box, hole, working_size / context)]
    boxes = merge(parts if len(parts) <= MAX_REGIONS else boxes, side)
    regions = [place(box, side(box), height, width) for box in boxes]
    if closed is None:
        return regions
    open_ = 1 - (closed | hole)
    return [reach(region, open_, working_size) for region in regions]


def reach(region: Region, open_: NDArray[np.uint8], working_size: int) -> Region:
    """The region, or the next larger one on the ladder that has open pixels enough to fill from.

    Args:
        region: as its hole alone would have it.
        open_: uint8 [H, W] in {0, 1} with at least one 1, pixels that may be copied.
        working_size: of the ladder.
    """
    height, width = open_.shape
    total = int(np.count_nonzero(open_))
    while True:
        seen = np.count_nonzero(inside(open_, region))
        if seen == total or seen >= MIN_OPEN * region.side**2:
            return region
        region = place(region.box, ladder_side(region.side + 1, working_size), height, width)


def inside(array: NDArray[np.uint8], region: Region) -> NDArray[np.uint8]:
    """The part of the picture's pixels under the window."""
    top, left = max(0, region.top), max(0, region.left)
    return array[top : region.top + region.side, left : region.left + region.side]


def component_boxes(hole: NDArray[np.uint8]) -> list[Box]:
    """Bounding boxes of the connected components, near ones grouped while there are too many."""
    reach, grouped = 1, hole
    while True:
        count, labels, stats, _ = cv2.connectedComponentsWithStats(grouped, connectivity=8)
        if count - 1 <= MAX_BOXES:
            break
        reach *= 2
        kernel = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
        grouped = np.asarray(cv2.dilate(hole, kernel), np.uint8)
    if reach == 1:
        return [Box(int(y), int(x), int(y + h), int(x + w)) for x, y, w, h, _area in stats[1:]]
    return [bounding_box((labels == i) & (hole > 0)) for i in range(1, count)]


def bounding_box(mask: NDArray[Any]) -> Box:
    """Bounding box of the nonzero pixels of a mask that has some."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return Box(int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1)


def cut(box: Box, hole: NDArray[np.uint8], shortest: float) -> list[Box]:
    """Halves a box until no part is much longer than the hole in it is thick; parts of ``shortest`` stay whole.

    One region around a wire across a large picture would shrink the wire and everything near it to a blur.
    """
    padded = np.pad(hole[box.slices], 1)
    thickness = 2 * float(cv2.distanceTransform(padded, cv2.DIST_L2, cv2.DIST_MASK_3).max())
    longest = max(shortest, THICK * thickness, box.longest / MAX_PARTS)
    parts, done = [box], []
    while parts:
        part = parts.pop()
        if part.longest <= longest:
            done.append(part)
            continue
        height, width = part.bottom - part.top, part.right - part.left
        middle = part.top + height // 2 if height >= width else part.left + width // 2
        if height >= width:
            halves = Box(part.top, part.left, middle, part.right), Box(middle, part.left, part.bottom, part.right)
        else:
            halves = Box(part.top, part.left, part.bottom, middle), Box(part.top, middle, part.bottom, part.right)
        for half in halves:
            if hole[half.slices].any():
                tight = bounding_box(hole[half.slices])
                parts.append(tight.moved(half.top, half.left))
    return done


def merge(boxes: list[Box], side: Callable[[Box], int]) -> list[Box]:
    """Joins boxes that overlap, and boxes that fit one region without making it larger."""
    boxes = list(boxes)
    i = 0
    while i < len(boxes):
        for j in range(len(boxes)):
            if j == i:
                continue
            union = boxes[i].union(boxes[j])
            if boxes[i].meets(boxes[j]) or side(union) <= max(side(boxes[i]), side(boxes[j])):
                boxes = [box for k, box in enumerate(boxes) if k not in (i, j)] + [union]
                i = -1  # the union may now reach a box that was passed over
                break
        i += 1
    return boxes


def place(box: Box, side: int, height: int, width: int) -> Region:
    """Centres the window on the box and moves it inside the picture where it fits."""

    def start(low: int, high: int, size: int) -> int:
        if side >= size:
            return (size - side) // 2
        return min(max((low + high - side) // 2, 0), size - side)

    return Region(start(box.top, box.bottom, height), start(box.left, box.right, width), side, box)


def crop(array: NDArray[np.uint8], region: Region) -> NDArray[np.uint8]:
    """The window's pixels [side, side, ...]; what sticks out of the picture is its mirror image."""
    height, width = array.shape[:2]
    bottom, right = region.top + region.side, region.left + region.side
    part = inside(array, region)
    margins = max(0, -region.top), max(0, bottom - height), max(0, -region.left), max(0, right - width)
    if not any(margins):
        return part
    return np.asarray(cv2.copyMakeBorder(part, *margins, cv2.BORDER_REFLECT_101), np.uint8)
