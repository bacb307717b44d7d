"""Which engines a region needs."""

from __future__ import annotations

from iic_rt.bundle.manifest import Bundle
from iic_rt.bundle.shapes import Limits, RegionShapes, Shapes

__all__ = ["graph_shapes"]


def graph_shapes(bundle: Bundle, side: int, working_size: int, limits: Limits) -> list[tuple[str, Shapes]]:
    """Every graph, with the shapes of its inputs, that filling a region of an RGB image takes.

    Args:
        bundle: at the precision of the engines.
        side: of the region in pixels, a side of the ladder.
        working_size: side in pixels the loop runs at.
        limits: of the backend that will run the engines.
    """
    feature_bytes = 2 if bundle.precision == "fp16" else 4
    inputs = RegionShapes(side, working_size, 3, limits, feature_bytes).inputs()
    return [(graph, shapes) for graph, variants in inputs.items() for shapes in variants]
