"""Guided upsampling: full resolution inside the hole from real patches of the region (Sec. 3.3 of the paper)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import cv2
import numpy as np
from numpy.typing import NDArray

from iic_rt.bundle.shapes import DESCRIPTOR, FEATURES, RegionShapes, Span
from iic_rt.contract import Backend, Buffer
from iic_rt.masks import Masks
from iic_rt.patches import patch_weights, replace_patches
from iic_rt.pipeline.loop import Loop
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
        found: there is a patch to copy in it; otherwise guided upsampling has nothing to give.
        nbytes: of the buffers that the region does not share with others.
    """

    def __init__(
        self, backend: Backend, shapes: RegionShapes, loop: Loop, descriptors: Descriptors, region: RegionBuffers
    ) -> None:
        self._shapes, self._loop, self._region = shapes, loop, region
        self.partial = self.found = False
        inputs = shapes.inputs()
        encode, decode, grid = inputs["features"], inputs["to_rgb"], inputs["search"]
        whole, dtype = shapes.whole, backend.bundle.graphs["replace"].tensor("features").dtype

        def shared(shape: tuple[int, ...], kind: str) -> Buffer:
            return backend.allocate(shape, kind, shared=True)

        self._image = region.image if whole else backend.allocate(encode["image"], "uint8")
        self._visible = region.visible if whole else backend.allocate(encode["visible"], "uint8")
        self._hole_tile = region.hole if whole else backend.allocate(decode["hole"], "uint8")
        self._low = loop.low if whole else backend.allocate(encode["low"], "float32")
        base = {"low": self._low, "weights": constant(backend, base_weights(shapes.side / shapes.working_size))}
        base["image"] = self._image
        self._features = backend.allocate(decode["mixed"], dtype)
        self._inside = backend.allocate((1, 1, *decode["mixed"][2:]), dtype)
        self._encode = backend.bind(
            "features",
            base | {"visible": self._visible, "order": region.order},
            {"features": self._features, "inside": self._inside},
        )
        self._hole, self._weight = (shared(grid[name], "float32") for name in ("hole", "weight"))
        sources = (1, shapes.best, *grid["hole"][1:])
        self._source, self._share = shared(sources, "int32"), shared(sources, "float32")
        self._search = backend.bind(
            "search",
            {"q": descriptors.q, "hole": self._hole, "weight": self._weight},
            {"source": self._source, "share": self._share},
        )
        self._mixed = backend.allocate(decode["mixed"], dtype)
        self._missing = shared(self._inside.shape, dtype) if whole else None
        if self._missing is not None:
            self._replace = backend.bind(
                "replace",
                {"features": self._features, "inside": self._inside, "source": self._source, "share": self._share},
                {"mixed": self._mixed, "missing": self._missing},
            )
        self._filled = region.filled if whole else shared(decode["image"], "uint8")
        decoding = base | {"mixed": self._mixed, "hole": self._hole_tile}
        decoding |= {"order": region.order_back, "keep": region.keep}
        self._decode = backend.bind("to_rgb", decoding, {"filled": self._filled})
        self._missing_cells: NDArray[np.bool_] | None = None  # of the last region that went through in tiles
        own = [self._features, self._inside, self._source, self._share, self._hole, self._weight, self._mixed]
        own += [] if self._missing is None else [self._missing]
        own += [] if whole else [self._image, self._visible, self._hole_tile, self._low, self._filled]
        self.nbytes = sum(buffer.nbytes for buffer in own)

    def stage(self, masks: Masks) -> None:
        """Puts what is asked of the patches where the next upload takes it from."""
        assert masks.copyable is not None
        weights = patch_weights(masks.copyable, self._shapes.p)
        self.found = bool((weights > 0).any())
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
        for binding in (self._search, self._encode, self._replace, self._decode):
            binding.enqueue()

    def download(self) -> None:
        """Enqueues the copy that :meth:`missing` reads."""
        if self.partial and self._missing is not None:
            self._missing.download()

    def missing(self, hole: Pixels) -> Pixels | None:
        """Hole pixels [S, S] that nothing known was copied to, once the download is done; None: there are none."""
        if not self.partial:
            return None
        cells = self._missing_cells if self._missing is None else self._missing.host[0, 0] > 0
        assert cells is not None
        found = np.repeat(np.repeat(cells.astype(np.uint8), 2, 0), 2, 1) & hole
        return found if found.any() else None

    def run_tiles(self, image: Pixels, masks: Masks) -> None:
        """Fills a region that is too large for one run of each graph; ``similarity`` was enqueued.

        Features are computed where a patch is copied from and around the hole alone.
        """
        assert masks.visible is not None
        self.upload()
        self._search.enqueue()
        source, share = self._source.read()[0], self._share.read()[0]
        spans = self._shapes.spans
        tiles = list(product(spans, spans))  # rows, columns
        patch_hole = self._hole.host[0] > 0
        tiles_of_hole = [t for t in tiles if patch_hole[t[0].to(1), t[1].to(1)].any()]
        wanted = np.zeros(patch_hole.shape, np.uint8)
        wanted.flat[source[share > 0]] = 1
        wanted = cv2.dilate(wanted, np.ones((3, 3), np.uint8))  # the margins
        for rows, columns in tiles_of_hole:
            wanted[rows.at(1), columns.at(1)] = 1
        known = masks.visible > 0
        inside = ~(known[::2, ::2] & known[1::2, ::2] & known[::2, 1::2] & known[1::2, 1::2])
        groups, half = self._shapes.groups, self._shapes.p // 2
        all_inside = inside.reshape(groups, half, groups, half).all((1, 3))
        wanted[patch_hole & all_inside] = 0  # what is computed there would be replaced
        features = self._run_features([t for t in tiles if wanted[t[0].to(1), t[1].to(1)].any()], image, masks.visible)
        self._missing_cells = replace_patches(features, inside, source, share)
        result = self._region.filled
        result.stage(image)
        for rows, columns in tiles_of_hole:
            self._run_rgb(rows, columns, features, image, masks.hole, result.host)

    def _write_low(self, rows: Span, columns: Span) -> None:
        margin = 2 * BASE_REACH
        self._low.write(self._loop.low.read()[:, :, rows.at(PATCH, margin), columns.at(PATCH, margin)])

    def _run_features(self, tiles: list[tuple[Span, Span]], image: Pixels, visible: Pixels) -> NDArray[np.floating]:
        """The last feature map [16, S/2, S/2] on the host, computed in some tiles and 0 elsewhere."""
        p, cells = self._shapes.p, self._shapes.side // 2
        half = p // 2
        features = np.zeros((FEATURES, cells, cells), self._features.dtype)
        for rows, columns in tiles:
            self._image.write(image[rows.at(p), columns.at(p)])
            self._visible.write(visible[rows.at(p), columns.at(p)])
            self._write_low(rows, columns)
            self._encode.enqueue()
            of = rows.of(half), columns.of(half)
            features[:, rows.to(half), columns.to(half)] = self._features.read()[0, :, of[0], of[1]]
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
        half = p // 2
        self._mixed.write(features[None, :, rows.at(half), columns.at(half)])
        self._image.write(image[rows.at(p), columns.at(p)])
        self._hole_tile.write(hole[rows.at(p), columns.at(p)])
        self._write_low(rows, columns)
        self._decode.enqueue()
        result[rows.to(p), columns.to(p)] = self._filled.read()[rows.of(p), columns.of(p)]
