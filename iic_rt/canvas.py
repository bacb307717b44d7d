"""The picture while its regions are filled one after another."""

from __future__ import annotations

import time

import numpy as np
from numpy.typing import NDArray

from iic_rt.loop import State
from iic_rt.options import InpaintOptions
from iic_rt.paste import paste
from iic_rt.regions import Box, Region

__all__ = ["Canvas"]

Pixels = NDArray[np.uint8]


class Canvas:
    """Picture, confidence and what is left of the hole; a filled region is known to the next.

    Attributes:
        image: uint8 [H, W, 3]; the caller's array, filled in place.
        open_hole: uint8 [H, W] in {0, 1}, hole pixels of regions not yet filled.
        hidden: uint8 [H, W] in {0, 1} or None, known pixels that must not be looked at.
        barred: uint8 [H, W] in {0, 1} or None, known pixels that may be looked at but not copied.
        confidence: float32 [H, W] in [0, 1].
        hole_left: uint8 [H, W] in {0, 1}.
        paste_ms: milliseconds spent in :meth:`paste`.
    """

    def __init__(
        self, rgb: Pixels, hole: Pixels, hidden: Pixels | None, barred: Pixels | None, options: InpaintOptions
    ) -> None:
        self._hole, self._feather = hole, options.feather
        self.image, self.open_hole, self.hidden, self.barred = rgb, hole.copy(), hidden, barred
        self.confidence = np.ones(hole.shape, np.float32)
        self.hole_left = np.zeros(hole.shape, np.uint8)
        self.paste_ms = 0.0

    def reach(self, region: Region, working_size: int) -> Box:
        """What of the picture filling a region reads."""
        height, width = self._hole.shape
        window = Box(region.top, region.left, region.top + region.side, region.left + region.side)
        feather = round(self._feather * region.side / working_size) + 1
        return window.union(region.box.grown(feather, height, width)).inside(height, width)

    def paste(self, region: Region, state: State, detail: Pixels | None = None) -> None:
        """Writes a filled region; ``detail`` [S, S, 3] takes the place of the state's enlarged picture."""
        started = time.perf_counter()
        paste(
            self.image,
            self.confidence,
            self.hole_left,
            self._hole,
            region,
            state,
            feather=self._feather,
            detail=detail,
            hidden=self.hidden,
        )
        self.open_hole[region.box.slices] = 0
        self.paste_ms += (time.perf_counter() - started) * 1e3
