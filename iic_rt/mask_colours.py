"""What a mask marks that has colours or alpha."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from iic_rt.errors import InputError

__all__ = ["THRESHOLD", "grey_mask"]

Pixels = NDArray[np.uint8]

THRESHOLD = 128  # from here up a pixel of a mask is white
COLOURED = 32  # difference of a pixel's channels from where it has a colour: JPEG tints what is grey by less
BLACK = 32  # what is darker counts as black, whatever its tint
FEW, MOST_OF_ALL = 16, 0.8  # so many levels of brightness hold most pixels of what was drawn, and not of a photograph
CHANNELS = "blue", "green", "red"
HOW_TO = "Write a mask of white (remove) on black"


def grey_mask(pixels: Pixels, name: str) -> Pixels:
    """A mask with one channel: what is white is marked.

    Coloured masks mark what is not black: paint on black, or objects by the colours of a palette. Of masks with alpha
    what is transparent is not marked, and the rest is read as if it had no alpha; where that marks nothing, all of it
    is marked, since strokes may be dark too.

    Args:
        pixels: uint8 [H, W], [H, W, 3] (BGR) or [H, W, 4] (BGRA).
        name: what errors call the mask.

    Returns:
        uint8 [H, W]; white from 128 up, or at 1 where all are 0 or 1.

    Raises:
        InputError: it is not clear what is marked; the message says what to write.
    """
    if pixels.ndim == 2:
        return pixels
    opaque = None
    if pixels.shape[2] == 4:
        alpha = np.ascontiguousarray(pixels[..., 3])
        pixels = np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGRA2BGR), np.uint8)
        least, most, _, _ = cv2.minMaxLoc(alpha)
        if least < most:
            opaque = np.asarray(cv2.threshold(alpha, THRESHOLD - 1, 255, cv2.THRESH_BINARY)[1], np.uint8)
    brightest, darkest = _extremes(pixels)
    spread = cv2.subtract(brightest, darkest)
    is_coloured = cv2.minMaxLoc(spread, mask=opaque)[1] >= COLOURED
    if opaque is not None:
        return _with_alpha(
            brightest if is_coloured else _grey(pixels), opaque, name, BLACK if is_coloured else THRESHOLD
        )
    return _coloured(pixels, brightest, name) if is_coloured else _grey(pixels)


def _extremes(pixels: Pixels) -> tuple[Pixels, Pixels]:
    """The brightest and the darkest channel of each pixel."""
    blue, green, red = cv2.split(pixels)
    return (
        np.asarray(cv2.max(cv2.max(blue, green), red), np.uint8),
        np.asarray(cv2.min(cv2.min(blue, green), red), np.uint8),
    )


def _grey(pixels: Pixels) -> Pixels:
    return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY), np.uint8)


def _levels(values: Pixels, inside: Pixels | None = None) -> NDArray[np.float32]:
    """Pixels of each value."""
    return np.asarray(cv2.calcHist([values], [0], inside, [256], [0, 256]), np.float32).ravel()


def _is_drawn(levels: NDArray[np.float32]) -> bool:
    """Whether a few values hold most pixels, unlike in a photograph."""
    return bool(np.sort(levels)[-FEW:].sum() >= MOST_OF_ALL * levels.sum())


def _coloured(pixels: Pixels, brightest: Pixels, name: str) -> Pixels:
    levels = _levels(brightest)
    if not _is_drawn(levels) or not levels[:BLACK].any():
        raise InputError(
            f"{name} has colours, and it is not clear what they mark: colours mark what is not black. {HOW_TO}"
        )
    if np.count_nonzero(levels) <= FEW:  # colours of a palette, which may be dark
        return np.asarray(cv2.threshold(brightest, BLACK - 1, 255, cv2.THRESH_BINARY)[1], np.uint8)
    if not levels[THRESHOLD:].any():
        most = [int(cv2.minMaxLoc(channel)[1]) for channel in cv2.split(pixels)]
        channel = int(np.argmax(most))
        raise InputError(
            f"{name} marks nothing: its brightest value is {most[channel]}, in the {CHANNELS[channel]} channel, and "
            f"values from {THRESHOLD} up are marked. {HOW_TO}"
        )
    return brightest


def _with_alpha(values: Pixels, opaque: Pixels, name: str, threshold: int) -> Pixels:
    levels = _levels(values, opaque)
    if not _is_drawn(levels):
        raise InputError(
            f"{name} is an image with transparent parts, and it is not clear whether they are to be removed. {HOW_TO}; "
            f"for the transparent parts: `magick mask.png -alpha extract -negate new-mask.png`"
        )
    if not levels[threshold:].any():
        return opaque
    white = cv2.threshold(values, threshold - 1, 255, cv2.THRESH_BINARY)[1]
    return np.asarray(cv2.bitwise_and(white, opaque), np.uint8)
