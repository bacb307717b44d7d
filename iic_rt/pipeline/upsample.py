"""Guided upsampling: full resolution inside the hole from real patches of the region (Sec. 3.3 of the paper)."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import cv2
import numpy as np
from numpy.typing import NDArray

from iic_rt.bundle.shapes import DESCRIPTOR, RegionShapes
from iic_rt.contract import Backend, Buffer
from iic_rt.masks import Masks
from iic_rt.patches import match_places, patch_weights, replace_patches
from iic_rt.pipeline.loop import Loop
from iic_rt.resampling import BASE_REACH, PATCH, base_weights

__all__ = ["Descriptors", "RegionBuffers", "Upsampling", "constant", "copied_from"]

Pixels = NDArray[np.uint8]
Tile = tuple[slice, slice]  # patches along rows and columns


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
        take, add, grid = inputs["detail"], inputs["add_detail"], inputs["search"]
        whole, dtype = shapes.whole, backend.bundle.graphs["replace"].tensor("detail").dtype

        def shared(shape: tuple[int, ...], kind: str) -> Buffer:
            return backend.allocate(shape, kind, shared=True)

        self._image = region.image if whole else backend.allocate(take["image"], "uint8")
        self._visible = region.visible if whole else backend.allocate(take["visible"], "uint8")
        self._hole_tile = region.hole if whole else backend.allocate(add["hole"], "uint8")
        self._refined = backend.allocate(loop.low.shape, "float32")
        self._low = self._refined if whole else backend.allocate(take["low"], "float32")
        base = {"low": self._low, "weights": constant(backend, base_weights(shapes.side / shapes.working_size))}
        base["image"] = self._image
        self._detail = backend.allocate(add["mixed"], dtype)
        self._inside = backend.allocate((1, 1, *add["mixed"][2:]), dtype)
        self._take = backend.bind(
            "detail",
            base | {"visible": self._visible, "order": region.order},
            {"detail": self._detail, "inside": self._inside},
        )
        self._hole, self._weight = (shared(grid[name], "float32") for name in ("hole", "weight"))
        match = inputs["refine"]
        self._valid = shared(match["valid"], "float32")
        self._offset = backend.allocate(match["offset"], "int32")
        # The host reads them where it copies the patches itself.
        self._matched, self._share = (
            backend.allocate(match[name], kind, shared=not whole)
            for name, kind in (("offset", "int32"), ("share", "float32"))
        )
        self._search = backend.bind(
            "search",
            {"q": descriptors.q, "hole": self._hole, "weight": self._weight},
            {"offset": self._offset, "share": self._share},
        )
        self._refine = backend.bind(
            "refine",
            {
                "low": loop.low,
                "m": loop.hole,
                "valid": self._valid,
                "offset": self._offset,
                "share": self._share,
            },
            {"refined": self._refined, "matched": self._matched},
        )
        self._mixed = backend.allocate(add["mixed"], dtype)
        self._missing = shared(self._inside.shape, dtype) if whole else None
        if self._missing is not None:
            self._replace = backend.bind(
                "replace",
                {"detail": self._detail, "inside": self._inside, "offset": self._matched, "share": self._share},
                {"mixed": self._mixed, "missing": self._missing},
            )
        self._filled = region.filled if whole else shared(add["image"], "uint8")
        adding = base | {"mixed": self._mixed, "hole": self._hole_tile}
        adding |= {"order": region.order_back, "keep": region.keep}
        self._add = backend.bind("add_detail", adding, {"filled": self._filled})
        self._missing_in_tiles: NDArray[np.bool_] | None = None  # of the last region that went through in tiles
        own = [self._detail, self._inside, self._offset, self._matched, self._share, self._hole, self._weight]
        own += [self._valid, self._refined, self._mixed]
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
        self._valid.stage(match_places(masks.copyable, self._shapes.working_size)[None])

    def upload(self) -> None:
        for buffer in (self._hole, self._weight, self._valid):
            buffer.upload()

    def enqueue(self) -> None:
        """Enqueues the graphs behind ``similarity``, for a whole region."""
        for binding in (self._search, self._refine, self._take, self._replace, self._add):
            binding.enqueue()

    def download(self) -> None:
        """Enqueues the copy that :meth:`missing` reads."""
        if self.partial and self._missing is not None:
            self._missing.download()

    @property
    def share(self) -> NDArray[np.float32]:
        """Share of the patch that was found for every patch, as the host has it."""
        return self._share.host

    def missing(self, hole: Pixels) -> Pixels | None:
        """Hole pixels [S, S] that nothing known was copied to, once the download is done; None: there are none."""
        if not self.partial:
            return None
        pixels = self._missing_in_tiles if self._missing is None else self._missing.host[0, 0] > 0
        assert pixels is not None
        found = pixels & hole
        return found if found.any() else None

    def run_tiles(self, image: Pixels, masks: Masks) -> None:
        """Fills a region that is too large for one run of each graph; ``similarity`` was enqueued.

        Detail is computed where a patch is copied from and around the hole alone.
        """
        assert masks.visible is not None
        self.upload()
        self._search.enqueue()
        self._refine.enqueue()
        offset, share = self._matched.read()[0], self._share.read()[0]
        spans = self._shapes.spans
        tiles = list(product(spans, spans))  # rows, columns
        patch_hole = self._hole.host[0] > 0
        tiles_of_hole = [t for t in tiles if patch_hole[t].any()]
        wanted = copied_from(offset[0], share[0])
        inside = masks.visible == 0
        groups, p = self._shapes.groups, self._shapes.p
        all_inside = inside.reshape(groups, p, groups, p).all((1, 3))
        wanted[patch_hole & all_inside] = 0  # what is computed there would be replaced
        detail = self._take_in_tiles([t for t in tiles if wanted[t].any()], image, masks.visible)
        self._missing_in_tiles = replace_patches(detail, inside, offset, share)
        result = self._region.filled
        result.stage(image)
        self._add_in_tiles(tiles_of_hole, detail, image, masks.hole, result.host)

    def _write_tile(self, tile: Tile, image: Pixels) -> tuple[slice, slice]:
        """The operands that ``detail`` and ``add_detail`` have in common; returns the pixels of the tile."""
        rows, columns = (slice(s.start * PATCH, s.stop * PATCH + 2 * BASE_REACH) for s in tile)
        self._low.write(self._refined.read()[:, :, rows, columns])
        p = self._shapes.p
        box = slice(tile[0].start * p, tile[0].stop * p), slice(tile[1].start * p, tile[1].stop * p)
        self._image.write(image[box])
        return box

    def _take_in_tiles(self, tiles: list[Tile], image: Pixels, visible: Pixels) -> NDArray[np.floating]:
        """The detail [3, S, S] on the host, computed in some tiles and 0 elsewhere."""
        detail = np.zeros((3, *visible.shape), self._detail.dtype)
        for tile in tiles:
            box = self._write_tile(tile, image)
            self._visible.write(visible[box])
            self._take.enqueue()
            detail[:, box[0], box[1]] = self._detail.read()[0]
        return detail

    def _add_in_tiles(
        self, tiles: list[Tile], detail: NDArray[np.floating], image: Pixels, hole: Pixels, result: Pixels
    ) -> None:
        for tile in tiles:
            box = self._write_tile(tile, image)
            self._mixed.write(detail[None, :, box[0], box[1]])
            self._hole_tile.write(hole[box])
            self._add.enqueue()
            result[box] = self._filled.read()


def copied_from(offset: NDArray[np.int32], share: NDArray[np.float32]) -> Pixels:
    """Patches [s / 4, s / 4] in {0, 1} that something is copied from, and those around them, for the margins.

    Args:
        offset: int32 [2, s / 4, s / 4], rows and columns in pixels of the loop from a patch to what it copies.
        share: float32 [s / 4, s / 4], above 0 where a patch copies anything.
    """
    row, column = np.nonzero(share > 0)
    top, left = row * PATCH + offset[0, row, column], column * PATCH + offset[1, row, column]
    wanted = np.zeros(share.shape, np.uint8)
    for y, x in product((top // PATCH, (top + PATCH - 1) // PATCH), (left // PATCH, (left + PATCH - 1) // PATCH)):
        wanted[y, x] = 1  # up to four that a source lies in
    return np.asarray(cv2.dilate(wanted, np.ones((3, 3), np.uint8)), np.uint8)
