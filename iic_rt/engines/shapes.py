"""Which engines a region needs."""

from __future__ import annotations

from iic_rt.bundle.manifest import Bundle
from iic_rt.bundle.shapes import Limits, RegionShapes, Shapes

__all__ = ["CHANNELS", "graph_shapes"]

CHANNELS = (1, 3, 4)  # of images: grey, colour, colour with alpha


def graph_shapes(
    bundle: Bundle, side: int, working_size: int, limits: Limits, channels: tuple[int, ...] = CHANNELS
) -> list[tuple[str, Shapes]]:
    """Every graph, with the shapes of its inputs, that filling a region takes; each pair once.

    Args:
        bundle: at the precision of the engines.
        side: of the region in pixels, a side of the ladder.
        working_size: side in pixels the loop runs at.
        limits: of the backend that will run the engines.
        channels: of the images, of ``CHANNELS``.
    """
    found: list[tuple[str, Shapes]] = []
    for count in channels:
        pairs = RegionShapes(side, working_size, count, limits).inputs().items()
        found += [pair for pair in pairs if pair not in found]
    return found
