"""Between the image's pixels and the loop, on the host: the way there, the seam, the detail, and the way back.

What they compute is specified in ``iic_rt.reference``. An engine on the CPU spends most of these graphs' time on moving
memory, computes the base twice, and computes all that is outside the hole as well.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from iic_rt.geometry import bounding_box
from iic_rt.resampling import BASE_REACH, PATCH

__all__ = ["close_seam", "enlarge", "put_into_hole", "shrink_region", "take_detail"]

HALF_RANGE = np.float32(127.5)
PIXELS_PER_BAND = 1 << 20  # that are float32 at once
SEAM_REACH = 2  # working pixels around one that its means are taken over

Array = NDArray[np.float32]
Pixels = NDArray[np.uint8]


def shrink_region(image: Pixels, visible: Pixels, weights: Array, order: Array, y: Array, m: Array) -> None:
    """The ``prepare`` graph for one image, into ``y`` and ``m``: ``iic_rt.reference.algorithm.prepare``.

    Args:
        image: uint8 [S, S, C].
        visible: uint8 [S, S], 0 = not to be looked at.
        weights: [4, p] of ``iic_rt.resampling.area_weights``, whose areas OpenCV knows by itself.
        order: [3, C], makes RGB of the image's channels.
        y: written, [3, s, s] in [-1, 1], 0 in the hole.
        m: written, [s, s] in {0, 1}.
    """
    side, p, size = len(image), weights.shape[1], len(m)
    small, hidden = np.empty((size, size, image.shape[2]), np.float32), np.zeros((size, size), np.float32)
    rows = p * max(1, PIXELS_PER_BAND // (p * side))
    for top in range(0, side, rows):
        band = slice(top, min(side, top + rows))
        to = slice(PATCH * top // p, PATCH * band.stop // p)
        shape = size, to.stop - to.start
        shrunk = cv2.resize(image[band].astype(np.float32), shape, interpolation=cv2.INTER_AREA)
        small[to] = shrunk.reshape(small[to].shape)
        is_hidden = visible[band] == 0
        if is_hidden.any():
            hidden[to] = cv2.resize(is_hidden.astype(np.float32), shape, interpolation=cv2.INTER_AREA)
    np.copyto(m, hidden > 0)
    for plane, row in zip(y, order, strict=True):
        colour = _mixed(np.moveaxis(small, 2, 0), row)
        colour /= HALF_RANGE
        colour -= 1
        np.multiply(colour, m == 0, out=plane)


def close_seam(y: Array, m: Array, low: Array) -> None:
    """The ``seam`` graph for one image, into ``low``: ``iic_rt.reference.pixels.close_seam``.

    Args:
        y: [3, s, s], the loop's result.
        m: [s, s] in {0, 1}, what it has filled.
        low: written, [3, s + 12, s + 12].
    """
    picture = np.clip(y, -1, 1)
    if m.any():
        box = bounding_box(m)
        window = box.grown(SEAM_REACH, *m.shape)
        inside = box.moved(-window.top, -window.left).slices
        part, hole = picture[:, window.slices[0], window.slices[1]], m[window.slices]
        parts = np.empty((*hole.shape, 8), np.float32)
        for at, share in ((slice(0, 3), 1 - hole), (slice(3, 6), hole)):
            np.multiply(part.transpose(1, 2, 0), share[..., None], out=parts[..., at])
        parts[..., 6], parts[..., 7] = 1 - hole, hole
        # What lies outside the image does not count; what lies outside the window is not asked for.
        count = _sums(np.ones(m.shape, np.float32))[window.slices]
        for _ in range(2):
            parts = _sums(parts) / count[..., None]
        near = parts[inside][hole[inside] > 0]
        means = near[:, :6].reshape(-1, 2, 3) / np.maximum(near[:, 6:], 1e-6)[..., None]
        change = (means[:, 0] - means[:, 1]) * np.minimum(2 * near[:, 6:7], 1)
        rows, columns = np.nonzero(hole)
        part[:, rows, columns] += change.T
    low[...] = np.pad(picture, ((0, 0), *2 * [(BASE_REACH, BASE_REACH)]), mode="edge")


def _sums(values: Array) -> Array:
    """Over 3 x 3 pixels, [h, w] or [h, w, C]."""
    return np.asarray(cv2.boxFilter(values, -1, (3, 3), normalize=False, borderType=cv2.BORDER_CONSTANT), np.float32)


def enlarge(low: Array, weights: Array) -> Array:
    """``iic_rt.reference.pixels.enlarge`` for one image.

    Args:
        low: [C, a, b], C-contiguous along its rows.
        weights: [p, 16] of ``iic_rt.resampling.base_weights`` or ``enlarge_weights``.

    Returns:
        float32 [C, h, w].
    """
    (channels, height, width), (p, taps) = low.shape, weights.shape
    down, across = ((n - 2 * BASE_REACH) // PATCH for n in (height, width))
    found = np.empty((channels, down * p, across * p), np.float32)
    for plane, large in zip(low, found, strict=True):
        # Overlapping groups of rows, then of columns: views whose products BLAS computes without a copy.
        rows, columns = plane.strides
        groups = np.lib.stride_tricks.as_strided(plane, (down, taps, width), (PATCH * rows, rows, columns))
        tall = np.matmul(weights, groups).reshape(down * p, width)
        rows, columns = tall.strides
        groups = np.lib.stride_tricks.as_strided(tall, (across, down * p, taps), (PATCH * columns, rows, columns))
        np.matmul(groups, weights.T, out=large.reshape(down * p, across, p).transpose(1, 0, 2))
    return found


def take_detail(
    image: Pixels,
    visible: Pixels,
    low: Array,
    weights: Array,
    order: Array,
    detail: NDArray[np.floating],
    inside: NDArray[np.floating],
) -> None:
    """The ``detail`` graph for one image, into ``detail`` [3, h, w] and ``inside`` [h, w].

    Args:
        image: uint8 [h, w, C].
        visible: uint8 [h, w], 0 = not to be looked at.
        low: [3, a, b].
        weights: [p, 16].
        order: [3, C], makes RGB of the image's channels.
        detail: written: the image in [-1, 1] minus the base; 0 where nothing is visible.
        inside: written: 1 where nothing is visible, 0 elsewhere.
    """
    hidden = visible == 0
    known = np.asarray(~hidden, np.float32)
    for plane, base, row in zip(detail, enlarge(low, weights), order, strict=True):
        colour = _mixed(np.moveaxis(image, 2, 0), row)
        colour /= HALF_RANGE
        colour -= 1
        colour -= base
        np.multiply(colour, known, out=plane, casting="same_kind")
    inside[...] = hidden


def put_into_hole(
    low: Array,
    weights: Array,
    mixed: NDArray[np.floating] | None,
    image: Pixels,
    hole: Pixels,
    order: Array,
    keep: Array,
    filled: Pixels,
) -> None:
    """The ``add_detail`` graph for one image, or with ``mixed`` None the ``composite`` graph, into ``filled``.

    Args:
        low: [3, a, b].
        weights: [p, 16].
        mixed: [3, h, w], is added.
        image: uint8 [h, w, C].
        hole: uint8 [h, w], nonzero = filled.
        order: [C, 3], makes the image's channels of RGB.
        keep: [C, 1, 1] in {0, 1}, 1 = this channel stays as it is.
        filled: uint8 [h, w, C], written: ``image`` with its hole filled.
    """
    np.copyto(filled, image)
    if not hole.any():
        return
    box, p = bounding_box(hole), len(weights)
    # The patches that the hole lies in, and what their base is made of.
    first, last = (box.top // p, box.left // p), (-(-box.bottom // p), -(-box.right // p))
    rows, columns = (slice(PATCH * a, PATCH * b + 2 * BASE_REACH) for a, b in zip(first, last, strict=True))
    base = enlarge(np.ascontiguousarray(low[:, rows, columns]), weights)
    window = slice(p * first[0], p * last[0]), slice(p * first[1], p * last[1])
    if mixed is not None:
        base += mixed[:, window[0], window[1]]
    target, is_hole = filled[window], hole[window] > 0
    for channel, row in enumerate(order):
        if keep[channel, 0, 0] > 0:
            continue
        values = _mixed(base, row)
        values *= HALF_RANGE
        values += HALF_RANGE
        np.rint(values, out=values)
        np.clip(values, 0, 255, out=values)
        np.copyto(target[..., channel], values.astype(np.uint8), where=is_hole)


def _mixed(channels: NDArray[np.generic], row: Array) -> Array:
    """The sum of channels times their weights; mostly it is one of them."""
    used = np.flatnonzero(row)
    mixed: Array = np.multiply(channels[used[0]], row[used[0]], dtype=np.float32)
    for channel in used[1:]:
        mixed += np.multiply(channels[channel], row[channel], dtype=np.float32)
    return mixed
