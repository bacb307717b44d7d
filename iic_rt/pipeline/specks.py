"""Specks: holes so thin that every pixel is next to known ones. They are interpolated, and never reach the networks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from iic_rt.components import Component, find_components
from iic_rt.geometry import Box
from iic_rt.masks import Masks
from iic_rt.pipeline.image import ResultImage

__all__ = ["REACH", "START_RADIUS", "fill_specks", "find_specks", "interpolate_specks"]

Pixels = NDArray[np.uint8]

THICKEST = 3.0  # pixels from a speck's innermost pixel to the nearest known one
REACH = 2  # pixels around a speck that it is interpolated from
SURROUND = 9  # pixels around a component in which one sees how thick its neighbours are
START_RADIUS = 3  # pixels, of the Navier-Stokes inpainting that the solver starts from
ITERATIONS = 20  # of conjugate gradients; a speck of THICKEST has then converged to a part of a grey level
# The biharmonic operator, the Laplacian of the Laplacian: offsets and weights.
STENCIL = (
    ((0, 0), 20), ((0, 1), -8), ((0, -1), -8), ((1, 0), -8), ((-1, 0), -8), ((1, 1), 2), ((1, -1), 2), ((-1, 1), 2),
    ((-1, -1), 2), ((0, 2), 1), ((0, -2), 1), ((2, 0), 1), ((-2, 0), 1),
)  # fmt: skip


def interpolate_specks(image: ResultImage, masks: Masks) -> Masks:
    """Interpolates the specks of an image; returns what is left of the masks, in which the specks are known pixels."""
    specks = find_specks(masks.hole, masks.visible)
    if not specks:
        return masks
    hole = masks.hole.copy()
    known = [None if mask is None else mask.copy() for mask in (masks.visible, masks.copyable)]
    for speck in specks:
        window = speck.box.grown(START_RADIUS + REACH, *hole.shape)
        inside = speck.box.moved(-window.top, -window.left).slices
        pixels = image.read(window)
        own = np.zeros(pixels.shape[:2], np.uint8)
        own[inside] = speck.mask
        fill_specks(pixels[..., :3], own)  # alpha stays
        image.write(speck.box, pixels[inside])
        hole[speck.box.slices] &= 1 - speck.mask
        for mask in known:
            if mask is not None:
                mask[speck.box.slices] |= speck.mask
    return replace(masks, hole=hole, visible=known[0], copyable=known[1])


def find_specks(hole: Pixels, visible: Pixels | None = None) -> list[Component]:
    """The parts of a hole that are dust, scratches and single pixels: no thicker than twice ``THICKEST``.

    Args:
        hole: uint8 [H, W] in {0, 1}.
        visible: uint8 [H, W] in {0, 1} or None, known pixels that may be looked at; a hole beside others is no speck.
    """
    found = []
    for component in find_components(hole):
        window = component.box.grown(SURROUND, *hole.shape)
        part = np.ascontiguousarray(hole[window.slices])
        is_speck = _specks_in(part, None if visible is None else 1 - (visible[window.slices] | part))
        own = component.mask & is_speck[component.box.moved(-window.top, -window.left).slices]
        left, top, width, height = cv2.boundingRect(own)
        if width:
            box = Box(top, left, top + height, left + width)
            moved = box.moved(component.box.top, component.box.left)
            found.append(Component(moved, np.ascontiguousarray(own[box.slices])))
    return found


def _specks_in(hole: Pixels, hidden: Pixels | None) -> NDArray[np.bool_]:
    """Which pixels of a hole are those of specks; masks uint8 [h, w] in {0, 1}."""
    count, labels = cv2.connectedComponents(hole, connectivity=8)
    depth = cv2.distanceTransform(hole, cv2.DIST_L2, cv2.DIST_MASK_5)
    is_speck = np.ones(count, np.bool_)
    is_speck[0] = False
    is_speck[np.unique(labels[depth > THICKEST])] = False
    if is_speck.any():
        # A neighbour that is unknown itself tells nothing.
        unknown = (hole > 0) & ~is_speck[labels]
        if hidden is not None:
            unknown |= hidden > 0
        near = cv2.dilate(unknown.astype(np.uint8), np.ones((2 * REACH + 1,) * 2, np.uint8)) > 0
        is_speck[np.unique(labels[near])] = False
    return np.asarray(is_speck[labels])


def fill_specks(image: Pixels, specks: Pixels) -> None:
    """Fills specks in place by biharmonic interpolation: smooth, and as steep at the border as what is around it.

    Args:
        image: uint8 [H, W, 1] or [H, W, 3]; what stands in the specks is not read.
        specks: uint8 [H, W] in {0, 1}.
    """
    start = cv2.inpaint(np.ascontiguousarray(image), specks, START_RADIUS, cv2.INPAINT_NS)
    height, width, channels = image.shape
    y, x = np.nonzero(specks)
    # Outside the image the border is repeated.
    taps = [np.clip(y + dy, 0, height - 1) * width + np.clip(x + dx, 0, width - 1) for (dy, dx), _ in STENCIL]
    neighbours = np.stack(taps)  # [13, pixels]
    weights = np.array([[weight] for _, weight in STENCIL], np.float32)
    own = y * width + x
    values = np.asarray(start, np.float32).reshape(-1, channels)
    index = np.full(height * width, -1)
    index[own] = np.arange(len(own))
    among = index[neighbours]  # which neighbours are unknown too
    linked, known = weights * (among >= 0), weights * (among < 0)
    wanted = -np.einsum("kn,knc->nc", known, values[neighbours])

    def operator(v: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(np.einsum("kn,knc->nc", linked, v[among]))

    solved = _conjugate_gradients(operator, wanted, values[own])
    image[y, x] = np.clip(np.rint(solved), 0, 255)


def _conjugate_gradients(
    operator: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    wanted: NDArray[np.float32],
    start: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Solves ``operator(v) = wanted`` [N, C], each channel for itself (Hestenes and Stiefel 1952)."""
    v = start
    residual = wanted - operator(v)
    direction, size = residual, np.square(residual).sum(0)
    for _ in range(ITERATIONS):
        moved = operator(direction)
        step = size / np.maximum((direction * moved).sum(0), 1e-12)
        v = v + step * direction
        residual = residual - step * moved
        before, size = size, np.square(residual).sum(0)
        direction = residual + size / np.maximum(before, 1e-12) * direction
    return v
