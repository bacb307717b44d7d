"""Guided upsampling on a backend: tiles change nothing, and what is not valid never shows."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest

from iic_rt.backends.host import HostBuffer
from iic_rt.bundle.shapes import Limits, RegionShapes, spans
from iic_rt.contract import Backend
from iic_rt.masks import Masks
from iic_rt.patches import patch_weights
from iic_rt.pipeline.loop import Loop
from iic_rt.pipeline.upsample import Descriptors, RegionBuffers, Upsampling, constant, copied_from

SIZE = 64


def picture(side: int) -> np.ndarray:
    rng = np.random.default_rng(3)
    return np.kron(rng.integers(0, 256, (side // 8, side // 8, 3), np.uint8), np.ones((8, 8, 1), np.uint8))


def box(side: int) -> np.ndarray:
    hole = np.zeros((side, side), np.uint8)
    hole[side // 3 : side // 2 + 3, side // 4 : side // 2] = 1
    return hole


class Upsampled(NamedTuple):
    image: np.ndarray
    missing: np.ndarray | None
    upsampling: Upsampling


def run(backend: Backend, image: np.ndarray, unknown: np.ndarray, hole: np.ndarray, limits: Limits | None = None):
    """Upsamples from a smooth low-resolution result that does not depend on the image."""
    loop = Loop(backend, working_size=SIZE)
    ramp = np.linspace(-0.8, 0.8, SIZE + 12, dtype=np.float32)
    planes = (
        np.broadcast_to(ramp, (SIZE + 12, SIZE + 12)),
        np.zeros((SIZE + 12, SIZE + 12), np.float32),
        ramp[:, None] * ramp,
    )
    loop.low.write(np.stack(planes)[None])
    loop.hole.write(np.zeros((1, 1, SIZE, SIZE), np.float32))
    descriptors = Descriptors(backend, loop)
    side = image.shape[0]
    shapes = RegionShapes(side, SIZE, 3, limits or Limits())
    eye = np.eye(3, dtype=np.float32)
    visible = 1 - unknown
    arrays = {"image": image, "visible": visible, "hole": hole, "filled": image, "order": eye, "order_back": eye}
    arrays["keep"] = np.zeros((3, 1, 1), np.float32)
    region = RegionBuffers(**{name: constant(backend, np.ascontiguousarray(a)) for name, a in arrays.items()})
    upsampling = Upsampling(backend, shapes, loop, descriptors, region)
    masks = Masks(hole, visible, visible)
    upsampling.stage(masks)
    descriptors.enqueue()
    if shapes.whole:
        upsampling.upload()
        upsampling.enqueue()
        upsampling.download()
    else:
        upsampling.run_tiles(image, masks)
    backend.wait()
    return Upsampled(region.filled.host.copy(), upsampling.missing(hole), upsampling)


@pytest.mark.parametrize(
    ("groups", "p"), [(64, 6), (64, 16), (64, 24), (64, 32), (64, 64), (64, 96), (16, 128), (128, 10), (128, 14)]
)
def test_spans_cover_every_patch(groups: int, p: int) -> None:
    found = spans(groups, p, Limits().tile_pixels)
    assert {i for span in found for i in range(span.start, span.stop)} == set(range(groups))
    assert len({span.stop - span.start for span in found}) == 1
    assert (found[0].stop * p) ** 2 <= Limits().tile_pixels
    fewer = -(-groups // (len(found) - 1)) if len(found) > 1 else 0  # patches of a tile, were there one tile less
    assert not fewer or (fewer * p) ** 2 > Limits().tile_pixels


@pytest.mark.parametrize("factor", [2, 3, 5])
def test_tiles_give_what_one_run_gives(backend: Backend, factor: int) -> None:
    side = SIZE * factor
    image, hole = picture(side), box(side)
    whole = run(backend, image, hole, hole)
    limits = Limits(whole_pixels=1, tile_pixels=(side // 2) ** 2)
    assert len(RegionShapes(side, SIZE, 3, limits).spans) > 1
    parts = run(backend, image, hole, hole, limits)
    difference = np.abs(whole.image.astype(int) - parts.image)
    assert difference.max() <= 1  # a sum in another order may round to the next byte
    assert (difference[hole > 0] > 0).mean() < 1e-3
    np.testing.assert_array_equal(parts.image[hole == 0], image[hole == 0])
    assert whole.missing is parts.missing is None


def test_unknown_pixels_never_show(backend: Backend) -> None:
    side = 192
    image, hole = picture(side), box(side)
    unknown = hole.copy()
    unknown[100:170, 20:150] = 1
    spoilt = image.copy()
    spoilt[unknown > 0] = 255 - spoilt[unknown > 0]
    first, second = (run(backend, i, unknown, hole) for i in (image, spoilt))
    np.testing.assert_array_equal(first.image[hole > 0], second.image[hole > 0])
    shown = run(backend, spoilt, hole, hole)
    assert (shown.image[hole > 0] != first.image[hole > 0]).any()


def speckled(side: int, p: int) -> tuple[np.ndarray, np.ndarray]:
    """A hole, and what is unknown: a pixel of every patch too."""
    hole = np.zeros((side, side), np.uint8)
    hole[side // 8 : side * 3 // 8, side // 8 : side * 3 // 8] = 1
    unknown = hole.copy()
    unknown[::p, ::p] = 1
    return hole, unknown


def test_where_no_patch_is_whole_the_others_serve_and_what_they_lack_is_told(backend: Backend) -> None:
    side, p = 128, 8
    image, (hole, unknown) = picture(side), speckled(side, p)
    assert run(backend, image, hole, hole).missing is None
    weights = patch_weights(1 - unknown, p)
    assert 0.9 < weights.max() < 1
    made = run(backend, image, unknown, hole)
    assert made.upsampling.found
    assert made.missing is not None
    assert 0 < made.missing.sum() < 0.2 * hole.sum()  # a cell of 2 x 2 pixels in each patch of 8 x 8
    assert (made.missing <= hole).all()
    assert made.upsampling.missing(np.zeros_like(hole)) is None


@pytest.mark.parametrize("backend", ["onnxruntime"], indirect=True)  # buffers on the host are all of one kind
def test_in_tiles_of_one_patch_nothing_is_left_out(backend: Backend) -> None:
    """What nothing is copied from is not computed; all else must be, the pixels beside the hole above all."""
    side, p = 128, 8
    limits = Limits(whole_pixels=1, tile_pixels=p * p)
    hole, unknown = speckled(side, p)
    for hidden in (hole, unknown):
        for margin in (0, 3):  # the hole ends in the middle of patches too
            moved = [np.roll(mask, margin, (0, 1)) for mask in (hidden, hole)]
            whole, parts = (run(backend, picture(side), *moved, given) for given in (None, limits))
            assert np.abs(whole.image.astype(int) - parts.image).max() <= 1
            np.testing.assert_array_equal(whole.missing, parts.missing)


@pytest.mark.parametrize("backend", ["onnxruntime"], indirect=True)  # buffers on the host are all of one kind
def test_what_is_missing_is_asked_for_where_patches_are_partly_known(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    downloads: list[HostBuffer] = []
    monkeypatch.setattr(HostBuffer, "download", lambda self: downloads.append(self))
    hole, unknown = speckled(128, 8)
    made = run(backend, picture(128), hole, hole)
    assert not made.upsampling.partial
    assert not downloads
    patches = hole.reshape(16, 8, 16, 8).any((1, 3))
    np.testing.assert_array_equal(made.upsampling._hole.host[0], patches)
    made = run(backend, picture(128), unknown, hole)
    assert made.upsampling.partial
    assert downloads == [made.upsampling._missing]


def test_patches_that_something_is_copied_from() -> None:
    share, offset = np.zeros((8, 9), np.float32), np.zeros((2, 8, 9), np.int32)
    share[2, 4] = 0.5
    offset[:, 2, 4] = 5, -7  # from row 13 and column 9, so from rows 3 and 4 and columns 2 and 3
    expected = np.zeros((8, 9), np.uint8)
    expected[2:6, 1:5] = 1
    np.testing.assert_array_equal(copied_from(offset, share), expected)
    offset[:, 2, 4] = 4, -8  # a patch of the grid
    expected[...] = 0
    expected[2:5, 1:4] = 1
    np.testing.assert_array_equal(copied_from(offset, share), expected)


def test_nothing_valid_is_told(backend: Backend) -> None:
    everything = np.ones((128, 128), np.uint8)
    assert not run(backend, picture(128), everything, box(128)).upsampling.found
    assert run(backend, picture(128), box(128), box(128)).upsampling.found
