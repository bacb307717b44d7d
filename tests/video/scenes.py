"""Frames that are drawn: a soft background, a red object on it, and its true mask."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]

SHAPE = (120, 160)


def background(seed: int = 0, shape: tuple[int, int] = SHAPE) -> Pixels:
    """Blobs of green and blue with fine texture, uint8 [H, W, 3], BGR."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(60, 200, (7, 9, 3)).astype(np.uint8)
    coarse[..., 2] //= 3
    image = cv2.resize(coarse, shape[::-1], interpolation=cv2.INTER_CUBIC).astype(np.float32)
    fine = cv2.GaussianBlur(rng.normal(0, 40, (*shape, 3)), (0, 0), 1.5)
    return np.clip(image + fine, 0, 255).astype(np.uint8)


def disc(x: float, y: float, radius: float = 18, shape: tuple[int, int] = SHAPE) -> Pixels:
    yy, xx = np.mgrid[: shape[0], : shape[1]]
    return np.where((xx - x) ** 2 + (yy - y) ** 2 <= radius**2, 255, 0).astype(np.uint8)


def with_object(image: Pixels, x: float, y: float, radius: float = 18) -> tuple[Pixels, Pixels]:
    """The image with a red textured disc, and the disc's mask."""
    mask = disc(x, y, radius, image.shape[:2])
    rng = np.random.default_rng(9)
    side = 64
    cloth = cv2.GaussianBlur(rng.normal(0, 60, (side, side, 3)), (0, 0), 1.5) + np.array([40, 50, 200])
    yy, xx = np.mgrid[: image.shape[0], : image.shape[1]]
    moved = cloth[(yy - round(y)) % side, (xx - round(x)) % side]
    return np.where(mask[..., None] > 0, np.clip(moved, 0, 255), image).astype(np.uint8), mask


def overlap(a: Pixels | None, b: Pixels | None) -> float:
    """Intersection over union of two masks."""
    a, b = (np.zeros(SHAPE, np.uint8) if m is None else m for m in (a, b))
    union = int(((a > 0) | (b > 0)).sum())
    return int(((a > 0) & (b > 0)).sum()) / union if union else 1.0
