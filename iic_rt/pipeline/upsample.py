"""Guided upsampling: full resolution inside the hole from real patches of the region (Sec. 3.3 of the paper)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import cv2
import numpy as np
from numpy.typing import NDArray

from iic_rt.bundle.shapes import DESCRIPTOR, FEATURES, RegionShapes, Span, patch_cells
from iic_rt.contract import Backend, Buffer
from iic_rt.masks import Masks
from iic_rt.pipeline.loop import Loop
from iic_rt.pipeline.patches import blend, patch_weights, windows
from iic_rt.resampling import BASE_REACH, PATCH, base_weights

__all__ = ["Descriptors", "RegionBuffers", "Upsampling", "constant"]

Pixels = NDArray[np.uint8]


def constant(backend: Backend, values: NDArray[np.generic]) -> Buffer:
    """A buffer that holds ``values`` from now on."""
    made = backend.allocate(values.shape, str(values.dtype))
    made.write(values)
    return made


class Descriptors:
    """What the patches of a loop's result look like; one for all regions that use the loop.

    Attributes:
        q: buffer [1, N, 76].
    """

    def __init__(self, backend: Backend, loop: Loop) -> None:
        dtype = backend.bundle.graphs["similarity"].tensor("q").dtype
        self.q = backend.allocate((1, (loop.working_size // PATCH) ** 2, DESCRIPTOR), dtype)
        self._binding = backend.bind("similarity", {"low": loop.low, "m": loop.hole}, {"q": self.q})

    def enqueue(self) -> None:
        self._binding.enqueue()


@dataclass(frozen=True)
class RegionBuffers:
    """What all graphs of a region share.

    Attributes:
        image: uint8 [S, S, C], the region.
        visible: uint8 [S, S] in {0, 1}.
        hole: uint8 [S, S] in {0, 1}.
        filled: uint8 [S, S, C], the region with its hole filled.
        order: float32 [3, C], what makes RGB of the image's channels.
        order_back: float32 [C, 3], what makes the image's channels of RGB.
        keep: float32 [C, 1, 1] in {0, 1}, 1 for a channel that is not touched: alpha.
    """

    image: Buffer
    visible: Buffer
    hole: Buffer
    filled: Buffer
    order: Buffer
    order_back: Buffer
    keep: Buffer


class Upsampling:
    """Buffers and bindings of guided upsampling for regions of one side.

    Attributes:
        partial: patches with unknown pixels may be copied in the region that was staged last.
    """

    def __init__(
        self, backend: Backend, shapes: RegionShapes, loop: Loop, descriptors: Descriptors, region: RegionBuffers
    ) -> None:
        self._shapes, self._loop, self._region, self.partial = shapes, loop, region, False
        self._tiles = list(product(shapes.spans, repeat=2))  # rows, columns
        inputs = shapes.inputs()
        encode, decode, grid = inputs["features"][0], inputs["to_rgb"][0], inputs["replace"][0]
        whole, groups, cells = shapes.whole, shapes.groups, shapes.side // 2
        dtype = backend.bundle.graphs["replace"].tensor("features").dtype

        def shared(shape: tuple[int, ...], kind: str) -> Buffer:
            return backend.allocate(shape, kind, shared=True)

        self._image = region.image if whole else backend.allocate(encode["image"], "uint8")
        self._visible = region.visible if whole else backend.allocate(encode["visible"], "uint8")
        self._hole_tile = region.hole if whole else backend.allocate(decode["hole"], "uint8")
        self._low = loop.low if whole else backend.allocate(encode["low"], "float32")
        base = {"low": self._low, "weights": constant(backend, base_weights(shapes.side / shapes.working_size))}
        base["image"] = self._image
        tile_cells = decode["mixed"][2]
        self._features = backend.allocate((1, FEATURES, tile_cells, tile_cells), dtype)
        self._inside = backend.allocate((1, 1, tile_cells, tile_cells), dtype)
        self._encode = backend.bind(
            "features",
            base | {"visible": self._visible, "order": region.order},
            {"features": self._features, "inside": self._inside},
        )
        self._chunk = self._features if whole else backend.allocate(grid["features"], dtype)
        self._inside_all = self._inside if whole else backend.allocate((1, 1, cells, cells), dtype)
        self._mixed = backend.allocate(grid["features"], dtype)
        self._hole, self._weight, self._replaced = (shared((1, groups, groups), "float32") for _ in range(3))
        first, second, share = (constant(backend, values) for values in blend(groups, shapes.p))
        given = {"q": descriptors.q, "inside": self._inside_all, "hole": self._hole, "weight": self._weight}
        given |= {"windows": constant(backend, windows(groups, shapes.p))}
        given |= {"first": first, "second": second, "share": share}
        outputs = {"mixed": self._mixed, "replaced": self._replaced}
        self._replace = backend.bind("replace", given | {"features": self._chunk}, outputs)
        # What is unknown, copied as if it were a feature: which cells were rebuilt from nothing.
        self._missing = shared((1, 1, cells, cells), dtype)
        outputs = {"mixed": self._missing, "replaced": self._replaced}
        self._copy_unknown = backend.bind("replace", given | {"features": self._inside_all}, outputs)
        self._mixed_tile = self._mixed if whole else backend.allocate(decode["mixed"], dtype)
        self._filled = region.filled if whole else shared(decode["image"], "uint8")
        decoding = base | {"mixed": self._mixed_tile, "hole": self._hole_tile}
        decoding |= {"order": region.order_back, "keep": region.keep}
        self._decode = backend.bind("to_rgb", decoding, {"filled": self._filled})

    def stage(self, masks: Masks) -> None:
        """Puts what is asked of the patches where the next upload takes it from."""
        assert masks.copyable is not None
        weights = patch_weights(masks.copyable, self._shapes.p)
        self.partial = bool(((weights > 0) & (weights < 1)).any())
        groups = self._shapes.groups
        share = cv2.resize(masks.hole.astype(np.float32), (groups, groups), interpolation=cv2.INTER_AREA)
        self._hole.stage((share > 0)[None].astype(np.float32))
        self._weight.stage(weights[None])

    def upload(self) -> None:
        self._hole.upload()
        self._weight.upload()

    def enqueue(self) -> None:
        """Enqueues the graphs behind ``similarity``, for a whole region."""
        self._encode.enqueue()
        self._replace.enqueue()
        if self.partial:
            self._copy_unknown.enqueue()
        self._decode.enqueue()

    def download(self) -> None:
        """Enqueues the copies that :meth:`is_found` and :meth:`missing` read."""
        for buffer in (self._replaced, *([self._missing] if self.partial else [])):
            buffer.download()

    def is_found(self) -> bool:
        """Whether there was a patch to copy, once the download is done; otherwise the hole holds a blur."""
        return bool((self._replaced.host >= self._hole.host).all())

    def missing(self, hole: Pixels) -> Pixels | None:
        """Hole pixels [S, S] that were rebuilt mostly from pixels that were unknown themselves; None: none were."""
        if not self.partial:
            return None
        cells = np.asarray(self._missing.host[0, 0] > 0.5, np.uint8)
        found = np.repeat(np.repeat(cells, 2, 0), 2, 1) & hole
        return found if found.any() else None

    def run_tiles(self, image: Pixels, masks: Masks) -> None:
        """Fills a region that is too large for one run of each graph; ``similarity`` was enqueued."""
        assert masks.visible is not None
        self.upload()
        features = self._run_features(image, masks.visible)
        count = self._shapes.feature_channels
        for channel in range(0, FEATURES, count):
            part = features[channel : channel + count]
            self._chunk.write(part[None])
            self._replace.enqueue()
            part[:] = self._mixed.read()[0]
        if self.partial:
            self._copy_unknown.enqueue()
            self._missing.read()
        self._replaced.read()
        result = self._region.filled
        result.stage(image)
        patch_hole = self._hole.host[0] > 0
        for rows, columns in self._tiles:
            if patch_hole[rows.to(1), columns.to(1)].any():
                self._run_rgb(rows, columns, features, image, masks.hole, result.host)

    def _write_low(self, rows: Span, columns: Span) -> None:
        margin = 2 * BASE_REACH
        self._low.write(self._loop.low.read()[:, :, rows.at(PATCH, margin), columns.at(PATCH, margin)])

    def _run_features(self, image: Pixels, visible: Pixels) -> NDArray[np.floating]:
        """The last feature map [16, S/2, S/2] on the host."""
        p, cells = self._shapes.p, self._shapes.side // 2
        half, _ = patch_cells(p)
        features = np.empty((FEATURES, cells, cells), self._features.dtype)
        inside = np.empty((1, 1, cells, cells), self._inside.dtype)
        for rows, columns in self._tiles:
            self._image.write(image[rows.at(p), columns.at(p)])
            self._visible.write(visible[rows.at(p), columns.at(p)])
            self._write_low(rows, columns)
            self._encode.enqueue()
            of = rows.of(half), columns.of(half)
            features[:, rows.to(half), columns.to(half)] = self._features.read()[0, :, of[0], of[1]]
            inside[:, :, rows.to(half), columns.to(half)] = self._inside.read()[:, :, of[0], of[1]]
        self._inside_all.write(inside)
        return features

    def _run_rgb(
        self,
        rows: Span,
        columns: Span,
        features: NDArray[np.floating],
        image: Pixels,
        hole: Pixels,
        result: NDArray[np.uint8],
    ) -> None:
        p = self._shapes.p
        half, _ = patch_cells(p)
        self._mixed_tile.write(features[None, :, rows.at(half), columns.at(half)])
        self._image.write(image[rows.at(p), columns.at(p)])
        self._hole_tile.write(hole[rows.at(p), columns.at(p)])
        self._write_low(rows, columns)
        self._decode.enqueue()
        result[rows.to(p), columns.to(p)] = self._filled.read()[rows.of(p), columns.of(p)]
