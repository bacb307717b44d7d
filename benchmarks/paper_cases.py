"""Test images cut to squares, with the three kinds of holes of the paper's Table 1 and the hole sizes of its Fig. 9."""

from __future__ import annotations

import zlib
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.data import Case, squared
from training.masks import stroke_mask

__all__ = ["HOLES", "SIDE", "by_kind", "resized_hole", "with_share"]

Pixels = NDArray[np.uint8]

SIDE = 256  # pixels
SQUARE = 128  # side of the hole in the middle
HOLES = ("object", "irregular", "square")
STROKES = 0.02, 0.5  # share of the image that strokes may cover
TRIES = 24


def by_kind(cases: list[Case], kind: str) -> list[Case]:
    """The cases at 256x256, with their own object-shaped holes, with strokes, or with a square in the middle."""
    return [_with_hole(squared(case, SIDE), kind) for case in cases]


def _with_hole(case: Case, kind: str) -> Case:
    if kind == "object":
        return case
    if kind == "square":
        hole = np.zeros((SIDE, SIDE), np.uint8)
        start = (SIDE - SQUARE) // 2
        hole[start : start + SQUARE, start : start + SQUARE] = 1
        return replace(case, hole=hole)
    rng = np.random.default_rng(zlib.crc32(case.name.encode()))
    least, most = STROKES
    for _ in range(TRIES):
        hole = stroke_mask(rng, SIDE)
        if least <= hole.mean() <= most:
            break
    return replace(case, hole=hole)


def with_share(cases: list[Case], share: float) -> list[Case]:
    """The cases at 256x256 with holes resized to ``share`` of the image; those that cannot be are left out."""
    found = []
    for case in cases:
        square = squared(case, SIDE)
        hole = resized_hole(square.hole, share)
        if hole is not None:
            found.append(replace(square, hole=hole))
    return found


def resized_hole(hole: Pixels, share: float) -> Pixels | None:
    """The hole, uint8 [H, W] in {0, 1}, enlarged or reduced around its middle until it covers ``share`` of the image.

    Returns None where it cannot: parts of it leave the image as it grows.
    """
    middle = np.argwhere(hole).mean(0)[::-1]
    least, most = 0.05, 8.0
    for _ in range(20):
        scale = (least * most) ** 0.5
        matrix = np.array([[scale, 0, 0], [0, scale, 0]])
        matrix[:, 2] = middle - scale * middle
        found = np.asarray(cv2.warpAffine(hole, matrix, hole.shape[::-1], flags=cv2.INTER_NEAREST), np.uint8)
        if abs(found.mean() / share - 1) < 0.05:
            return found
        least, most = (scale, most) if found.mean() < share else (least, scale)
    return None
