"""What a call returns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from iic_rt.errors import InpaintWarning

__all__ = ["InpaintResult", "Snapshot", "Timings"]


@dataclass(frozen=True, kw_only=True)
class Timings:
    """Milliseconds of one call, summed over its regions: on the CPU by its clock, on a GPU by device events.

    Attributes:
        total_ms: the whole call by the CPU's clock, input checks included.
        copy_in_ms: regions to where the backend computes.
        prepare_ms: the ``prepare`` graph.
        iterations_ms: the ``step`` graph, one entry an iteration.
        upsample_ms: guided upsampling, and its result put into the hole.
        composite_ms: the loop's result enlarged and put into the hole, where it is not upsampled.
        copy_out_ms: results to the host, where that takes a copy.
    """

    total_ms: float = 0.0
    copy_in_ms: float = 0.0
    prepare_ms: float = 0.0
    iterations_ms: tuple[float, ...] = ()
    upsample_ms: float = 0.0
    composite_ms: float = 0.0
    copy_out_ms: float = 0.0


@dataclass(frozen=True)
class Snapshot:
    """The state after one iteration: ``image`` and ``confidence`` as in the result, ``hole`` uint8 [H, W] in {0, 1}."""

    image: NDArray[np.uint8]
    confidence: NDArray[np.float32]
    hole: NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class InpaintResult:
    """The completed image and what is known about it. All arrays are new and belong to the caller.

    Attributes:
        image: uint8, shape and channel order of the input; on the device when the input was. Pixels outside the hole
            equal the input bit for bit.
        hole: uint8 [H, W] in {0, 1}, what was filled: the mask, grown by ``InpaintOptions.grow``.
        confidence: float32 [H, W] in [0, 1], how sure the network was of each pixel; 1 outside the hole and in
            specks, which are interpolated. None unless ``InpaintOptions.outputs`` asks for it.
        hole_left: uint8 [H, W] in {0, 1}, pixels that are filled but that no iteration came to trust. None unless
            ``outputs`` asks for it.
        history: one snapshot an iteration where ``outputs`` asks for it, else empty.
        warnings: what looks odd about the masks, and whether the device had to work in a slower way.
        iterations: iterations run, the most over all regions; 0 when the mask was empty.
        regions: number of square regions the holes were filled in.
        timings: milliseconds by stage.
    """

    image: NDArray[np.uint8]
    hole: NDArray[np.uint8]
    confidence: NDArray[np.float32] | None = None
    hole_left: NDArray[np.uint8] | None = None
    history: tuple[Snapshot, ...] = ()
    warnings: tuple[InpaintWarning, ...] = ()
    iterations: int
    regions: int
    timings: Timings

    def __post_init__(self) -> None:
        size = self.image.shape[:2]
        for name in ("confidence", "hole", "hole_left"):
            array = getattr(self, name)
            if array is not None and array.shape != size:
                raise ValueError(f"{name} has shape {array.shape}, must be [H, W] = {size}")

    def __repr__(self) -> str:
        shape = "x".join(str(n) for n in self.image.shape)
        return (
            f"InpaintResult(image=uint8[{shape}], iterations={self.iterations}, regions={self.regions}, "
            f"total_ms={self.timings.total_ms:.1f})"
        )
