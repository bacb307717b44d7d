"""What a source of masks is, and the checks that all of them share."""

from __future__ import annotations

from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from iic_rt.errors import InpaintWarning, InputError
from iic_rt.mask_colours import THRESHOLD

__all__ = ["BaseSource", "Mask", "MaskSource", "as_mask", "colour_frame", "frame_shape"]

Mask = NDArray[np.uint8]


class MaskSource(Protocol):
    """Gives the mask of every frame of a stream, in the order of the stream.

    A source may have more: ``count`` (number of masks, where known), ``finish(frames)`` (called after the last frame),
    ``trust`` and ``warnings`` (of the last mask), ``describe(index)`` (names a mask in errors).
    """

    def mask(self, frame: Any, index: int, pts: float | None) -> Any:
        """The mask of a frame.

        Args:
            frame: the frame, [H, W] or [H, W, C]; only sources that look at pixels need it on the host, as uint8.
            index: its number from 0. Numbers may be left out where frames were dropped.
            pts: its time in seconds from the start of the stream, None where it is not known.

        Returns:
            uint8 [H, W] in {0, 255}, 255 = remove; None where nothing is to be removed.
        """

    def close(self) -> None:
        """Gives back what the source holds open."""


class BaseSource:
    """What most sources have in common."""

    count: int | None = None
    trust: float | None = None
    warnings: tuple[InpaintWarning, ...] = ()

    def describe(self, index: int) -> str:
        return f"the mask of frame {index}"

    def finish(self, frames: int) -> None:
        """Checks at the end of the stream that no mask is left over.

        Raises:
            InputError: there are more masks than frames.
        """
        if self.count is not None and frames < self.count:
            raise InputError(
                f"there are {self.count} masks and the stream had {frames} frames: one mask for each frame is needed. "
                "Check that both were made from the same video"
            )

    def close(self) -> None:
        pass


def frame_shape(frame: Any) -> tuple[int, int]:
    """Height and width of a frame, on the host or on a device.

    Raises:
        InputError: it is no array of an image.
    """
    shape: tuple[int, ...] = tuple(getattr(frame, "shape", ()))
    if len(shape) not in (2, 3) or min(shape[:2]) < 1:
        raise InputError(f"a frame must be an array [H, W] or [H, W, C]; this {type(frame).__name__} has shape {shape}")
    return int(shape[0]), int(shape[1])


def colour_frame(frame: Any) -> Mask:
    """The frame as uint8 [H, W, 3], in its own order of channels; alpha is left out.

    Raises:
        InputError: it is not a uint8 image on the host.
    """
    height, width = frame_shape(frame)
    if not isinstance(frame, np.ndarray) or frame.dtype != np.uint8:
        raise InputError(
            f"masks that are found in the frames need uint8 numpy arrays; this is a {type(frame).__name__} of "
            f"{getattr(frame, 'dtype', 'unknown type')}. Copy the frame to the host first"
        )
    channels = frame.size // (height * width)
    if channels not in (1, 3, 4):
        raise InputError(f"a frame has 1, 3 or 4 channels; this one has {channels}")
    if channels == 1:
        frame = np.reshape(frame, (height, width))
        return np.asarray(cv2.cvtColor(np.ascontiguousarray(frame), cv2.COLOR_GRAY2BGR), np.uint8)
    return np.ascontiguousarray(frame[..., :3])


def as_mask(mask: NDArray[Any], name: str, *, inverted: bool = False) -> Mask:
    """A mask of the caller as uint8 [H, W] in {0, 255}.

    Args:
        mask: bool or uint8 [H, W] or [H, W, 1]; white from 128 up, or at 1 in a mask of 0 and 1.
        name: what errors call it.
        inverted: whether black is removed.

    Raises:
        InputError: wrong type or number of dimensions.
    """
    if mask.dtype not in (np.uint8, np.bool_):
        raise InputError(
            f"{name} has dtype {mask.dtype}; allowed: bool or uint8 (0 and 1, or 0 and 255). "
            "Compare it with a threshold first, e.g. mask > 0.5"
        )
    if mask.ndim == 3 and mask.shape[2] == 1:
        mask = mask[..., 0]
    if mask.ndim != 2 or mask.size == 0:
        raise InputError(f"{name} has shape {mask.shape}; allowed: [H, W] or [H, W, 1]")
    values = np.ascontiguousarray(mask).view(np.uint8)
    threshold = 0 if cv2.minMaxLoc(values)[1] <= 1 else THRESHOLD - 1
    kind = cv2.THRESH_BINARY_INV if inverted else cv2.THRESH_BINARY
    return np.asarray(cv2.threshold(values, threshold, 255, kind)[1], np.uint8)
