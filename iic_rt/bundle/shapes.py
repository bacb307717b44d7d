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

__all__ = ["DESCRIPTOR", "FEATURES", "Limits", "RegionShapes", "Shapes", "Span", "loop_shapes", "spans"]

Shapes = Mapping[str, tuple[int, ...]]

DESCRIPTOR = 76  # entries of a patch's descriptor
FEATURES = 16  # channels of the last feature map
REACH = 12  # pixels around a tile that its features depend on
TAPS = PATCH + 2 * BASE_REACH


@dataclass(frozen=True)
class Limits:
    """What a backend gives to a graph at once; larger regions go through in parts, by way of the host.

    Attributes:
        whole_pixels: pixels of a region that goes through at once.
        tile_pixels: pixels of a part of a larger one, in ``features`` and ``to_rgb``.
    """

    whole_pixels: int = 3 << 19
    tile_pixels: int = 1 << 19


@dataclass(frozen=True)
class Span:
    """Patches [start, stop) of one axis go through a graph, of which [first, last) are kept."""

    start: int
    stop: int
    first: int
    last: int

    def at(self, cells: int, margin: int = 0) -> slice:
        """What goes through, where a patch has so many ``cells``, with a margin behind."""
        return slice(self.start * cells, self.stop * cells + margin)

    def to(self, cells: int) -> slice:
        """Where in the whole the kept part belongs."""
        return slice(self.first * cells, self.last * cells)

    def of(self, cells: int) -> slice:
        """Where in the tile the kept part is."""
        return slice((self.first - self.start) * cells, (self.last - self.start) * cells)


def spans(groups: int, p: int, tile_pixels: int) -> list[Span]:
    """Spans of equal length that together keep each of ``groups`` patches of ``p`` pixels once.

    A tile of two spans has ``tile_pixels`` at most. Every span starts at a multiple of 4 pixels, as the strides of the
    encoder do. ``groups`` is even.
    """
    unit = 1 if p % 4 == 0 else 2

    def rounded(patches: float) -> int:
        return unit * math.ceil(patches / unit)

    halo = rounded(REACH / p)
    longest = math.isqrt(tile_pixels) // p
    if longest >= groups:
        return [Span(0, groups, 0, groups)]
    count = math.ceil(groups / max(unit, longest - 2 * halo))
    kept = rounded(groups / count)
    length = min(groups, kept + 2 * halo)
    found = []
    for first in range(0, groups, kept):
        start = min(max(0, first - halo), groups - length)
        found.append(Span(start, start + length, first, min(first + kept, groups)))
    return found


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
        best: patches that ``search`` keeps for each hole patch.
    """

    side: int
    working_size: int
    channels: int = 3
    limits: Limits = field(default_factory=Limits)
    best: int = 1

    @property
    def p(self) -> int:
        return self.side * PATCH // self.working_size

    @property
    def groups(self) -> int:
        return self.working_size // PATCH

    @cached_property
    def spans(self) -> list[Span]:
        """Of the tiles, along either axis."""
        if self.whole:
            return [Span(0, self.groups, 0, self.groups)]
        return spans(self.groups, self.p, self.limits.tile_pixels)

    @property
    def tile(self) -> int:
        """Patches on a side of a tile."""
        return self.spans[0].stop - self.spans[0].start

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
        features = (1, FEATURES, tile // 2, tile // 2)
        found["similarity"] = {"low": loop["low"], "m": loop["m"]}
        found["search"] = {"q": (1, g * g, DESCRIPTOR), "hole": (1, g, g), "weight": (1, g, g)}
        found["features"] = base | {"visible": (tile, tile), "order": order}
        if self.whole:  # in tiles the host does it, since the feature map is there
            sources = {"source": (1, self.best, g, g), "share": (1, self.best, g, g)}
            found["replace"] = {"features": features, "inside": (1, 1, *features[2:])} | sources
        found["to_rgb"] = base | {"mixed": features, "hole": (tile, tile), "order": back, "keep": keep}
        return found
