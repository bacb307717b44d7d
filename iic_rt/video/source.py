"""Frames and their masks, side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from iic_rt.errors import InputError
from iic_rt.pipeline.image import is_on_device

__all__ = ["MaskedFrame", "with_masks"]


class MaskedFrame(NamedTuple):
    """A frame of a source; ``error`` says why there is no mask for it."""

    frame: Any
    pts: Any
    mask: Any = None
    error: Exception | None = None


def with_masks(source: Iterable[Any], masks: Any) -> Iterator[MaskedFrame]:
    """Every frame with its mask.

    Args:
        source: frames, or pairs (frame, pts).
        masks: one array for all; an iterable with one for each, which a numpy array [N, H, W] is too; or a function of
            a frame and its index.

    Raises:
        InputError: ``masks`` is none of these. While it is read: there are more masks than frames, or fewer.
    """
    frames = (item if isinstance(item, tuple) and len(item) == 2 else (item, None) for item in source)
    if callable(masks):
        return _computed(frames, masks)
    if is_on_device(masks) or (isinstance(masks, np.ndarray) and (masks.ndim < 3 or masks.shape[2:] == (1,))):
        return (MaskedFrame(frame, pts, masks) for frame, pts in frames)
    if isinstance(masks, Iterable):
        return _paired(frames, masks)
    raise InputError(
        f"masks is a {type(masks).__name__}; give one array for all frames, an iterable with one for each, or a "
        "function of a frame and its index"
    )


def _computed(frames: Iterator[tuple[Any, Any]], mask_of: Callable[[Any, int], Any]) -> Iterator[MaskedFrame]:
    for index, (frame, pts) in enumerate(frames):
        try:
            mask = mask_of(frame, index)
        except Exception as error:  # it is this frame's alone
            yield MaskedFrame(frame, pts, error=error)
        else:
            yield MaskedFrame(frame, pts, mask)


def _paired(frames: Iterator[tuple[Any, Any]], masks: Iterable[Any]) -> Iterator[MaskedFrame]:
    rest, none_left, count = iter(masks), object(), 0
    for frame, pts in frames:
        mask = next(rest, none_left)
        if mask is none_left:
            raise InputError(f"there are {count} masks, and the source has more frames; give one mask for each frame")
        yield MaskedFrame(frame, pts, mask)
        count += 1
    if next(rest, none_left) is not none_left:
        raise InputError(f"the source has {count} frames, and there are more masks; give one mask for each frame")
