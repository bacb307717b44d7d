from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from iic_rt.errors import InputError
from iic_rt.video.frame_masks import open_masks
from iic_rt.video.motion import MotionMasks
from tests.video.scenes import SHAPE, Pixels, background, overlap, with_object

EMPTY = background()


def noisy(image: Pixels, rng: np.random.Generator) -> Pixels:
    return np.clip(image + rng.normal(0, 2, image.shape), 0, 255).astype(np.uint8)


def test_who_walks_past_is_masked(rng: np.random.Generator) -> None:
    with open_masks(MotionMasks(warmup=20)) as masks:
        for i in range(20):
            mask = masks.mask(noisy(EMPTY, rng), i)
            assert mask is not None
            assert mask.all()
            assert masks.trust == 0
            assert masks.warnings[0].kind == "warming up"
        for i in range(20, 25):
            assert masks.mask(noisy(EMPTY, rng), i) is None
            assert masks.trust == 1
            assert masks.warnings == ()
        for i in range(25, 50):
            frame, true = with_object(EMPTY, 20 + 4 * (i - 25), 60)
            mask = masks.mask(noisy(frame, rng), i)
            assert mask is not None
            assert set(np.unique(mask)) == {0, 255}
            assert overlap(mask, true) > 0.75
            assert np.count_nonzero(true & ~mask) < 0.03 * np.count_nonzero(true)


def test_a_picture_of_the_empty_scene_saves_the_warm_up(rng: np.random.Generator) -> None:
    masks = MotionMasks(background=EMPTY)
    frame, true = with_object(EMPTY, 80, 60)
    assert overlap(masks.mask(noisy(frame, rng), 0, None), true) > 0.7
    assert masks.trust == 1
    with pytest.raises(InputError, match="the background is 160x120 and frame 1 80x60"):
        masks.mask(frame[::2, ::2], 1, None)


def test_moved_masks_what_moves_from_the_start(rng: np.random.Generator) -> None:
    masks = MotionMasks(warmup=50, while_warming="moved")
    for i in range(20):
        frame, true = with_object(EMPTY, 20 + 5 * i, 60)
        mask = masks.mask(noisy(frame, rng), i, None)
        assert masks.warnings[0].kind == "warming up"
    assert mask is not None
    assert np.count_nonzero(true & ~mask) < 0.05 * np.count_nonzero(true)


def test_a_shadow_is_no_motion(rng: np.random.Generator) -> None:
    masks = MotionMasks(warmup=20)
    for i in range(20):
        masks.mask(noisy(EMPTY, rng), i, None)
    shaded = EMPTY.copy()
    shaded[40:80, 40:100] = (EMPTY[40:80, 40:100] * 0.7).astype(np.uint8)
    mask = masks.mask(noisy(shaded, rng), 20, None)
    assert mask is None or np.count_nonzero(mask) < 0.1 * 40 * 60


def test_who_stands_still_is_absorbed_after_so_long(rng: np.random.Generator) -> None:
    masks = MotionMasks(warmup=20, absorb=40)
    for i in range(20):
        masks.mask(noisy(EMPTY, rng), i, None)
    frame, _ = with_object(EMPTY, 80, 60)
    there = [masks.mask(noisy(frame, rng), i, None) is not None for i in range(20, 120)]
    assert all(there[:30])
    assert not any(there[60:])


def test_a_camera_that_moves_is_learned_anew(rng: np.random.Generator) -> None:
    masks = MotionMasks(warmup=10)
    for i in range(15):
        masks.mask(noisy(EMPTY, rng), i, None)
    assert masks.trust == 1
    other = 255 - background(seed=5)
    for i in range(15, 25):
        mask = masks.mask(noisy(other, rng), i, None)
        assert masks.trust == 0
        assert mask is not None
        assert mask.all()
    assert masks.mask(noisy(other, rng), 25, None) is None


def test_large_frames_are_looked_at_smaller(rng: np.random.Generator) -> None:
    empty = background(shape=(720, 1280))
    masks = MotionMasks(warmup=5)
    for i in range(5):
        masks.mask(empty, i, None)
    frame, true = with_object(empty, 600, 300, radius=90)
    mask = masks.mask(frame, 5, None)
    assert mask is not None
    assert mask.shape == (720, 1280)
    assert overlap(mask, true) > 0.85
    assert not (true & ~mask).any()


def test_grey_frames(rng: np.random.Generator) -> None:
    with open_masks("motion") as masks:
        assert masks.mask(np.zeros(SHAPE, np.uint8), 0) is not None


@pytest.mark.parametrize(
    "options", [{"warmup": 0}, {"absorb": 0}, {"while_warming": "never"}, {"smallest": 1.5}, {"background": "x"}]
)
def test_options_out_of_range(options: dict[str, Any]) -> None:
    with pytest.raises(InputError):
        MotionMasks(**options)
