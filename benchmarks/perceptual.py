"""The perceptual distance of a result from the truth, LPIPS-like, and the figure that tells of a mesh."""

from __future__ import annotations

import functools

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional as F

from training.model.perceptual import PerceptualNetwork

__all__ = ["hole_mesh", "perceptual_distance"]

Pixels = NDArray[np.uint8]

SIDE = 224  # pixels, the network's own
SURROUND, MARGIN = 1.5, 16  # side of the square around the hole: a multiple of its longer side, and pixels
MESH_LAGS = (4, 8)  # pixels: the cells of the generator's layers


@functools.cache
def network() -> PerceptualNetwork:
    return PerceptualNetwork().eval()


@torch.inference_mode()
def perceptual_distance(image: Pixels, truth: Pixels, hole: NDArray[np.bool_]) -> float:
    """Distance between what a trained ResNet sees in the result and in the truth; 0 is alike, about 0.4 is usual.

    A square around the hole is scaled to 224 x 224; squared distances of unit feature vectors are averaged over the
    cells a hole touches, by how much of a cell is hole, and over five feature maps.

    Args:
        image: uint8 [H, W, 3], RGB.
        truth: uint8 [H, W, 3], RGB.
        hole: bool [H, W] with at least one True.
    """
    pictures = np.stack([_square(picture, hole) for picture in (image, truth)])
    inside = torch.from_numpy(_square(hole.astype(np.float32), hole))[None, None]
    x = torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1
    distances = []
    for found in network()(x):
        a, b = F.normalize(found, dim=1)
        share = F.adaptive_avg_pool2d(inside, a.shape[1:])[0, 0]
        distances.append((((a - b).square().sum(0) * share).sum() / share.sum()).item())
    return float(np.mean(distances))


def _square(array: NDArray[np.generic], hole: NDArray[np.bool_]) -> NDArray[np.generic]:
    """The square around the hole, mirrored where it sticks out of the picture, at the network's size."""
    rows, columns = np.flatnonzero(hole.any(1)), np.flatnonzero(hole.any(0))
    longest = max(rows[-1] - rows[0], columns[-1] - columns[0]) + 1
    side = min(round(SURROUND * longest) + MARGIN, *(2 * n - 1 for n in hole.shape))
    starts = []
    for axis, found in zip(hole.shape, (rows, columns), strict=True):
        middle = (int(found[0]) + int(found[-1]) + 1) // 2
        start = middle - side // 2
        starts.append(min(max(start, 0), axis - side) if side <= axis else (axis - side) // 2)
    top, left = starts
    margins = (
        max(0, -top),
        max(0, top + side - hole.shape[0]),
        max(0, -left),
        max(0, left + side - hole.shape[1]),
    )
    part = array[max(0, top) : top + side, max(0, left) : left + side]
    part = cv2.copyMakeBorder(np.ascontiguousarray(part), *margins, cv2.BORDER_REFLECT_101)
    return cv2.resize(part, (SIDE, SIDE), interpolation=cv2.INTER_AREA if side > SIDE else cv2.INTER_LINEAR)


def hole_mesh(image: Pixels, hole: NDArray[np.bool_]) -> dict[int, float] | None:
    """How much of the finest detail in the hole repeats every 4 and every 8 pixels, as a network's mesh does.

    Luminance minus its Gaussian (sigma 3); its autocorrelation inside the hole (eroded by 3) at the lag along both
    axes, less the mean of the two lags beside it, over the variance. About 0 in a photograph.

    Returns:
        one value a lag, or None where the hole is too small or flat.
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float64)
    detail = grey - cv2.GaussianBlur(grey, (0, 0), 3)
    inside = cv2.erode(hole.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    variance = float((detail[inside] ** 2).mean()) if inside.sum() > 400 else 0.0
    if variance < 1e-3:
        return None

    def correlation(lag: int) -> float:
        found = []
        for a, b in ((np.s_[lag:], np.s_[:-lag]), (np.s_[:, lag:], np.s_[:, :-lag])):
            both = inside[a] & inside[b]
            found.append((detail[a] * detail[b])[both].mean() if both.any() else 0.0)
        return float(np.mean(found)) / variance

    return {lag: correlation(lag) - (correlation(lag - 1) + correlation(lag + 1)) / 2 for lag in MESH_LAGS}
