"""Masks as they are written on a command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from iic_rt.errors import InputError
from iic_rt.image_io import read_mask
from iic_rt.masks import MaskHole
from iic_rt.video.grabcut import grabcut_mask
from iic_rt.video.track import TrackMasks, WhenLost

__all__ = ["parse_masks"]


def parse_masks(text: str, *, mask_hole: MaskHole = "white", when_lost: WhenLost = "stop") -> Any:
    """What :func:`iic_rt.video.frame_masks.open_masks` takes.

    Args:
        text: a path; ``motion``; ``track:MASK`` or ``track:X1,Y1,X2,Y2`` of the first frame; or
            ``grabcut:X1,Y1,X2,Y2``.
        mask_hole: which end of the mask that is tracked is removed.
        when_lost: what a tracked mask does when its object is lost.

    Raises:
        InputError: a box is none, or a mask cannot be read.
    """
    kind, _, rest = text.partition(":")
    if kind == "track" and rest:
        if "," in rest:
            return TrackMasks(_box(rest), when_lost=when_lost)
        first = read_mask(Path(rest))
        return TrackMasks(255 - first if mask_hole == "black" else first, when_lost=when_lost)
    if kind == "grabcut" and rest:
        return _cut(_box(rest))
    return text if text == "motion" else Path(text)


def _cut(box: list[float]) -> Any:
    """A mask of what a box of the first frame holds, for all frames."""
    cut: list[Any] = []

    def mask(frame: Any, index: int) -> Any:
        if not cut:
            cut.append(grabcut_mask(frame, box) > 0)
        return np.array(cut[0])

    return mask


def _box(text: str) -> list[float]:
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if len(numbers) != 4:
        raise InputError(f"{text} is no box; give X1,Y1,X2,Y2 in pixels")
    return numbers
