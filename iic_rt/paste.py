"""Writing a filled crop back into the picture; only hole pixels are ever written."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from iic_rt.loop import State
from iic_rt.reference import GROUP
from iic_rt.regions import Box, Region

__all__ = ["lead_in", "paste"]

BAND = 256  # rows written at a time: the memory does not depend on the size of the hole
CUBIC_REACH = 2  # working pixels around the box that the enlargement reads


def paste(
    image: NDArray[np.uint8],
    confidence: NDArray[np.float32],
    hole_left: NDArray[np.uint8],
    hole: NDArray[np.uint8],
    region: Region,
    state: State,
    *,
    feather: float,
    detail: NDArray[np.uint8] | None = None,
    hidden: NDArray[np.uint8] | None = None,
) -> None:
    """Writes ``state`` into the hole pixels of the region's box, in place.

    Args:
        image: uint8 [H, W, 3].
        confidence: float32 [H, W].
        hole_left: uint8 [H, W].
        hole: uint8 [H, W] in {0, 1}.
        region: the window the state was made in.
        state: the loop's result at working resolution.
        feather: width of the feather inside the hole, in working pixels.
        detail: uint8 [S, S, 3], the window upsampled, in place of the state's enlarged picture.
        hidden: uint8 [H, W] in {0, 1}, known pixels that the border must not be led to.
    """
    window = _Window(region, state.m.shape[0])
    box, width = region.box, round(feather * region.side / state.m.shape[0])
    for top in range(box.top, box.bottom, BAND):
        band = Box(top, box.left, min(top + BAND, box.bottom), box.right)
        around = band.grown(width + 1, *hole.shape)
        rows, columns = around.slices
        inside = hole[rows, columns] > 0
        own = np.zeros_like(inside)  # another region's hole may begin within the feather's reach
        part = band.moved(-around.top, -around.left).slices
        own[part] = inside[part]
        if not own.any():
            continue
        if detail is None:
            enlarged = window.enlarge(np.moveaxis(state.y, 0, 2), around.slices, cv2.INTER_CUBIC)
            filled = np.asarray(enlarged * 127.5 + 127.5, np.float32)
        else:
            filled = detail[window.part(around.slices)].astype(np.float32)
        if width:
            known = ~inside if hidden is None else ~inside & (hidden[rows, columns] == 0)
            # Pixels in another region's box are not this region's: what stands there is no result.
            mine = np.zeros_like(inside)
            mine[:, part[1]] = inside[:, part[1]]
            mine[: max(0, box.top - around.top)] = False
            mine[box.bottom - around.top :] = False
            filled = lead_in(filled, image[rows, columns], mine, known, width)
        image[rows, columns][own] = np.clip(np.rint(filled[own]), 0, 255).astype(np.uint8)
        # Bilinear weights are a convex combination, so the confidence stays in [0, 1].
        confidence[rows, columns][own] = window.enlarge(state.c, around.slices, cv2.INTER_LINEAR)[own]
        hole_left[rows, columns][own] = window.enlarge(state.m, around.slices, cv2.INTER_NEAREST)[own] > 0


def lead_in(
    filled: NDArray[np.float32],
    image: NDArray[np.uint8],
    inside: NDArray[np.bool_],
    known: NDArray[np.bool_],
    width: int,
) -> NDArray[np.float32]:
    """Leads the mean of the filled pixels next to the border to that of the known pixels beside them.

    The means alone are moved: the detail of what was filled stays.

    Args:
        filled: float32 [h, w, 3] in [0, 255].
        image: uint8 [h, w, 3], the picture; read where known.
        inside: bool [h, w], the hole.
        known: bool [h, w].
        width: pixels from the border over which the influence falls linearly to zero.
    """
    if not known.any():
        return filled
    means = []
    near = np.ones(inside.shape, np.bool_)
    for values, where in ((filled, inside), (image, known)):
        share = where.astype(np.float32)
        weight = _blur(share, width)
        means.append(_blur(values * share[..., None], width) / np.maximum(weight, 1e-6)[..., None])
        near &= weight > 1e-6
    distance = cv2.distanceTransform((~known).astype(np.uint8), cv2.DIST_L2, 3)
    strength = np.clip(1 - distance / (width + 1), 0, 1) * near
    return np.asarray(filled + strength[..., None] * (means[1] - means[0]), np.float32)


def _blur(values: NDArray[np.float32], width: int) -> NDArray[np.float32]:
    """A tent of ``width`` pixels to either side, as two boxes: its cost does not depend on the width."""
    side = 2 * max(1, width // 2) + 1
    for _ in range(2):
        values = np.asarray(cv2.blur(values, (side, side), borderType=cv2.BORDER_REPLICATE), np.float32)
    return values


class _Window:
    """Maps a part of the picture to the working pixels under it."""

    def __init__(self, region: Region, size: int) -> None:
        self._region, self._size = region, size
        self._unit = region.side * GROUP // size  # picture pixels that make GROUP working pixels

    def enlarge(self, values: NDArray[np.float32], part: tuple[slice, slice], interpolation: int) -> NDArray[Any]:
        """``values`` [s, s, ...] at picture resolution over ``part`` of the picture.

        Only whole groups around the part are enlarged: their borders fall on pixel borders in both resolutions, so
        the result is the one that enlarging the whole window would give.
        """
        if self._unit == GROUP:
            return values[self.part(part)]
        (y0, y1), (x0, x1) = self._groups(part[0], self._region.top), self._groups(part[1], self._region.left)
        source = values[y0 * GROUP : y1 * GROUP, x0 * GROUP : x1 * GROUP]
        size = ((x1 - x0) * self._unit, (y1 - y0) * self._unit)
        large = cv2.resize(np.ascontiguousarray(source), size, interpolation=interpolation)
        top, left = self._region.top + y0 * self._unit, self._region.left + x0 * self._unit
        return np.asarray(large[self._rows(part[0], top), self._rows(part[1], left)])

    def part(self, part: tuple[slice, slice]) -> tuple[slice, slice]:
        """``part`` of the picture in pixels of the window."""
        return self._rows(part[0], self._region.top), self._rows(part[1], self._region.left)

    @staticmethod
    def _rows(part: slice, start: int) -> slice:
        return slice(part.start - start, part.stop - start)

    def _groups(self, part: slice, start: int) -> tuple[int, int]:
        reach = -(-CUBIC_REACH // GROUP)
        low = (part.start - start) // self._unit - reach
        high = -(-(part.stop - start) // self._unit) + reach
        return max(0, low), min(self._size // GROUP, high)
