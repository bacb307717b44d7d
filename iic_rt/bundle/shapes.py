"""The shapes that every graph is given: a function of a region's side, the loop's, and what the backend can hold.

The runtime allocates by it and engines are built by it, so that they cannot differ. Letters: S is the side of the
region, s that of the loop, C the channels of the image, p the side of a patch in pixels of the region, g = s / 4 the
patches on a side, N = g * g.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from iic_rt.resampling import BASE_REACH, PATCH

__all__ = ["DESCRIPTOR", "WORKING_SIZES", "Limits", "RegionShapes", "Shapes", "loop_shapes", "spans"]

Shapes = Mapping[str, tuple[int, ...]]

WORKING_SIZES = range(64, 1025, 32)  # sides in pixels that the loop may run at
DESCRIPTOR = 76  # entries of a patch's descriptor
TAPS = PATCH + 2 * BASE_REACH


@dataclass(frozen=True)
class Limits:
    """What a backend gives to a graph at once; larger regions go through in parts, by way of the host.

    Attributes:
        whole_pixels: pixels of a region that goes through at once.
        tile_pixels: pixels of a part of a larger one, in ``detail`` and ``add_detail``.
    """

    whole_pixels: int = 3 << 19
    tile_pixels: int = 1 << 19


def spans(groups: int, p: int, tile_pixels: int) -> list[slice]:
    """Spans of equal length that together cover ``groups`` patches of ``p`` pixels; the last ones may overlap.

    A tile of two spans has ``tile_pixels`` at most, or is a patch.
    """
    longest = min(groups, max(1, math.isqrt(tile_pixels) // p))
    length = math.ceil(groups / math.ceil(groups / longest))
    starts = (min(first, groups - length) for first in range(0, groups, length))
    return [slice(start, start + length) for start in starts]


def loop_shapes(working_size: int) -> dict[str, tuple[int, ...]]:
    """The tensors of ``step`` and ``seam``."""
    s, padded = working_size, working_size + 2 * BASE_REACH
    return {"y": (1, 3, s, s), "m": (1, 1, s, s), "c": (1, 1, s, s), "first": (1,), "low": (1, 3, padded, padded)}


@dataclass(frozen=True)
class RegionShapes:
    """What a region of ``side`` pixels takes.

    Attributes:
        side: S, of the ladder.
        working_size: s.
        channels: C of the image, 1, 3 or 4.
        limits: of the backend.
    """

    side: int
    working_size: int
    channels: int = 3
    limits: Limits = field(default_factory=Limits)

    @property
    def p(self) -> int:
        return self.side * PATCH // self.working_size

    @property
    def groups(self) -> int:
        return self.working_size // PATCH

    @cached_property
    def spans(self) -> list[slice]:
        """Patches of the tiles, along either axis."""
        if self.whole:
            return [slice(0, self.groups)]
        return spans(self.groups, self.p, self.limits.tile_pixels)

    @property
    def tile(self) -> int:
        """Patches on a side of a tile."""
        return len(range(self.groups)[self.spans[0]])

    @property
    def whole(self) -> bool:
        """The region goes through every graph at once; otherwise in tiles, by way of the host."""
        return self.side**2 <= self.limits.whole_pixels

    def inputs(self, *, upsample: bool = True) -> dict[str, Shapes]:
        """Shapes of the inputs of every graph that filling the region runs, ``seam`` and ``step`` among them."""
        s, side, c, g, p = self.working_size, self.side, self.channels, self.groups, self.p
        loop = loop_shapes(s)
        order, back, keep = (3, c), (c, 3), (c, 1, 1)
        step = {name: loop[name] for name in ("y", "m", "c", "first")}
        found: dict[str, Shapes] = {
            "prepare": {"image": (side, side, c), "visible": (side, side), "weights": (PATCH, p), "order": order},
            "step": step,
            "seam": {"y": loop["y"], "m": loop["m"]},
        }
        weights = (p, TAPS)
        composite = {"low": loop["low"], "weights": weights, "image": (side, side, c), "hole": (side, side)}
        found["composite"] = composite | {"order": back, "keep": keep}
        if not upsample:
            return found
        tile, low = self.tile * p, self.tile * PATCH + 2 * BASE_REACH
        base = {"low": (1, 3, low, low), "weights": weights, "image": (tile, tile, c)}
        detail = (1, 3, tile, tile)
        result = {"low": loop["low"], "m": loop["m"]}
        found["similarity"] = result
        found["search"] = {"q": (1, g * g, DESCRIPTOR), "hole": (1, g, g), "weight": (1, g, g)}
        copied = {"offset": (1, 1, 2, g, g), "share": (1, 1, g, g)}
        found["refine"] = result | {"valid": (1, s, s)} | copied
        found["detail"] = base | {"visible": (tile, tile), "order": order}
        if self.whole:  # in tiles the host does it, since the detail is there
            found["replace"] = {"detail": detail, "inside": (1, 1, tile, tile)} | copied
        found["add_detail"] = base | {"mixed": detail, "hole": (tile, tile), "order": back, "keep": keep}
        return found
