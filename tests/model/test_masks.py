"""Synthesised holes look like what users draw, and repeat under a seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from training.masks import MAX_AREA, MIN_AREA, ObjectShapes, classic_hole, object_mask, stroke_mask, synthesize_hole


@pytest.fixture(scope="module")
def shapes(shards: Path) -> ObjectShapes:
    return ObjectShapes(shards / "objects.npz")


def test_shapes_unpack(shapes: ObjectShapes) -> None:
    assert len(shapes) == 5
    shape = shapes[0]
    assert shape.shape == (64, 64)
    assert set(np.unique(shape)) == {0, 1}
    assert shape[32, 32] == 1
    assert shape[0, 0] == 0


@pytest.mark.parametrize(
    "draw", [lambda rng, shapes: object_mask(rng, shapes, 96), lambda rng, _: stroke_mask(rng, 96)]
)
def test_each_kind_alone(shapes: ObjectShapes, rng: np.random.Generator, draw) -> None:
    masks = [draw(rng, shapes) for _ in range(50)]
    assert all(m.shape == (96, 96) and m.dtype == np.uint8 and m.max() <= 1 for m in masks)
    assert 0.02 < np.mean([m.mean() for m in masks]) < 0.5
    assert np.std([m.mean() for m in masks]) > 0.01


def test_statistics(shapes: ObjectShapes, rng: np.random.Generator) -> None:
    holes = np.stack([synthesize_hole(rng, shapes, 64) for _ in range(400)])
    areas = holes.mean((1, 2))
    assert areas.min() >= MIN_AREA
    assert areas.max() <= MAX_AREA
    assert 0.08 < areas.mean() < 0.3
    assert areas.std() > 0.05
    everywhere = holes.mean(0)  # every place of the picture is in a hole sometimes, none nearly always
    assert everywhere.min() > 0.02
    assert everywhere.max() < 0.5


def test_salient_pixels_are_left_alone(shapes: ObjectShapes, rng: np.random.Generator) -> None:
    salient = np.zeros((64, 64), np.uint8)
    salient[16:48, 16:48] = 255
    for _ in range(100):
        hole = synthesize_hole(rng, shapes, 64, salient)
        assert hole.any()
        assert not hole[salient > 0].any()


def test_a_picture_that_is_all_salient_still_gets_a_hole(shapes: ObjectShapes, rng: np.random.Generator) -> None:
    assert synthesize_hole(rng, shapes, 64, np.ones((64, 64), np.uint8)).any()


def test_classic_holes_are_rectangles_and_strokes_anywhere(rng: np.random.Generator) -> None:
    holes = [classic_hole(rng, 64) for _ in range(100)]
    boxes = [np.ptp(np.argwhere(hole), axis=0) + 1 for hole in holes]
    full = [bool(hole.sum() == box.prod()) for hole, box in zip(holes, boxes, strict=True)]
    assert 30 < sum(full) < 70
    assert np.mean(holes, 0)[8:-8, 8:-8].min() > 0.02


def test_seeded(shapes: ObjectShapes) -> None:
    first, again, other = ([synthesize_hole(np.random.default_rng(s), shapes, 64) for _ in range(3)] for s in (5, 5, 6))
    np.testing.assert_array_equal(first, again)
    assert any((a != b).any() for a, b in zip(first, other, strict=True))
