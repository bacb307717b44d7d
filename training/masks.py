"""Hole synthesis: object shapes, random strokes, salient objects left alone (paper, Sec. 3.1). 1 = hole."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["ObjectShapes", "classic_hole", "object_mask", "stroke_mask", "synthesize_hole"]

Mask = NDArray[np.uint8]

MIN_AREA, MAX_AREA = 0.02, 0.5  # share of the picture
TRIES = 12


class ObjectShapes:
    """Binary object shapes, bit-packed in one ``.npz``: arrays ``bits``, ``offsets`` and ``shapes`` (h, w)."""

    def __init__(self, path: Path) -> None:
        with np.load(path, allow_pickle=False) as file:
            self._bits, self._offsets, self._shapes = file["bits"], file["offsets"], file["shapes"]

    def __len__(self) -> int:
        return len(self._shapes)

    def __getitem__(self, index: int) -> Mask:
        """Shape ``index`` as uint8 [h, w] in {0, 1}, cropped to its box."""
        h, w = (int(n) for n in self._shapes[index])
        start, end = self._offsets[index], self._offsets[index + 1]
        return np.unpackbits(self._bits[start:end], count=h * w).reshape(h, w)


def object_mask(rng: np.random.Generator, shapes: ObjectShapes, size: int) -> Mask:
    """One object, flipped, turned and scaled at random, its centre anywhere: uint8 [size, size] in {0, 1}."""
    shape = shapes[int(rng.integers(len(shapes)))]
    if rng.random() < 0.5:
        shape = shape[:, ::-1]
    h, w = shape.shape
    scale = rng.uniform(0.2, 1.0) * size / max(h, w)
    angle = np.deg2rad(rng.normal(0, 12))
    stretch = np.exp(rng.normal(0, 0.12, 2))
    cos, sin = np.cos(angle) * scale, np.sin(angle) * scale
    centre = rng.uniform(0, size, 2)
    matrix = np.array([[cos * stretch[0], -sin * stretch[1], 0], [sin * stretch[0], cos * stretch[1], 0]])
    matrix[:, 2] = centre - matrix[:, :2] @ (w / 2, h / 2)
    return cv2.warpAffine(np.ascontiguousarray(shape), matrix, (size, size), flags=cv2.INTER_NEAREST)


def stroke_mask(rng: np.random.Generator, size: int) -> Mask:
    """Free-form brush strokes (Yu et al. 2019): uint8 [size, size] in {0, 1}."""
    mask = np.zeros((size, size), np.uint8)
    for _ in range(int(rng.integers(1, 5))):
        point = rng.uniform(0, size, 2)
        angle = rng.uniform(0, 2 * np.pi)
        width = max(2, int(size * rng.uniform(0.03, 0.13)))
        for _ in range(int(rng.integers(2, 9))):
            angle += rng.normal(0, 0.9)
            end = np.clip(point + size * rng.uniform(0.05, 0.25) * np.array([np.cos(angle), np.sin(angle)]), 0, size)
            ends = [tuple(int(v) for v in p) for p in (point, end)]
            cv2.line(mask, ends[0], ends[1], 1, width)
            cv2.circle(mask, ends[1], width // 2, 1, -1)
            point = end
    return mask


def classic_hole(rng: np.random.Generator, size: int) -> Mask:
    """A hole as networks before the paper were trained with: strokes or a rectangle, uint8 [size, size] in {0, 1}."""
    if rng.random() < 0.5:
        return stroke_mask(rng, size)
    mask = np.zeros((size, size), np.uint8)
    height, width = (rng.uniform(0.2, 0.6, 2) * size).astype(int)
    top, left = int(rng.integers(size - height + 1)), int(rng.integers(size - width + 1))
    mask[top : top + height, left : left + width] = 1
    return mask


def synthesize_hole(rng: np.random.Generator, shapes: ObjectShapes, size: int, salient: Mask | None = None) -> Mask:
    """A hole as a user would draw it: uint8 [size, size] in {0, 1}, never empty.

    Args:
        rng: source of all chance.
        shapes: the object shapes.
        size: side in pixels.
        salient: [size, size], nonzero where the salient object is. Its pixels are taken out of the hole, as if the
            hole's object stood behind it; a hole that has nothing left is drawn again.
    """
    best = None
    for _ in range(TRIES):
        kind = rng.random()
        mask = stroke_mask(rng, size) if kind < 0.3 else object_mask(rng, shapes, size)
        if 0.15 < kind < 0.45:  # both: strokes and an object
            mask |= object_mask(rng, shapes, size) if kind < 0.3 else stroke_mask(rng, size)
        whole = mask
        if salient is not None:
            mask = mask * (salient == 0)
        if MIN_AREA <= mask.mean() <= MAX_AREA:
            return mask
        if mask.any() and mask.mean() <= MAX_AREA and (best is None or mask.mean() > best.mean()):
            best = mask
        elif best is None and whole.any() and salient is not None and salient.all():
            best = whole
    if best is None:
        best = np.zeros((size, size), np.uint8)
        best[size // 3 : 2 * size // 3, size // 3 : 2 * size // 3] = 1
    return best
