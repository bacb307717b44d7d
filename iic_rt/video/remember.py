"""Fills frames with the help of a memory of the scene: only what was never seen or filled before is filled anew."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from iic_rt.errors import InputError
from iic_rt.options import InpaintOptions
from iic_rt.result import InpaintResult, Timings
from iic_rt.video.look import Look
from iic_rt.video.plate import Plate

__all__ = ["Fill", "Memory"]

Pixels = NDArray[np.uint8]
Fill = Callable[[Any, Any, Any, InpaintOptions], InpaintResult]


class Memory:
    """What a stream remembers of its scene.

    Args:
        lookahead: later frames that :meth:`fill` is given.
    """

    def __init__(self, lookahead: int = 0) -> None:
        self.lookahead = lookahead
        self._plate = Plate()

    def look(
        self, image: Any, mask: Any, options: InpaintOptions, *, avoid: Any = None, prefer: Any = None
    ) -> Look | None:
        """What is to be remembered of a frame.

        Args:
            image: uint8 array on the host.
            mask: as for :meth:`iic_rt.Inpainter.inpaint`; None: nothing is to be removed.
            options: of the frame.
            avoid, prefer: as for :meth:`iic_rt.Inpainter.inpaint`.

        Returns:
            None where the frame is on a device or its masks cannot be used, of which the inpainter says more.
        """
        if not isinstance(image, np.ndarray):
            return None
        try:
            return Look(image, mask, options, avoid=avoid, prefer=prefer)
        except InputError:
            return None

    def see(self, look: Look) -> None:
        """Takes what a frame shows in which nothing is to be removed."""
        self._plate.meet(look)

    def fill(
        self, look: Look, later: Sequence[Look], fill: Fill, options: InpaintOptions
    ) -> tuple[InpaintResult, float]:
        """The next frame, filled.

        Args:
            look: the frame, with a hole.
            later: the frames after it.
            fill: fills what is not known, from an image, a mask, what to avoid (None: nothing) and options.
            options: of the frame.

        Returns:
            The result, and the share of the hole that was known.
        """
        started = time.perf_counter()
        assert look.image is not None
        assert look.hole is not None
        self._plate.meet(look, later)
        left = self._plate.left(look)
        count, total = cv2.countNonZero(left), cv2.countNonZero(look.hole)
        image = look.image.copy(order="C")
        if count == 0:
            self._plate.put_into(look, image)
            result = InpaintResult(image=image, hole=look.hole, iterations=0, regions=0, timings=Timings())
        else:
            self._plate.put_into(look, image, grain=False)
            asked = tuple(dict.fromkeys((*options.outputs, "confidence")))
            result = fill(image, left, self._avoided(look), replace(options, grow=0, mask_hole="white", outputs=asked))
            self._plate.keep(look, result.image, left, result.confidence)
            self._plate.put_into(look, result.image)
        wants = options.outputs
        confidence = hole_left = None
        if "confidence" in wants:
            confidence = self._plate.trust(look)
            if result.confidence is not None:
                confidence[left > 0] = result.confidence[left > 0]
        if "hole_left" in wants:
            hole_left = np.zeros_like(look.hole) if result.hole_left is None else result.hole_left
        result = replace(
            result,
            hole=look.hole,
            confidence=confidence,
            hole_left=hole_left,
            warnings=(*look.warnings, *result.warnings),
            timings=replace(result.timings, total_ms=(time.perf_counter() - started) * 1e3),
        )
        return result, 1 - count / total

    def _avoided(self, look: Look) -> Pixels | None:
        """What nothing may be taken from: what is to be avoided, and what moves by itself, where that leaves enough."""
        movers = self._plate.movers(look)
        if movers is not None and look.preferred is not None and not (look.preferred > movers).any():
            movers = None
        if movers is None or look.avoided is None:
            return look.avoided if movers is None else movers
        return look.avoided | movers
