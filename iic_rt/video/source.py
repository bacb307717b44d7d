"""Frames and their masks, side by side."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from iic_rt.errors import InputError
from iic_rt.pipeline.image import is_on_device

__all__ = ["MaskedFrame", "with_masks"]


class MaskedFrame(NamedTuple):
    """A frame of a source; ``error`` says why there are no masks for it."""

    frame: Any
    pts: Any
    mask: Any = None
    avoid: Any = None
    prefer: Any = None
    error: Exception | None = None


NONE_LEFT = object()


def with_masks(source: Iterable[Any], masks: Any, *, avoid: Any = None, prefer: Any = None) -> Iterator[MaskedFrame]:
    """Every frame with its masks.

    Args:
        source: frames, or pairs (frame, pts).
        masks: one array for all; an iterable with one for each, which a numpy array [N, H, W] is too; or a function of
            a frame and its index.
        avoid, prefer: the same, or None.

    Raises:
        InputError: one of them is none of these. While it is read: there are more masks than frames, or fewer.
    """
    frames = (item if isinstance(item, tuple) and len(item) == 2 else (item, None) for item in source)
    given = {"masks": masks, "avoid": avoid, "prefer": prefer}
    fixed: dict[str, Any] = {"avoid": None, "prefer": None}
    computed: dict[str, Callable[[Any, int], Any]] = {}
    listed: dict[str, Iterator[Any]] = {}
    for name, value in given.items():
        if value is None and name != "masks":
            continue
        if callable(value):
            computed[name] = value
        elif is_on_device(value) or (isinstance(value, np.ndarray) and (value.ndim < 3 or value.shape[2:] == (1,))):
            fixed[name] = value
        elif isinstance(value, Iterable):
            listed[name] = iter(value)
        else:
            raise InputError(
                f"{name} is a {type(value).__name__}; give one array for all frames, an iterable with one for each, or "
                "a function of a frame and its index"
            )
    return _joined(frames, fixed, computed, listed)


def _joined(
    frames: Iterator[tuple[Any, Any]],
    fixed: dict[str, Any],
    computed: dict[str, Callable[[Any, int], Any]],
    listed: dict[str, Iterator[Any]],
) -> Iterator[MaskedFrame]:
    count = 0
    for frame, pts in frames:
        found = dict(fixed)
        for name, rest in listed.items():
            found[name] = next(rest, NONE_LEFT)
            if found[name] is NONE_LEFT:
                raise InputError(
                    f"there are {count} {_called(name)}, and the source has more frames; give one mask for each frame"
                )
        try:
            found |= {name: mask_of(frame, count) for name, mask_of in computed.items()}
        except Exception as error:  # it is this frame's alone
            yield MaskedFrame(frame, pts, error=error)
        else:
            yield MaskedFrame(frame, pts, found["masks"], found["avoid"], found["prefer"])
        count += 1
    for name, rest in listed.items():
        if next(rest, NONE_LEFT) is not NONE_LEFT:
            raise InputError(
                f"the source has {count} frames, and there are more {_called(name)}; give one mask for each frame"
            )


def _called(name: str) -> str:
    return name if name == "masks" else f"{name} masks"
