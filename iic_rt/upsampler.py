"""Guided upsampling: high resolution inside the hole from real patches of the crop (Sec. 3.3 of the paper)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from iic_rt.backends.base import Backend, Buffer
from iic_rt.patches import BASE_REACH, PATCH, base_weights, blend, patch_cells, patch_weights, windows

__all__ = ["TILE_PIXELS", "Span", "Upsampled", "Upsampler", "spans"]

TILE_PIXELS = 3 << 19  # crop pixels that go through the convolutions at once
ROWS_BYTES = 1 << 25  # memory of the patches as rows; a larger crop goes channel by channel
CHANNELS = 16  # of the last feature map
REACH = 12  # crop pixels around a tile that its features depend on

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Upsampled:
    """What guided upsampling made of a crop."""

    image: Pixels  # [S, S, 3], written in tiles with hole pixels only; the rest is 0
    missing: Pixels  # [S, S] in {0, 1}, hole pixels rebuilt mostly from pixels that were unknown themselves
    found: bool  # False: no patch was valid, and the hole holds the blurred low-resolution result


@dataclass(frozen=True)
class Span:
    """Patches [start, stop) of one axis go through a graph, of which [first, last) are kept."""

    start: int
    stop: int
    first: int
    last: int

    def at(self, cells: int, margin: int = 0) -> slice:
        """What goes through, where a patch has so many ``cells``, with a margin behind."""
        return slice(self.start * cells, self.stop * cells + margin)

    def to(self, cells: int) -> slice:
        """Where in the whole the kept part belongs."""
        return slice(self.first * cells, self.last * cells)

    def of(self, cells: int) -> slice:
        """Where in the tile the kept part is."""
        return slice((self.first - self.start) * cells, (self.last - self.start) * cells)


def spans(groups: int, p: int) -> list[Span]:
    """Spans of equal length that together keep each of ``groups`` patches of ``p`` pixels once.

    Every span starts at a multiple of 4 pixels, as the strides of the encoder do. ``groups`` is even.
    """
    unit = 1 if p % 4 == 0 else 2

    def rounded(patches: float) -> int:
        return unit * math.ceil(patches / unit)

    halo = rounded(REACH / p)
    longest = math.isqrt(TILE_PIXELS) // p
    if longest >= groups:
        return [Span(0, groups, 0, groups)]
    count = math.ceil(groups / max(unit, longest - 2 * halo))
    kept = rounded(groups / count)
    length = min(groups, kept + 2 * halo)
    found = []
    for first in range(0, groups, kept):
        start = min(max(0, first - halo), groups - length)
        found.append(Span(start, start + length, first, min(first + kept, groups)))
    return found


class Upsampler:
    """Owns the buffers for the sizes of crop last seen, as many as fit ``TILE_PIXELS`` together, or for a larger one.

    Args:
        backend: has the graphs ``similarity``, ``features``, ``replace`` and ``to_rgb``.
        results: buffers [1, 3, s, s] that the loop may leave its y in.
        hole: buffer [1, 1, s, s], the unknown pixels that the loop filled.
        descriptor: entries of a patch's descriptor.
    """

    def __init__(self, backend: Backend, *, results: Sequence[Buffer], hole: Buffer, descriptor: int) -> None:
        self._backend, self._size = backend, hole.shape[-1]
        padded = self._size + 2 * BASE_REACH
        self._low = backend.allocate((1, 3, padded, padded), "float32")
        self._q = backend.allocate((1, (self._size // PATCH) ** 2, descriptor), "float32")
        outputs = {"q": self._q, "low": self._low}
        self._similarity = [backend.bind("similarity", {"y": y, "m": hole}, outputs) for y in results]
        self._plans: dict[int, _Plan] = {}  # by side, the oldest first

    def upsample(
        self, image: Pixels, unknown: Pixels, hole: Pixels, *, result: int, barred: Pixels | None = None
    ) -> Upsampled:
        """Rebuilds the hole of a crop.

        Args:
            image: uint8 [S, S, 3].
            unknown: uint8 [S, S] in {0, 1}: pixels that are neither read nor copied, the hole among them.
            hole: uint8 [S, S] in {0, 1}: pixels to rebuild.
            result: which of the loop's buffers holds y.
            barred: uint8 [S, S] in {0, 1}: known pixels that must not be copied.
        """
        side = image.shape[0]
        if side not in self._plans:
            # A camera's holes come in a few sizes that must not cost buffers in every frame; memory goes back first.
            while self._plans and sum(s * s for s in self._plans) + side * side > TILE_PIXELS:
                del self._plans[next(iter(self._plans))]
            self._plans[side] = _Plan(self._backend, self._size, side, self._q, self._low)
        self._similarity[result].enqueue()
        return self._plans[side].run(image, unknown, hole, unknown if barred is None else unknown | barred)


class _Plan:
    """Buffers and bindings for crops of one side."""

    def __init__(self, backend: Backend, working_size: int, side: int, q: Buffer, low: Buffer) -> None:
        self.side, self._low = side, low
        self._p = p = side * PATCH // working_size
        self._groups = groups = working_size // PATCH
        self._tiles = list(product(spans(groups, p), repeat=2))  # rows, columns
        cells, length = side // 2, self._tiles[0][0].stop
        half, margin = patch_cells(p)
        row_bytes = 4 * (groups * (half + 2 * margin)) ** 2
        self._channels = channels = next(c for c in (16, 8, 4, 2, 1) if c == 1 or c * row_bytes <= ROWS_BYTES)
        self._whole = len(self._tiles) == 1 and channels == CHANNELS

        def buffer(*shape: int, dtype: str = "float32") -> Buffer:
            return backend.allocate(shape, dtype)

        def constant(values: NDArray[np.generic]) -> Buffer:
            made = backend.allocate(values.shape, str(values.dtype))
            made.write(values)
            return made

        pad = 2 * BASE_REACH
        self._image = buffer(length * p, length * p, 3, dtype="uint8")
        self._unknown = buffer(length * p, length * p, dtype="uint8")
        tile_low = length * PATCH + pad
        self._low_tile = self._low if self._whole else buffer(1, 3, tile_low, tile_low)
        weights = constant(base_weights(side / working_size))
        self._features, self._inside = (buffer(1, c, length * half, length * half) for c in (CHANNELS, 1))
        base = {"low": self._low_tile, "weights": weights}
        self._encode = backend.bind(
            "features",
            base | {"image": self._image, "unknown": self._unknown},
            {"features": self._features, "inside": self._inside},
        )
        self._chunk = self._features if self._whole else buffer(1, channels, cells, cells)
        self._inside_all = self._inside if self._whole else buffer(1, 1, cells, cells)
        self._mixed = buffer(1, channels, cells, cells)
        self._hole, self._weight, self._replaced = (buffer(1, groups, groups) for _ in range(3))
        first, second, share = (constant(values) for values in blend(groups, p))
        grid = {"q": q, "inside": self._inside_all, "hole": self._hole, "weight": self._weight, "first": first}
        grid |= {"second": second, "share": share, "windows": constant(windows(groups, p))}
        outputs = {"mixed": self._mixed, "replaced": self._replaced}
        self._replace = backend.bind("replace", grid | {"features": self._chunk}, outputs)
        # What is unknown, copied as if it were a feature: which cells were rebuilt from nothing.
        self._missing = buffer(1, 1, cells, cells)
        outputs = {"mixed": self._missing, "replaced": self._replaced}
        self._copy_unknown = backend.bind("replace", grid | {"features": self._inside_all}, outputs)
        self._mixed_tile = self._mixed if self._whole else buffer(1, CHANNELS, length * half, length * half)
        self._out = buffer(length * p, length * p, 3, dtype="uint8")
        self._decode = backend.bind("to_rgb", base | {"mixed": self._mixed_tile}, {"image": self._out})

    def run(self, image: Pixels, unknown: Pixels, hole: Pixels, closed: Pixels) -> Upsampled:
        groups, p = self._groups, self._p
        patch_hole: NDArray[np.bool_] = hole.reshape(groups, p, groups, p).max((1, 3)) > 0
        self._hole.write(patch_hole[None].astype(np.float32))
        weights = patch_weights(closed, p)
        self._weight.write(weights[None])
        features = self._run_features(image, unknown)
        self._run_replace(features)
        found = bool((self._replaced.read()[0] >= patch_hole).all())
        missing = np.zeros_like(hole)
        if ((weights > 0) & (weights < 1)).any():
            self._copy_unknown.enqueue()
            missing = np.repeat(np.repeat(self._missing.read()[0, 0] > 0.5, 2, 0), 2, 1) & hole
        result = np.zeros(image.shape, np.uint8)
        for rows, columns in self._tiles:
            if patch_hole[rows.to(1), columns.to(1)].any():
                self._run_rgb(rows, columns, features, result)
        return Upsampled(result, missing, found)

    def _write_low(self, rows: Span, columns: Span) -> None:
        if not self._whole:
            margin = 2 * BASE_REACH
            self._low_tile.write(self._low.read()[:, :, rows.at(PATCH, margin), columns.at(PATCH, margin)])

    def _run_features(self, image: Pixels, unknown: Pixels) -> NDArray[np.float32] | None:
        """The last feature map; on the host [16, S/2, S/2] when it does not fit one run of each graph."""
        p, half, cells = self._p, self._p // 2, self.side // 2
        features = None if self._whole else np.empty((CHANNELS, cells, cells), np.float32)
        inside = None if self._whole else np.empty((1, 1, cells, cells), np.float32)
        for rows, columns in self._tiles:
            self._image.write(image[rows.at(p), columns.at(p)])
            self._unknown.write(unknown[rows.at(p), columns.at(p)])
            self._write_low(rows, columns)
            self._encode.enqueue()
            if features is not None and inside is not None:
                of = rows.of(half), columns.of(half)
                features[:, rows.to(half), columns.to(half)] = self._features.read()[0, :, of[0], of[1]]
                inside[:, :, rows.to(half), columns.to(half)] = self._inside.read()[:, :, of[0], of[1]]
        if inside is not None:
            self._inside_all.write(inside)
        return features

    def _run_replace(self, features: NDArray[np.float32] | None) -> None:
        if features is None:
            self._replace.enqueue()
            return
        for channel in range(0, CHANNELS, self._channels):
            part = features[channel : channel + self._channels]
            self._chunk.write(part[None])
            self._replace.enqueue()
            part[:] = self._mixed.read()[0]

    def _run_rgb(self, rows: Span, columns: Span, features: NDArray[np.float32] | None, result: Pixels) -> None:
        p, half = self._p, self._p // 2
        if features is not None:
            self._mixed_tile.write(features[None, :, rows.at(half), columns.at(half)])
        self._write_low(rows, columns)
        self._decode.enqueue()
        result[rows.to(p), columns.to(p)] = self._out.read()[rows.of(p), columns.of(p)]
