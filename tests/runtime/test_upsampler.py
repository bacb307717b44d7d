"""Guided upsampling on a backend: tiles and channels change nothing, and what is not valid never shows."""

from __future__ import annotations

import numpy as np
import pytest

from iic_rt.backends.base import Backend, Buffer
from iic_rt.loop import Loop
from iic_rt.patches import patch_weights
from iic_rt.upsampler import REACH, Upsampled, Upsampler, spans

SIZE = 64
TILE_PIXELS = Backend.tile_pixels


def picture(side: int) -> np.ndarray:
    rng = np.random.default_rng(3)
    return np.kron(rng.integers(0, 256, (side // 8, side // 8, 3), np.uint8), np.ones((8, 8, 1), np.uint8))


def box(side: int) -> np.ndarray:
    hole = np.zeros((side, side), np.uint8)
    hole[side // 3 : side // 2 + 3, side // 4 : side // 2] = 1
    return hole


def run(backend: Backend, image: np.ndarray, unknown: np.ndarray, hole: np.ndarray) -> Upsampled:
    """Upsamples from a smooth low-resolution result that does not depend on the picture."""
    return upsampler_of(backend).upsample(image, unknown, hole, unknown, result=0)


def upsampler_of(backend: Backend) -> Upsampler:
    loop = Loop(backend, working_size=SIZE)
    ramp = np.linspace(-0.8, 0.8, SIZE, dtype=np.float32)
    planes = np.broadcast_to(ramp, (SIZE, SIZE)), np.zeros((SIZE, SIZE), np.float32), ramp[:, None] * ramp
    loop.results[0].write(np.stack(planes)[None])
    loop.hole.write(np.zeros((1, 1, SIZE, SIZE), np.float32))
    return Upsampler(backend, loop)


@pytest.mark.parametrize(
    ("groups", "p"), [(64, 6), (64, 16), (64, 24), (64, 32), (64, 64), (64, 96), (16, 128), (128, 10), (128, 14)]
)
def test_spans_keep_every_patch_once(groups: int, p: int) -> None:
    found = spans(groups, p, TILE_PIXELS)
    kept = [i for span in found for i in range(span.first, span.last)]
    assert kept == list(range(groups))
    assert len({span.stop - span.start for span in found}) == 1
    for span in found:
        assert span.start * p % 4 == 0
        assert 0 <= span.start <= span.first < span.last <= span.stop <= groups
        assert span.start == 0 or (span.first - span.start) * p >= REACH
        assert span.stop == groups or (span.stop - span.last) * p >= REACH


@pytest.mark.parametrize("factor", [2, 3, 5])
def test_tiles_and_channels_give_what_one_run_gives(
    backend: Backend, monkeypatch: pytest.MonkeyPatch, factor: int
) -> None:
    side = SIZE * factor
    image, hole = picture(side), box(side)
    whole = run(backend, image, hole, hole)
    monkeypatch.setattr(type(backend), "tile_pixels", (side // 2) ** 2)
    monkeypatch.setattr(type(backend), "rows_bytes", 1)
    assert len(spans(SIZE // 4, 4 * factor, (side // 2) ** 2)) > 1
    parts = run(backend, image, hole, hole)
    difference = np.abs(whole.image.astype(int) - parts.image)[hole > 0]
    assert difference.max() <= 1  # a sum in another order may round to the next byte
    assert (difference > 0).mean() < 1e-3
    np.testing.assert_array_equal(whole.missing, parts.missing)


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


def test_where_no_patch_is_whole_the_others_serve_and_what_they_lack_is_told(backend: Backend) -> None:
    side, p = 128, 8
    image, hole = picture(side), np.zeros((128, 128), np.uint8)
    hole[16:48, 16:48] = 1
    assert not run(backend, image, hole, hole).missing.any()
    speckled = hole.copy()
    speckled[::p, ::p] = 1  # every patch has an unknown pixel now
    weights = patch_weights(speckled, p)
    assert 0.9 < weights.max() < 1
    made = run(backend, image, speckled, hole)
    assert made.found
    assert 0 < made.missing.sum() < 0.2 * hole.sum()  # a cell of 2 x 2 pixels in each patch of 8 x 8
    assert (made.missing <= hole).all()


def test_nothing_valid_is_told(backend: Backend) -> None:
    everything = np.ones((128, 128), np.uint8)
    assert not run(backend, picture(128), everything, box(128)).found
    assert run(backend, picture(128), box(128), box(128)).found


def test_buffers_are_kept_for_the_sizes_last_seen(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    upsampler = upsampler_of(backend)
    made: list[int] = []
    allocate = type(backend).allocate

    def counted(self: Backend, shape: tuple[int, ...], dtype: str, **options: bool) -> Buffer:
        made.append(int(np.prod(shape)))
        return allocate(self, shape, dtype, **options)

    monkeypatch.setattr(type(backend), "allocate", counted)
    monkeypatch.setattr(type(backend), "tile_pixels", 128**2 + 192**2)
    new = []
    for side in (128, 192, 128, 192, 256, 128, 256):
        before = len(made)
        upsampler.upsample(picture(side), box(side), box(side), box(side), result=0)
        new.append(len(made) > before)
    assert new == [True, True, False, False, True, True, True]
