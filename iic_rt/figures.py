"""Images about a result: the confidence laid over the photo, and a strip of the iterations."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from iic_rt.result import InpaintResult

__all__ = ["confidence_overlay", "iterations_strip"]

Pixels = NDArray[np.uint8]

GAP, BAR = 8, 34  # pixels
PANEL = 640  # longest side of a panel of the strip
HOLE_BGR = (255, 96, 32)
LOW_BGR, HIGH_BGR = np.array((48, 48, 230.0)), np.array((80, 200, 60.0))
OPACITY = 0.6


def _bgr(image: Pixels) -> Pixels:
    """Any checked image with BGR colours as [H, W, 3]."""
    grey = image.reshape(image.shape[:2]) if image.ndim == 2 or image.shape[2] == 1 else None
    return np.array(image[..., :3] if grey is None else np.repeat(grey[..., None], 3, 2))


def _tint(image: Pixels, hole: NDArray[np.bool_], confidence: NDArray[np.float32]) -> Pixels:
    """The hole coloured from red (0) over yellow to green (1)."""
    picture = _bgr(image).astype(np.float32)
    c = confidence[hole][:, None]
    middle = np.array((40, 200, 240.0))
    colour = np.where(c < 0.5, LOW_BGR + 2 * c * (middle - LOW_BGR), middle + (2 * c - 1) * (HIGH_BGR - middle))
    picture[hole] = (1 - OPACITY) * picture[hole] + OPACITY * colour
    return np.rint(picture).astype(np.uint8)


def confidence_overlay(result: InpaintResult, hole: Pixels) -> Pixels:
    """The result with its hole tinted by confidence, and a colour scale below: uint8 BGR [H + bar, W, 3].

    Args:
        result: made from an image in BGR order, with ``"confidence"`` among its outputs.
        hole: uint8 [H, W] in {0, 1}, the hole that was filled.
    """
    assert result.confidence is not None
    inside = hole > 0
    picture = _tint(result.image, inside, result.confidence)
    width = picture.shape[1]
    height = max(BAR, width // 40)  # to be read on a large image too
    scale = np.tile(np.linspace(0, 1, width, dtype=np.float32), (height // 2, 1))
    bar = _tint(np.full((*scale.shape, 3), 160, np.uint8), scale >= 0, scale)
    mean = float(result.confidence[inside].mean()) if inside.any() else 1.0
    caption = _caption(f"confidence 0 to 1, mean {mean:.2f}", width, height)
    return np.concatenate([picture, bar, caption])


def iterations_strip(image: Pixels, hole: Pixels, result: InpaintResult) -> Pixels:
    """Side by side: the photo with its hole marked, then for each iteration the image above its confidence, and the
    upsampled result where it is another.

    Args:
        image: uint8, the input in BGR order.
        hole: uint8 [H, W] in {0, 1}.
        result: made with ``"history"`` and ``"confidence"`` among its outputs.

    Returns:
        uint8 BGR. Pixels still in the hole after an iteration are marked in the lower row.
    """
    inside = hole > 0
    marked = _bgr(image)
    marked[inside] = (0.35 * marked[inside] + 0.65 * np.array(HOLE_BGR)).astype(np.uint8)
    columns = [_column("input, hole marked", _bgr(image), marked)]
    for t, snapshot in enumerate(result.history, 1):
        below = _tint(snapshot.image, inside, snapshot.confidence)
        left = snapshot.hole > 0
        below[left] = (0.35 * below[left] + 0.65 * np.array(HOLE_BGR)).astype(np.uint8)
        share = 100 * left.sum() / max(1, inside.sum())
        columns.append(_column(f"T = {t}, {share:.0f} % left", _bgr(snapshot.image), below))
    if result.timings.upsample_ms > 0:
        assert result.confidence is not None
        below = _tint(result.image, inside, result.confidence)
        columns.append(_column("upsampled", _bgr(result.image), below))
    gap = np.full((columns[0].shape[0], GAP, 3), 255, np.uint8)
    parts = [part for column in columns for part in (column, gap)][:-1]
    return np.concatenate(parts, axis=1)


def _column(title: str, above: Pixels, below: Pixels) -> Pixels:
    factor = min(1.0, PANEL / max(above.shape[:2]))
    size = max(1, round(above.shape[1] * factor)), max(1, round(above.shape[0] * factor))
    panels = [np.asarray(cv2.resize(p, size, interpolation=cv2.INTER_AREA), np.uint8) for p in (above, below)]
    gap = np.full((GAP, size[0], 3), 255, np.uint8)
    return np.concatenate([_caption(title, size[0]), panels[0], gap, panels[1]])


def _caption(text: str, width: int, height: int = BAR) -> Pixels:
    strip = np.full((height, width, 3), 255, np.uint8)
    (text_width, text_height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 1.0, 1)
    scale = min(0.55 * height / BAR, 0.95 * width / max(1, text_width))
    origin = (height // 8, round(height / 2 + text_height * scale / 2))
    cv2.putText(strip, text, origin, cv2.FONT_HERSHEY_SIMPLEX, scale, (40, 40, 40), round(height / BAR), cv2.LINE_AA)
    return strip
