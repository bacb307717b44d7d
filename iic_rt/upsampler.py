"""Guided upsampling: high resolution inside the hole from real patches of the crop (Sec. 3.3 of the paper)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from iic_rt.backends.base import Backend, Buffer
from iic_rt.patches import BASE_REACH, PATCH, base_weights, blend, patch_cells, patch_weights, windows

__all__ = ["STRIP_PIXELS", "Upsampled", "Upsampler", "strips"]

STRIP_PIXELS = 1 << 21  # crop pixels that go through the convolutions at once
ROWS_BYTES = 1 << 25  # memory of the patches as rows; a larger crop goes channel by channel
CHANNELS = 16  # of the last feature map
REACH = 12  # crop pixels around a strip that its features depend on

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Upsampled:
    """What guided upsampling made of a crop."""

    image: Pixels  # [S, S, 3], written in strips with hole pixels only; the rest is undefined
    partly: Pixels  # [S, S] in {0, 1}, hole pixels rebuilt from patches that were not wholly known
    found: bool  # False: no patch was valid, and the hole holds the blurred low-resolution result


@dataclass(frozen=True)
class Strip:
    """Patch rows [start, stop) go through the graph, of which [first, last) are kept."""

    start: int
    stop: int
    first: int
    last: int


def strips(groups: int, p: int) -> list[Strip]:
    """Strips of equal height that together cover ``groups`` rows of patches of ``p`` pixels."""
    halo = -(-REACH // p)
    fit = STRIP_PIXELS // (groups * p * p)
    if fit >= groups:
        return [Strip(0, groups, 0, groups)]
    rows = max(1, fit - 2 * halo)
    height = min(groups, rows + 2 * halo)
    found = []
    for first in range(0, groups, rows):
        start = min(max(0, first - halo), groups - height)
        found.append(Strip(start, start + height, first, min(first + rows, groups)))
    return found


class Upsampler:
    """Owns the buffers for one size of crop at a time; a crop of another size replaces them.

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
        self._plan: _Plan | None = None

    def upsample(self, image: Pixels, unknown: Pixels, hole: Pixels, *, result: int) -> Upsampled:
        """Rebuilds the hole of a crop.

        Args:
            image: uint8 [S, S, 3].
            unknown: uint8 [S, S] in {0, 1}: pixels that are neither read nor copied, the hole among them.
            hole: uint8 [S, S] in {0, 1}: pixels to rebuild.
            result: which of the loop's buffers holds y.
        """
        side = image.shape[0]
        if self._plan is None or self._plan.side != side:
            self._plan = None  # give the memory back before the next plan takes its own
            self._plan = _Plan(self._backend, self._size, side, self._q, self._low)
        self._similarity[result].enqueue()
        return self._plan.run(image, unknown, hole)


class _Plan:
    """Buffers and bindings for crops of one side."""

    def __init__(self, backend: Backend, working_size: int, side: int, q: Buffer, low: Buffer) -> None:
        self.side, self._low = side, low
        self._p = p = side * PATCH // working_size
        self._groups = groups = working_size // PATCH
        self._strips = strips(groups, p)
        cells, height = side // 2, self._strips[0].stop - self._strips[0].start
        half, margin = patch_cells(p)
        row_bytes = 4 * (groups * (half + 2 * margin)) ** 2
        self._channels = channels = next(c for c in (16, 8, 4, 2, 1) if c == 1 or c * row_bytes <= ROWS_BYTES)
        self._whole = len(self._strips) == 1 and channels == CHANNELS

        def buffer(*shape: int, dtype: str = "float32") -> Buffer:
            return backend.allocate(shape, dtype)

        def constant(values: NDArray[np.generic]) -> Buffer:
            made = backend.allocate(values.shape, str(values.dtype))
            made.write(values)
            return made

        size, pad, patches = working_size, 2 * BASE_REACH, groups**2
        self._image = buffer(height * p, side, 3, dtype="uint8")
        self._unknown = buffer(height * p, side, dtype="uint8")
        self._low_strip = self._low if self._whole else buffer(1, 3, height * PATCH + pad, size + pad)
        weights = constant(base_weights(side / working_size))
        self._features, self._inside = (buffer(1, c, height * half, cells) for c in (CHANNELS, 1))
        base = {"low": self._low_strip, "weights": weights}
        self._encode = backend.bind(
            "features",
            base | {"image": self._image, "unknown": self._unknown},
            {"features": self._features, "inside": self._inside},
        )
        self._chunk = self._features if self._whole else buffer(1, channels, cells, cells)
        self._inside_all = self._inside if self._whole else buffer(1, 1, cells, cells)
        self._mixed = buffer(1, channels, cells, cells)
        self._hole, self._weight = buffer(1, patches), buffer(1, patches)
        self._replaced, self._partly = buffer(1, patches), buffer(1, patches)
        first, second, share = (constant(values) for values in blend(groups, p))
        self._replace = backend.bind(
            "replace",
            {
                "q": q,
                "features": self._chunk,
                "inside": self._inside_all,
                "hole": self._hole,
                "weight": self._weight,
                "windows": constant(windows(groups, p)),
                "first": first,
                "second": second,
                "share": share,
            },
            {"mixed": self._mixed, "replaced": self._replaced, "partly": self._partly},
        )
        self._mixed_strip = self._mixed if self._whole else buffer(1, CHANNELS, height * half, cells)
        self._out = buffer(height * p, side, 3, dtype="uint8")
        self._decode = backend.bind("to_rgb", base | {"mixed": self._mixed_strip}, {"image": self._out})

    def run(self, image: Pixels, unknown: Pixels, hole: Pixels) -> Upsampled:
        groups, p = self._groups, self._p
        patch_hole: NDArray[np.bool_] = hole.reshape(groups, p, groups, p).max((1, 3)) > 0
        self._hole.write(patch_hole.reshape(1, -1).astype(np.float32))
        self._weight.write(patch_weights(unknown, p)[None])
        features = self._run_features(image, unknown)
        self._run_replace(features)
        partly = (self._partly.read().reshape(groups, groups) > 0.5) & patch_hole
        found = bool((self._replaced.read().reshape(groups, groups) >= patch_hole).all())
        result = np.empty(image.shape, np.uint8)
        for strip in self._strips:
            if patch_hole[strip.first : strip.last].any():
                self._run_rgb(strip, features, result)
        return Upsampled(result, np.repeat(np.repeat(partly, p, 0), p, 1) & hole, found)

    def _cells(self, strip: Strip) -> tuple[slice, slice]:
        """Where the kept patch rows of a strip lie: in the feature map, and in the strip's own."""
        half = self._p // 2
        return slice(strip.first * half, strip.last * half), slice(
            (strip.first - strip.start) * half, (strip.last - strip.start) * half
        )

    def _write_low(self, strip: Strip) -> None:
        if not self._whole:
            rows = slice(strip.start * PATCH, strip.stop * PATCH + 2 * BASE_REACH)
            self._low_strip.write(self._low.read()[:, :, rows])

    def _run_features(self, image: Pixels, unknown: Pixels) -> NDArray[np.float32] | None:
        """The last feature map; on the host [16, S/2, S/2] when it does not fit one run of each graph."""
        features = None if self._whole else np.empty((CHANNELS, self.side // 2, self.side // 2), np.float32)
        inside = None if self._whole else np.empty((1, 1, self.side // 2, self.side // 2), np.float32)
        for strip in self._strips:
            rows = slice(strip.start * self._p, strip.stop * self._p)
            self._image.write(image[rows])
            self._unknown.write(unknown[rows])
            self._write_low(strip)
            self._encode.enqueue()
            if features is not None and inside is not None:
                to, of = self._cells(strip)
                features[:, to] = self._features.read()[0, :, of]
                inside[:, :, to] = self._inside.read()[:, :, of]
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

    def _run_rgb(self, strip: Strip, features: NDArray[np.float32] | None, result: Pixels) -> None:
        half, p = self._p // 2, self._p
        if features is not None:
            self._mixed_strip.write(features[None, :, strip.start * half : strip.stop * half])
        self._write_low(strip)
        self._decode.enqueue()
        offset = (strip.first - strip.start) * p
        kept = self._out.read()[offset : offset + (strip.last - strip.first) * p]
        result[strip.first * p : strip.last * p] = kept
