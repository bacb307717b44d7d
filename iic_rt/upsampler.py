"""Guided upsampling: high resolution inside the hole from real patches of the crop (Sec. 3.3 of the paper)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from iic_rt.backends.base import Backend, Buffer
from iic_rt.loop import Crop, Loop
from iic_rt.patches import BASE_REACH, PATCH, base_weights, blend, patch_cells, patch_weights, windows

__all__ = ["Plan", "Span", "Upsampled", "Upsampler", "spans"]

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


def spans(groups: int, p: int, tile_pixels: int) -> list[Span]:
    """Spans of equal length that together keep each of ``groups`` patches of ``p`` pixels once.

    A tile of two spans has ``tile_pixels`` at most.

    Every span starts at a multiple of 4 pixels, as the strides of the encoder do. ``groups`` is even.
    """
    unit = 1 if p % 4 == 0 else 2

    def rounded(patches: float) -> int:
        return unit * math.ceil(patches / unit)

    halo = rounded(REACH / p)
    longest = math.isqrt(tile_pixels) // p
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
    """Owns the buffers for the sizes of crop last seen, as many as fit one tile together, or for a larger one.

    Args:
        backend: has the graphs ``similarity``, ``features``, ``replace`` and ``to_rgb``.
        loop: of the same backend; its results are upsampled, and its crops are used where they go through whole.
    """

    def __init__(self, backend: Backend, loop: Loop) -> None:
        self._backend, self._loop, self._size = backend, loop, loop.working_size
        padded = self._size + 2 * BASE_REACH
        q = backend.bundle.graphs["similarity"].tensor("q")
        self._low = backend.allocate((1, 3, padded, padded), "float32")
        self._q = backend.allocate((1, (self._size // PATCH) ** 2, int(q.shape[-1])), q.dtype)
        outputs = {"q": self._q, "low": self._low}
        self._similarity = [backend.bind("similarity", {"y": y, "m": loop.hole}, outputs) for y in loop.results]
        self._plans: dict[int, Plan] = {}  # by side, the oldest first

    def plan(self, side: int) -> Plan:
        """The buffers for crops of ``side`` pixels."""
        crop = self._loop.crop(side)
        if side not in self._plans or self._plans[side].crop is not crop:
            self._plans.pop(side, None)
            # A camera's holes come in a few sizes that must not cost buffers in every frame; memory goes back first.
            while self._plans and sum(s * s for s in self._plans) + side * side > self._backend.tile_pixels:
                del self._plans[next(iter(self._plans))]
            self._plans[side] = Plan(self._backend, self._size, side, crop, self._q, self._low)
        return self._plans[side]

    def upsample(self, image: Pixels, unknown: Pixels, hole: Pixels, closed: Pixels, *, result: int) -> Upsampled:
        """Rebuilds the hole of a crop.

        Args:
            image: uint8 [S, S, 3].
            unknown: uint8 [S, S] in {0, 1}: pixels that are not looked at, the hole among them.
            hole: uint8 [S, S] in {0, 1}: pixels to rebuild.
            closed: uint8 [S, S] in {0, 1}: pixels that must not be copied, the unknown ones among them.
            result: which of the loop's buffers holds y.
        """
        plan = self.plan(image.shape[0])
        if not plan.whole:
            self._similarity[result].enqueue()
            return plan.run_tiles(image, unknown, hole, closed)
        plan.crop.stage(image, unknown)
        plan.crop.upload()
        plan.stage(hole, closed)
        self.enqueue(plan, result)
        plan.download()
        self._backend.wait()
        return plan.collect(hole)

    def enqueue(self, plan: Plan, result: int) -> None:
        """Enqueues what a whole plan was given to stage, and all four graphs; the crop itself was uploaded."""
        plan.upload()
        self._similarity[result].enqueue()
        plan.enqueue()


class Plan:
    """Buffers and bindings for crops of one side.

    Attributes:
        crop: the loop's buffers for the same side.
        whole: the crop goes through every graph at once; otherwise in tiles, by way of the host.
        partial: patches with unknown pixels may be copied in the crop that was staged last.
    """

    def __init__(self, backend: Backend, working_size: int, side: int, crop: Crop, q: Buffer, low: Buffer) -> None:
        self.crop, self.side, self._low = crop, side, low
        self._p = p = side * PATCH // working_size
        self._groups = groups = working_size // PATCH
        self._tiles = list(product(spans(groups, p, backend.tile_pixels), repeat=2))  # rows, columns
        cells, length = side // 2, self._tiles[0][0].stop
        half, margin = patch_cells(p)
        dtype = backend.bundle.graphs["replace"].tensor("features").dtype
        row_bytes = np.dtype(dtype).itemsize * (groups * (half + 2 * margin)) ** 2
        self._channels = channels = next(c for c in (16, 8, 4, 2, 1) if c == 1 or c * row_bytes <= backend.rows_bytes)
        self.whole = len(self._tiles) == 1 and channels == CHANNELS
        self.partial = False

        def buffer(*shape: int, dtype: str = dtype) -> Buffer:
            return backend.allocate(shape, dtype)

        def shared(*shape: int, dtype: str) -> Buffer:
            return backend.allocate(shape, dtype, shared=True)

        def constant(values: NDArray[np.generic]) -> Buffer:
            made = backend.allocate(values.shape, str(values.dtype))
            made.write(values)
            return made

        pad = 2 * BASE_REACH
        tile = length * p
        self._image = crop.image if self.whole else buffer(tile, tile, 3, dtype="uint8")
        self._unknown = crop.mask if self.whole else buffer(tile, tile, dtype="uint8")
        tile_low = length * PATCH + pad
        self._low_tile = self._low if self.whole else buffer(1, 3, tile_low, tile_low, dtype="float32")
        weights = constant(base_weights(side / working_size))
        self._features, self._inside = (buffer(1, c, length * half, length * half) for c in (CHANNELS, 1))
        base = {"low": self._low_tile, "weights": weights}
        self._encode = backend.bind(
            "features",
            base | {"image": self._image, "unknown": self._unknown},
            {"features": self._features, "inside": self._inside},
        )
        self._chunk = self._features if self.whole else buffer(1, channels, cells, cells)
        self._inside_all = self._inside if self.whole else buffer(1, 1, cells, cells)
        self._mixed = buffer(1, channels, cells, cells)
        self._hole, self._weight, self._replaced = (shared(1, groups, groups, dtype="float32") for _ in range(3))
        first, second, share = (constant(values) for values in blend(groups, p))
        grid = {"q": q, "inside": self._inside_all, "hole": self._hole, "weight": self._weight, "first": first}
        grid |= {"second": second, "share": share, "windows": constant(windows(groups, p))}
        outputs = {"mixed": self._mixed, "replaced": self._replaced}
        self._replace = backend.bind("replace", grid | {"features": self._chunk}, outputs)
        # What is unknown, copied as if it were a feature: which cells were rebuilt from nothing.
        self._missing = shared(1, 1, cells, cells, dtype=dtype)
        outputs = {"mixed": self._missing, "replaced": self._replaced}
        self._copy_unknown = backend.bind("replace", grid | {"features": self._inside_all}, outputs)
        self._mixed_tile = self._mixed if self.whole else buffer(1, CHANNELS, length * half, length * half)
        self._out = shared(tile, tile, 3, dtype="uint8")
        self._decode = backend.bind("to_rgb", base | {"mixed": self._mixed_tile}, {"image": self._out})

    def stage(self, hole: Pixels, closed: Pixels) -> NDArray[np.bool_]:
        """Puts what is asked of the patches where the next upload takes it from; returns which are to be replaced."""
        patch_hole = self._patch_hole(hole)
        weights = patch_weights(closed, self._p)
        self.partial = bool(((weights > 0) & (weights < 1)).any())
        self._hole.stage(patch_hole[None].astype(np.float32))
        self._weight.stage(weights[None])
        return patch_hole

    def _patch_hole(self, hole: Pixels) -> NDArray[np.bool_]:
        inside: NDArray[np.bool_] = hole.reshape(self._groups, self._p, self._groups, self._p).max((1, 3)) > 0
        return inside

    def upload(self) -> None:
        self._hole.upload()
        self._weight.upload()

    def enqueue(self) -> None:
        """Enqueues the graphs behind ``similarity``, for a whole crop."""
        self._encode.enqueue()
        self._replace.enqueue()
        if self.partial:
            self._copy_unknown.enqueue()
        self._decode.enqueue()

    def download(self) -> None:
        """Enqueues the copies that :meth:`collect` reads."""
        for buffer in (self._out, self._replaced, *([self._missing] if self.partial else [])):
            buffer.download()

    def collect(self, hole: Pixels) -> Upsampled:
        """The whole crop, once its download is done; ``image`` is a copy."""
        return Upsampled(self._out.host.copy(), self._missing_in(hole), self._found(self._patch_hole(hole)))

    def _found(self, patch_hole: NDArray[np.bool_]) -> bool:
        return bool((self._replaced.host[0] >= patch_hole).all())

    def _missing_in(self, hole: Pixels) -> Pixels:
        if not self.partial:
            return np.zeros_like(hole)
        return np.repeat(np.repeat(self._missing.host[0, 0] > 0.5, 2, 0), 2, 1) & hole

    def run_tiles(self, image: Pixels, unknown: Pixels, hole: Pixels, closed: Pixels) -> Upsampled:
        """Rebuilds a crop that is too large for one run of each graph; ``similarity`` was enqueued."""
        patch_hole = self.stage(hole, closed)
        self.upload()
        features = self._run_features(image, unknown)
        for channel in range(0, CHANNELS, self._channels):
            part = features[channel : channel + self._channels]
            self._chunk.write(part[None])
            self._replace.enqueue()
            part[:] = self._mixed.read()[0]
        if self.partial:
            self._copy_unknown.enqueue()
            self._missing.read()
        self._replaced.read()
        result = np.zeros(image.shape, np.uint8)
        for rows, columns in self._tiles:
            if patch_hole[rows.to(1), columns.to(1)].any():
                self._run_rgb(rows, columns, features, result)
        return Upsampled(result, self._missing_in(hole), self._found(patch_hole))

    def _write_low(self, rows: Span, columns: Span) -> None:
        margin = 2 * BASE_REACH
        self._low_tile.write(self._low.read()[:, :, rows.at(PATCH, margin), columns.at(PATCH, margin)])

    def _run_features(self, image: Pixels, unknown: Pixels) -> NDArray[np.floating]:
        """The last feature map [16, S/2, S/2] on the host."""
        p, half, cells = self._p, self._p // 2, self.side // 2
        features = np.empty((CHANNELS, cells, cells), self._features.dtype)
        inside = np.empty((1, 1, cells, cells), self._inside.dtype)
        for rows, columns in self._tiles:
            self._image.write(image[rows.at(p), columns.at(p)])
            self._unknown.write(unknown[rows.at(p), columns.at(p)])
            self._write_low(rows, columns)
            self._encode.enqueue()
            of = rows.of(half), columns.of(half)
            features[:, rows.to(half), columns.to(half)] = self._features.read()[0, :, of[0], of[1]]
            inside[:, :, rows.to(half), columns.to(half)] = self._inside.read()[:, :, of[0], of[1]]
        self._inside_all.write(inside)
        return features

    def _run_rgb(self, rows: Span, columns: Span, features: NDArray[np.floating], result: Pixels) -> None:
        p, half = self._p, self._p // 2
        self._mixed_tile.write(features[None, :, rows.at(half), columns.at(half)])
        self._write_low(rows, columns)
        self._decode.enqueue()
        result[rows.to(p), columns.to(p)] = self._out.read()[rows.of(p), columns.of(p)]
