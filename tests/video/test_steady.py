from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from iic_rt.errors import InputError
from iic_rt.video.steady import Hold, Still
from tests.video.scenes import SHAPE, Pixels, disc


def box(left: int, top: int, right: int, bottom: int) -> Pixels:
    mask = np.zeros(SHAPE, np.uint8)
    mask[top:bottom, left:right] = 255
    return mask


def test_a_missed_frame_is_held_for_so_long() -> None:
    hold, mask = Hold(3), disc(50, 50)
    assert hold(None, SHAPE) is None
    assert (hold(mask, SHAPE) == mask).all()
    for _ in range(3):
        held = hold(None, SHAPE)
        assert held is not None
        assert (held == mask).all()
    assert hold(None, SHAPE) is None


def test_one_of_two_objects_is_held() -> None:
    hold, a, b = Hold(2), disc(30, 50), disc(110, 50)
    hold(a | b, SHAPE)
    assert (hold(b, SHAPE) == (a | b)).all()
    assert (hold(b, SHAPE) == (a | b)).all()
    assert (hold(b, SHAPE) == b).all()


def test_one_of_two_objects_that_touch_is_held() -> None:
    hold, a, b = Hold(2), box(30, 20, 50, 80), box(50, 20, 70, 80)
    hold(a | b, SHAPE)
    assert (hold(a, SHAPE) == (a | b)).all()


def test_a_moving_object_leaves_no_trail() -> None:
    hold = Hold(5)
    for x in range(30, 120, 3):
        mask = disc(x, 60)
        assert (hold(mask, SHAPE) == mask).all()


def test_without_frames_nothing_is_held() -> None:
    hold = Hold(0)
    hold(disc(50, 50), SHAPE)
    assert hold(None, SHAPE) is None


@pytest.mark.parametrize("jitter", [1, 2, 5])
def test_a_box_that_trembles_stays_as_it_is(jitter: int, rng: np.random.Generator) -> None:
    """The same mask in 9 of 10 frames at least, and the true box always covered."""
    still, true = Still(jitter), np.array([40, 30, 100, 80])
    seen: list[Pixels] = []
    for _ in range(200):
        found = box(*(true + rng.integers(-jitter, jitter + 1, 4)))
        mask = still(found, SHAPE)
        assert mask is not None
        assert not (found & ~mask).any()
        assert not (box(*true) & ~mask).any()
        assert not (mask & ~box(*(true + 3 * jitter * np.array([-1, -1, 1, 1])))).any()
        seen.append(mask)
    same = np.mean([(a == b).all() for a, b in pairwise(seen)])
    assert same >= 0.9


def test_what_moves_is_followed() -> None:
    still, jitter = Still(2), 2
    resting = box(10, 90, 40, 110)
    kept = set()
    for x in range(30, 120, 2):
        moving = box(x, 20, x + 30, 60)
        mask = still(moving | resting, SHAPE)
        assert mask is not None
        assert not (moving & ~mask).any()
        assert not mask[20:60, : x - 4 * jitter].any()
        kept.add(mask[70:].tobytes())
    assert len(kept) == 1  # the object that rests is not touched


def test_the_given_mask_is_always_covered(rng: np.random.Generator) -> None:
    still = Still(3)
    for _ in range(60):
        mask = np.zeros(SHAPE, np.uint8)
        for _ in range(rng.integers(1, 4)):
            mask |= disc(*rng.integers(0, 160, 2), radius=int(rng.integers(1, 30)))
        given = mask if mask.any() else None
        steady = still(given, SHAPE)
        if given is None:
            assert steady is None
        else:
            assert steady is not None
            assert not (given & ~steady).any()


def test_the_result_is_the_callers() -> None:
    still = Still(1)
    first = still(disc(50, 50), SHAPE)
    assert first is not None
    first[:] = 0
    assert still(disc(50, 50), SHAPE) is not None
    assert still(disc(50, 50), SHAPE).any()  # type: ignore[union-attr]


def test_frames_of_another_size_start_anew() -> None:
    hold, still, small = Hold(3), Still(2), np.full((20, 30), 255, np.uint8)
    for step in (hold, still):
        step(disc(50, 50), SHAPE)
        assert (step(small, small.shape) == small).all()


def test_ranges() -> None:
    for wrong in (-1, 1000):
        with pytest.raises(InputError, match="hold_frames"):
            Hold(wrong)
        with pytest.raises(InputError, match="jitter"):
            Still(wrong)
