"""Drawn pictures among the photographs: edges, slats, grids, lines and even areas, whose continuation is certain."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["draw_picture"]

SUPERSAMPLING = 2  # what a shape covers is found at twice the size and shrunk, so that edges are antialiased

Image = NDArray[np.float32]  # [h, w, 3] in [0, 1]
Plane = NDArray[np.float32]  # [h, w]


def draw_picture(rng: np.random.Generator, size: int) -> NDArray[np.uint8]:
    """A drawn picture, uint8 [size, size, 3], RGB.

    Planes, patterns in perspective, polygons, lines and curves or nothing at all over a shaded ground; then shading,
    blur and noise as a camera's.
    """
    image = _ground(rng, size)
    kinds = (_planes, _pattern, _pattern, _polygons, _lines, _even)
    for _ in range(int(rng.integers(1, 3))):
        image = kinds[int(rng.integers(len(kinds)))](rng, image)
    image = image * (1 + _ramp(rng, size, 0.15))[..., None]
    if rng.random() < 0.5:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 1.2)), np.float32)
    noise = rng.standard_normal(image.shape, np.float32) * np.float32(rng.uniform(0, 0.02))
    if rng.random() < 0.5:  # a sensor's noise after a camera's own smoothing is coarser than a pixel
        noise = 1.6 * cv2.GaussianBlur(noise, (0, 0), 0.7)
    return np.asarray(np.clip((image + noise) * 255, 0, 255).round(), np.uint8)


def _colour(rng: np.random.Generator) -> NDArray[np.float32]:
    """Mostly muted, as the colours of walls, skies and streets."""
    grey = rng.uniform(0.05, 0.95)
    return np.clip(grey + rng.normal(0, rng.choice((0.03, 0.2)), 3), 0, 1).astype(np.float32)


def _grid(side: int) -> tuple[Plane, Plane]:
    """x and y of every pixel, from -1 to 1."""
    axis = np.linspace(-1, 1, side, dtype=np.float32)
    return np.broadcast_to(axis, (side, side)), np.broadcast_to(axis[:, None], (side, side))


def _ramp(rng: np.random.Generator, side: int, strength: float) -> Plane:
    """A slope in a random direction and a vignette, about [-strength, strength]."""
    x, y = _grid(side)
    angle = rng.uniform(0, 2 * np.pi)
    slope = float(rng.uniform(0, strength)) * (np.float32(np.cos(angle)) * x + np.float32(np.sin(angle)) * y)
    vignette = float(rng.uniform(-strength, strength)) / 2 * (x * x + y * y)
    return np.asarray(slope - vignette, np.float32)


def _ground(rng: np.random.Generator, side: int) -> Image:
    a, b = _colour(rng), _colour(rng)
    share = 0.5 + 0.5 * _ramp(rng, side, 1.0) * (rng.random() < 0.7)
    share = np.clip(share, 0, 1)[..., None]
    return np.asarray(a + float(rng.uniform(0.2, 1)) * (b - a) * (1 - share), np.float32)


def _over(image: Image, colour: NDArray[np.float32], cover: Plane) -> Image:
    return np.asarray(image + cover[..., None] * (colour - image), np.float32)


def _shrunk(cover: NDArray[np.bool_] | NDArray[np.uint8]) -> Plane:
    """How much of each pixel a supersampled shape [2h, 2w] of 0 and 1 covers."""
    h, w = (side // SUPERSAMPLING for side in cover.shape)
    return np.asarray(cv2.resize(cover.astype(np.float32), (w, h), interpolation=cv2.INTER_AREA), np.float32)


def _fraction(values: Plane) -> Plane:
    """``values % 1``, several times as fast."""
    return values - np.floor(values)


def _planes(rng: np.random.Generator, image: Image) -> Image:
    """Half planes: horizons, walls, table edges."""
    x, y = _grid(SUPERSAMPLING * image.shape[0])
    for _ in range(int(rng.integers(1, 4))):
        angle = rng.uniform(0, 2 * np.pi) if rng.random() < 0.6 else rng.integers(4) * np.pi / 2 + rng.normal(0, 0.05)
        cover = _shrunk(np.float32(np.cos(angle)) * x + np.float32(np.sin(angle)) * y > rng.uniform(-0.6, 0.6))
        image = _over(image, _colour(rng) * (1 + _ramp(rng, image.shape[0], 0.2))[..., None], cover)
    return image


def _pattern(rng: np.random.Generator, image: Image) -> Image:
    """Slats, grids, checkers or bricks, in perspective."""
    size = image.shape[0]
    x, y = _grid(SUPERSAMPLING * size)
    angle = rng.uniform(0, 2 * np.pi) if rng.random() < 0.6 else rng.integers(4) * np.pi / 2 + rng.normal(0, 0.05)
    cos, sin = np.float32(np.cos(angle)), np.float32(np.sin(angle))
    u, v = cos * x + sin * y, cos * y - sin * x
    tilt = rng.uniform(-0.45, 0.45, 2).astype(np.float32) * (rng.random() < 0.7)
    periods = size / rng.uniform(8, 40) / 2  # of 8 to 40 pixels each, over half the picture's width
    scale = np.float32(periods) / (1 + tilt[0] * u + tilt[1] * v)
    u = u * scale + rng.random(dtype=np.float32)
    v = v * scale * np.float32(rng.uniform(0.4, 1)) + rng.random(dtype=np.float32)
    duty = rng.uniform(0.15, 0.85)
    kind = rng.random()
    phase = _fraction(u)
    if kind < 0.5:
        cover = phase < duty
    elif kind < 0.7:
        cover = (phase < duty) & (_fraction(v) < duty)
    elif kind < 0.85:
        cover = (phase < 0.5) ^ (_fraction(v) < 0.5)
    else:
        shifted = v + np.floor(u) / 2  # every second row of bricks is shifted by a half
        cover = (phase < max(duty, 0.7)) & (_fraction(shifted) < 0.9)
    share = _shrunk(cover)
    relief = 1 + rng.uniform(-0.3, 0.3) * _shrunk(cover * phase) / np.maximum(share, 0.01)
    return _over(image, np.asarray(_colour(rng) * relief[..., None], np.float32), share)


def _polygons(rng: np.random.Generator, image: Image) -> Image:
    side = SUPERSAMPLING * image.shape[0]
    for _ in range(int(rng.integers(1, 6))):
        centre, radius = rng.uniform(0, side, 2), side * rng.uniform(0.1, 0.6)
        angles = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(3, 8))))
        points = centre + radius * np.stack((np.cos(angles), np.sin(angles)), 1) * rng.uniform(0.5, 1, 2)
        cover = np.zeros((side, side), np.uint8)
        if rng.random() < 0.2:
            axes = tuple(int(a) for a in radius * rng.uniform(0.4, 1, 2))
            cv2.ellipse(cover, [int(c) for c in centre], axes, rng.uniform(0, 180), 0, 360, 1, -1)
        else:
            cv2.fillPoly(cover, [points.astype(np.int32)], 1)
        colour = _colour(rng) * (1 + _ramp(rng, image.shape[0], 0.3))[..., None]
        image = _over(image, np.asarray(colour, np.float32), _shrunk(cover))
    return image


def _lines(rng: np.random.Generator, image: Image) -> Image:
    """Straight lines, double lines and curves: cables, curbs, frames, branches."""
    side = SUPERSAMPLING * image.shape[0]
    for _ in range(int(rng.integers(1, 5))):
        width = max(2, int(SUPERSAMPLING * rng.uniform(1, 7)))
        start, angle = rng.uniform(0, side, 2), rng.uniform(0, 2 * np.pi)
        along = np.linspace(-1.5 * side, 1.5 * side, 60)[:, None]
        direction = np.array([np.cos(angle), np.sin(angle)])
        across = np.array([-direction[1], direction[0]])
        bend = rng.normal(0, 0.25) / side * (rng.random() < 0.4)
        points = start + along * direction + bend * along**2 * across
        for gap in (0, rng.uniform(2, 6) * width) if rng.random() < 0.4 else (0,):
            cover = np.zeros((side, side), np.uint8)
            cv2.polylines(cover, [(points + gap * across).astype(np.int32)], False, 1, width)
            image = _over(image, _colour(rng), _shrunk(cover))
    return image


def _even(rng: np.random.Generator, image: Image) -> Image:
    """Nothing: the ground alone, or a second one shaded into it."""
    side = image.shape[0]
    return _over(image, _colour(rng), np.clip(0.5 + _ramp(rng, side, 0.8), 0, 1) * float(rng.uniform(0, 1)))
