"""Scores of a filled picture against the truth, over the hole or the whole image, beside `iic_rt.bench.metrics`."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from iic_rt.bench.metrics import hole_difference, psnr

__all__ = ["hole_l1", "hole_sharpness", "hole_ssim", "image_l1", "image_psnr", "image_ssim", "mean_laplacian"]

Pixels = NDArray[np.uint8]


def hole_l1(image: Pixels, truth: Pixels, hole: NDArray[np.bool_]) -> float:
    """Mean absolute difference over the hole's pixels, of a range of 1: uint8 [H, W, 3] twice, bool [H, W]."""
    return hole_difference(image, truth, hole) / 255


def hole_ssim(image: Pixels, truth: Pixels, hole: NDArray[np.bool_]) -> float:
    """Mean over the hole of the SSIM map, as in :func:`ssim_map`."""
    return float(ssim_map(image, truth)[hole].mean())


def image_l1(image: Pixels, truth: Pixels) -> float:
    """Mean absolute difference of a range of 1: uint8 [H, W, 3] twice."""
    return float(np.abs(image.astype(np.float64) - truth).mean()) / 255


def image_psnr(image: Pixels, truth: Pixels) -> float:
    """PSNR in dB: uint8 [H, W, 3] twice."""
    return psnr(float(np.mean((image.astype(np.float64) - truth) ** 2)))


def image_ssim(image: Pixels, truth: Pixels) -> float:
    """Mean of the SSIM map, as in :func:`ssim_map`."""
    return float(ssim_map(image, truth).mean())


def ssim_map(image: Pixels, truth: Pixels) -> NDArray[np.float64]:
    """SSIM of the luminance (Wang et al. 2004: Gaussian window of 11, sigma 1.5): [H, W, 3] twice -> [H, W]."""
    a, b = (cv2.cvtColor(p, cv2.COLOR_RGB2GRAY).astype(np.float64) for p in (image, truth))

    def blur(x: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(cv2.GaussianBlur(x, (11, 11), 1.5), np.float64)

    mean_a, mean_b = blur(a), blur(b)
    var_a, var_b = blur(a * a) - mean_a**2, blur(b * b) - mean_b**2
    covariance = blur(a * b) - mean_a * mean_b
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    above = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    below = (mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2)
    return np.asarray(above / below)


def hole_sharpness(image: Pixels, truth: Pixels, hole: NDArray[np.bool_]) -> float:
    """Mean absolute Laplacian in the hole, relative to the truth's: 1 is as sharp, 0 is flat."""
    return mean_laplacian(image, hole) / max(mean_laplacian(truth, hole), 1e-6)


def mean_laplacian(image: Pixels, hole: NDArray[np.bool_]) -> float:
    """Mean absolute Laplacian of the luminance over the hole's pixels, of a range of 255."""
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float64)
    return float(np.abs(cv2.Laplacian(grey, cv2.CV_64F))[hole].mean())
