"""What a call returns."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = ["InpaintResult", "Snapshot", "Timings"]


@dataclass(frozen=True, kw_only=True)
class Timings:
    """Milliseconds of one call, summed over its regions: on the CPU by its clock, on a GPU by device events.

    Attributes:
        total_ms: the whole call by the CPU's clock, input checks included.
        copy_in_ms: crops to where the backend computes.
        prepare_ms: the ``prepare`` graph.
        iterations_ms: the ``step`` graph, one entry an iteration.
        upsample_ms: guided upsampling.
        copy_out_ms: results to the host, where that takes a copy.
        paste_ms: enlarging what was not upsampled, feathering and writing into the picture, on the CPU.
    """

    total_ms: float = 0.0
    copy_in_ms: float = 0.0
    prepare_ms: float = 0.0
    iterations_ms: tuple[float, ...] = ()
    upsample_ms: float = 0.0
    copy_out_ms: float = 0.0
    paste_ms: float = 0.0


@dataclass(frozen=True)
class Snapshot:
    """The state after one iteration: ``image`` and ``confidence`` as in the result, ``hole`` uint8 [H, W] in {0, 1}."""

    image: NDArray[np.uint8]
    confidence: NDArray[np.float32]
    hole: NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class InpaintResult:
    """The completed picture and what is known about it. All arrays are new and belong to the caller.

    Attributes:
        image: uint8, shape and channel order of the input; on the device when the input was. Pixels outside the hole
            equal the input bit for bit.
        confidence: float32 [H, W] in [0, 1], how sure the network was of each pixel; 1 outside the hole and in
            specks, which are interpolated.
        hole: uint8 [H, W] in {0, 1}, what was filled: the mask, grown by ``InpaintOptions.grow``.
        hole_left: uint8 [H, W] in {0, 1}, pixels that are filled but that no iteration came to trust.
        iterations: iterations run, the most over all regions; 0 when the mask was empty.
        regions: number of square regions the holes were filled in.
        timings: milliseconds by stage.
        history: one snapshot an iteration when ``keep_iterations`` was set, else empty.
    """

    image: NDArray[np.uint8]
    confidence: NDArray[np.float32]
    hole: NDArray[np.uint8]
    hole_left: NDArray[np.uint8]
    iterations: int
    regions: int
    timings: Timings
    history: tuple[Snapshot, ...] = field(default=())

    def __post_init__(self) -> None:
        size = self.image.shape[:2]
        for name in ("confidence", "hole", "hole_left"):
            if getattr(self, name).shape != size:
                raise ValueError(f"{name} has shape {getattr(self, name).shape}, must be [H, W] = {size}")

    def __repr__(self) -> str:
        shape = "x".join(str(n) for n in self.image.shape)
        return (
            f"InpaintResult(image=uint8[{shape}], iterations={self.iterations}, regions={self.regions}, "
            f"hole_left={int(self.hole_left.sum())} px, total_ms={self.timings.total_ms:.1f})"
        )
