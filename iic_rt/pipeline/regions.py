"""Which square regions of an image the holes are filled in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from iic_rt.components import find_components, shrink
from iic_rt.geometry import Box, ladder_side
from iic_rt.masks import Masks

__all__ = ["Region", "crop", "crop_masks", "find_regions"]

Pixels = NDArray[np.uint8]

MAX_REGIONS = 128  # beyond so many parts in all, long holes stay whole: parts near each other still share a region
MAX_PARTS = 16  # parts that one long, thin hole is cut into at most: each costs a region
THICK = 4  # a hole longer than this many times its own thickness is cut: a wire needs the context of its width
MIN_COPYABLE = 0.1  # least share of a region that may be copied, where the caller avoids a part of the image
MIN_CONTEXT = 1.25  # a square region is never tighter around its hole than this, even at the image's border


@dataclass(frozen=True)
class Region:
    """A square window of ``side`` pixels around ``box``, the holes it fills; it may stick out of the image."""

    top: int
    left: int
    side: int
    box: Box

    @property
    def window(self) -> Box:
        return Box(self.top, self.left, self.top + self.side, self.left + self.side)

    @property
    def box_inside(self) -> Box:
        """The box in pixels of the window."""
        return self.box.moved(-self.top, -self.left)


def find_regions(masks: Masks, *, working_size: int, context: float) -> list[Region]:
    """Regions that together fill every hole; their boxes do not overlap.

    Args:
        masks: of the image.
        working_size: side in pixels the network works at; a region is never smaller.
        context: wanted side of a region as a multiple of the longer side of its box.
    """
    height, width = masks.hole.shape
    short = min(height, width)

    def side(box: Box) -> int:
        wanted = min(context * box.longest, max(short, MIN_CONTEXT * box.longest))
        return ladder_side(max(wanted, working_size), working_size)

    boxes = [component.box for component in find_components(masks.hole)]
    parts = [part for box in boxes for part in cut(box, masks.hole, working_size / context)]
    boxes = merge(parts if len(parts) <= MAX_REGIONS else boxes, side)
    regions = [place(box, side(box), height, width) for box in boxes]
    copyable = masks.visible if masks.copyable is None else masks.copyable
    if copyable is None:
        return regions
    return [reach(region, copyable, working_size) for region in regions]


def reach(region: Region, copyable: Pixels, working_size: int) -> Region:
    """The region, or the next larger one on the ladder that has copyable pixels enough to fill from.

    Args:
        region: as its hole alone would have it.
        copyable: uint8 [H, W] in {0, 1} with at least one 1.
        working_size: of the ladder.
    """
    height, width = copyable.shape
    total = cv2.countNonZero(copyable)
    while True:
        seen = np.count_nonzero(copyable[region.window.inside(height, width).slices])
        if seen == total or seen >= MIN_COPYABLE * region.side**2:
            return region
        region = place(region.box, ladder_side(region.side + 1, working_size), height, width)


def tight(box: Box, hole: Pixels) -> Box | None:
    """The smallest box around the hole in a box, or None where there is none."""
    left, top, width, height = cv2.boundingRect(hole[box.slices])
    return Box(0, 0, height, width).moved(box.top + top, box.left + left) if width else None


def cut(box: Box, hole: Pixels, shortest: float) -> list[Box]:
    """Halves a box until no part is much longer than the hole in it is thick; parts of ``shortest`` stay whole.

    One region around a wire across a large image would shrink the wire and everything near it to a blur.
    """
    if box.longest <= shortest:
        return [box]
    small, cell = shrink(np.ascontiguousarray(hole[box.slices]))
    thickness = 2 * cell * float(cv2.distanceTransform(np.pad(small, 1), cv2.DIST_L2, cv2.DIST_MASK_3).max())
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
        parts += [found for half in halves if (found := tight(half, hole)) is not None]
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
    """Centres the window on the box and moves it inside the image where it fits."""

    def start(low: int, high: int, size: int) -> int:
        if side >= size:
            return (size - side) // 2
        return min(max((low + high - side) // 2, 0), size - side)

    return Region(start(box.top, box.bottom, height), start(box.left, box.right, width), side, box)


def crop(array: Pixels, region: Region) -> Pixels:
    """The window's pixels [side, side, ...]; what sticks out of the image is its mirror image."""
    height, width = array.shape[:2]
    window, inside = region.window, region.window.inside(height, width)
    part = array[inside.slices]
    margins = (
        inside.top - window.top,
        window.bottom - inside.bottom,
        inside.left - window.left,
        window.right - inside.right,
    )
    if not any(margins):
        return part
    mirrored = np.asarray(cv2.copyMakeBorder(part, *margins, cv2.BORDER_REFLECT_101), np.uint8)
    return mirrored.reshape(region.side, region.side, *array.shape[2:])  # OpenCV drops an axis of one channel


def crop_masks(masks: Masks, left: Pixels, region: Region) -> Masks:
    """The three masks in a window, none of them None.

    Args:
        masks: of the image.
        left: uint8 [H, W] in {0, 1}, hole pixels that are not filled yet; those of other regions are not visible.
        region: whose own hole, that in its box, is to be filled.
    """
    unfilled = crop(left, region)
    hole = np.zeros((region.side, region.side), np.uint8)
    box = region.box_inside.slices
    hole[box] = unfilled[box]
    filled = crop(masks.hole, region) - unfilled
    visible = 1 - unfilled if masks.visible is None else crop(masks.visible, region) | filled
    copyable = visible if masks.copyable is None else crop(masks.copyable, region) | filled
    return Masks(hole, visible, copyable)
