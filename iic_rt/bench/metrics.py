"""The numbers that results are told in: how far an image is from another inside the hole, and percentiles."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["hole_difference", "hole_psnr", "low_passed", "percentiles", "psnr"]

Pixels = NDArray[Any]
IDENTICAL_DB = 100.0  # stands for no difference at all, since JSON has no infinity


def psnr(mean_square: float) -> float:
    """PSNR in dB, 100 at most, of a mean squared difference of values from 0 to 255."""
    return IDENTICAL_DB if mean_square == 0 else min(IDENTICAL_DB, float(10 * np.log10(255**2 / mean_square)))


def low_passed(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """An image [H, W, C] under a Gaussian of 4 pixels: what is left of it where 16 bits are compared with 32.

    Among patches that are alike, rounding chooses others now and then. Their texture is as good and lies elsewhere.
    """
    return np.asarray(cv2.GaussianBlur(image.astype(np.float32), (0, 0), 4.0))


def hole_psnr(image: Pixels, truth: Pixels, hole: NDArray[np.bool_]) -> float:
    """PSNR in dB over the hole's pixels: [H, W, C] twice, values from 0 to 255, bool [H, W] with at least one True."""
    return psnr(float(np.mean((image[hole].astype(np.float64) - truth[hole]) ** 2)))


def hole_difference(image: Pixels, truth: Pixels, hole: NDArray[np.bool_]) -> float:
    """Mean absolute difference over the hole's pixels, in levels of 255; arrays as in :func:`hole_psnr`."""
    return float(np.abs(image[hole].astype(np.float64) - truth[hole]).mean())


def percentiles(values: Sequence[float], *, points: Sequence[int] = (50, 90, 99), digits: int = 4) -> dict[str, float]:
    """``p50`` and so on of the values, rounded."""
    return {f"p{point}": round(float(np.percentile(values, point)), digits) for point in points}
