from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from iic_rt.errors import InputError, TrackLost
from iic_rt.video.frame_masks import open_masks
from iic_rt.video.track import TrackMasks
from tests.video.scenes import SHAPE, Pixels, background, disc, overlap, with_object

EMPTY = background()


def walk(count: int, step: float = 2.5) -> list[tuple[Pixels, Pixels]]:
    return [with_object(EMPTY, 30 + step * i, 60 + 8 * np.sin(i / 6)) for i in range(count)]


def test_a_mask_is_carried_along() -> None:
    scene = walk(36)
    with open_masks(TrackMasks(scene[0][1])) as masks:
        overlaps, trust = [], []
        for i, (frame, true) in enumerate(scene):
            overlaps.append(overlap(masks.mask(frame, i), true))
            trust.append(masks.trust)
            assert masks.warnings == ()
    assert overlaps[0] == 1
    assert np.mean(overlaps) > 0.9
    assert min(overlaps) > 0.85
    assert min(t for t in trust if t is not None) > 0.6


def test_a_box_is_enough_to_start() -> None:
    scene = walk(10)
    masks = TrackMasks((8, 38, 52, 82))
    overlaps = [overlap(masks.mask(frame, i, None), true) for i, (frame, true) in enumerate(scene)]
    assert min(overlaps) > 0.8


def test_large_frames_are_carried_at_a_smaller_scale() -> None:
    empty = background(shape=(720, 1280))
    scene = [with_object(empty, 400 + 9 * i, 300, radius=90) for i in range(6)]
    masks = TrackMasks(scene[0][1])
    for i, (frame, true) in enumerate(scene):
        mask = masks.mask(frame, i, None)
        assert mask is not None
        assert mask.shape == true.shape
        assert overlap(mask, true) > 0.9


def gone(frames: int = 12) -> list[Pixels]:
    """The object is there for six frames, and then the camera shows another place."""
    return [frame for frame, _ in walk(6)] + [background(seed=8 + i) for i in range(frames)]


def follow(masks: TrackMasks, frames: list[Pixels]) -> None:
    for i, frame in enumerate(frames):
        masks.mask(frame, i, None)


def test_a_cut_stops_the_track() -> None:
    masks = TrackMasks(walk(1)[0][1])
    with pytest.raises(TrackLost, match=r"lost at frame \d+: trust 0\.\d\d, least 0\.40") as caught:
        follow(masks, gone())
    assert 6 <= caught.value.index <= 9
    assert caught.value.trust < 0.4


def test_an_object_that_leaves_the_picture_is_lost() -> None:
    masks = TrackMasks(walk(1)[0][1])
    with pytest.raises(TrackLost) as caught:
        follow(masks, [frame for frame, _ in walk(80)])
    assert 45 <= caught.value.index <= 65


def test_hold_keeps_the_last_mask_and_everything_masks_all() -> None:
    first = walk(1)[0][1]
    held, whole = TrackMasks(first, when_lost="hold"), TrackMasks(first, when_lost="everything")
    last = None
    for i, frame in enumerate(gone()):
        a, b = held.mask(frame, i, None), whole.mask(frame, i, None)
        assert a is not None
        assert b is not None
        if held.warnings:
            assert last is not None
            assert (a == last).all()
            assert b.all()
            assert held.trust == 0
            assert held.warnings[0].kind == whole.warnings[0].kind == "lost"
        last = a
    assert held.warnings


@pytest.mark.parametrize(
    ("first", "options", "text"),
    [
        (np.zeros(SHAPE, np.uint8), {}, "marks nothing"),
        (np.ones(SHAPE, np.float32), {}, "float32"),
        (disc(50, 50), {"when_lost": "panic"}, "when_lost"),
        (disc(50, 50), {"least_trust": 3}, "least_trust"),
    ],
)
def test_wrong_options(first: Any, options: dict[str, Any], text: str) -> None:
    with pytest.raises(InputError, match=text):
        TrackMasks(first, **options)


def test_sizes_must_be_equal() -> None:
    with pytest.raises(InputError, match="first mask is 160x120 and frame 0 80x60"):
        TrackMasks(disc(50, 50)).mask(EMPTY[::2, ::2], 0, None)
    masks = TrackMasks(disc(50, 50))
    masks.mask(EMPTY, 0, None)
    with pytest.raises(InputError, match="frame 1 is 80x60 and the first 160x120"):
        masks.mask(EMPTY[::2, ::2], 1, None)


def test_a_mask_of_everything_does_not_crash() -> None:
    masks = TrackMasks(np.ones(SHAPE, bool))
    masks.mask(EMPTY, 0, None)
    assert masks.mask(EMPTY, 1, None) is not None
