"""Pictures, crops and the plans of steps."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from training.data import Pictures, StepPlans, draw, resized_crops, validation_plan
from training.masks import ObjectShapes


@pytest.fixture(scope="module")
def pictures(shards: Path, cache: Path) -> Pictures:
    return Pictures(shards, cache=cache, validation=6)


@pytest.fixture(scope="module")
def shapes(shards: Path) -> ObjectShapes:
    return ObjectShapes(shards / "objects.npz")


def plans(pictures: Pictures, shapes: ObjectShapes, start: int = 0, seed: int = 0) -> StepPlans:
    return StepPlans(pictures, shapes, seed=seed, size=32, batch=6, start=start)


def test_the_split_is_clean(pictures: Pictures) -> None:
    parts = [set(p) for p in (pictures.validation, pictures.train_salient, pictures.train_general)]
    assert sum(len(p) for p in parts) == len(pictures) == len(set.union(*parts)) == 24
    assert len(pictures.validation) == 6
    assert len(pictures.salient) == 10


def test_the_split_does_not_move_with_the_number_of_pictures(shards: Path, cache: Path) -> None:
    few = Pictures(shards, cache=cache, validation=3, limit=20)
    more = Pictures(shards, cache=cache, validation=3)
    held_out = {more.names[i] for i in more.validation}
    assert held_out & set(few.names) <= {few.names[i] for i in few.validation}  # by name, not by position


def test_both_kinds_are_drawn_equally(pictures: Pictures, shapes: ObjectShapes) -> None:
    for step in range(5):
        indices = plans(pictures, shapes)[step].indices
        assert sum(i in pictures.salient for i in indices) == 3
        assert not set(indices) & set(pictures.validation)


def test_a_step_depends_on_seed_and_step_alone(pictures: Pictures, shapes: ObjectShapes) -> None:
    a, b = plans(pictures, shapes)[7], plans(pictures, shapes, start=5)[2]
    assert (a.indices, a.boxes, a.flips) == (b.indices, b.boxes, b.flips)
    np.testing.assert_array_equal(a.holes, b.holes)
    other = plans(pictures, shapes, seed=1)[7]
    assert (a.indices, a.boxes) != (other.indices, other.boxes)


def test_crops(pictures: Pictures, shapes: ObjectShapes) -> None:
    plan = plans(pictures, shapes)[0]
    x, m = pictures.crops(plan)
    assert x.shape == (6, 3, 32, 32)
    assert m.shape == (6, 1, 32, 32)
    assert x.min() >= -1
    assert x.max() <= 1
    assert set(m.unique().tolist()) == {0, 1}
    flipped, _ = pictures.crops(replace(plan, flips=[not f for f in plan.flips]))
    torch.testing.assert_close(flipped.flip(3), x)


@pytest.mark.parametrize("size", [32, 64, 112])  # the last enlarges
def test_crops_at_once_are_those_one_by_one(pictures: Pictures, shapes: ObjectShapes, size: int) -> None:
    plan = draw(np.random.default_rng(0), pictures, shapes, [*range(8), len(pictures) - 1], size, augment=True)
    h, w = pictures.shapes[-1]
    plan.boxes[-1] = (0, int(w - h), int(h))  # ends where the last picture ends
    plan.flips[:2] = False, True
    longest = max(side for _, _, side in plan.boxes)
    pixels = F.pad(pictures._buffer, (0, 3 * longest), value=255)
    found = resized_crops(pixels, torch.from_numpy(pictures.windows(plan)), size, longest=longest)
    for crop, index, (top, left, side), flip in zip(found, plan.indices, plan.boxes, plan.flips, strict=True):
        start, (h, w) = pictures._offsets[index], pictures.shapes[index]
        picture = pictures._buffer[start : start + 3 * h * w].view(h, w, 3)
        square = picture[top : top + side, left : left + side].permute(2, 0, 1)[None].float()
        wanted = F.interpolate(square, (size, size), mode="bilinear", antialias=True)[0]
        torch.testing.assert_close(crop, wanted.flip(2) if flip else wanted, rtol=0, atol=2e-3)


def test_a_flipped_crop_leaves_its_salient_object_alone(pictures: Pictures, shapes: ObjectShapes) -> None:
    """The mask is cut and turned with the picture: painted on the picture, it must meet the hole nowhere."""
    index = next(i for i in pictures.salient if i in pictures.train_salient)
    mask = pictures.salient[index]
    for seed in range(20):
        plan = draw(np.random.default_rng(seed), pictures, shapes, [index], 64)
        (top, left, side), flip = plan.boxes[0], plan.flips[0]
        window = mask[top : top + side, left : left + side]
        window = window[:, ::-1] if flip else window
        rows = (np.arange(64) + 0.5) * side / 64
        nearest = window[rows.astype(int)][:, rows.astype(int)] > 0
        eroded = nearest[1:-1, 1:-1] & nearest[:-2, 1:-1] & nearest[2:, 1:-1] & nearest[1:-1, :-2] & nearest[1:-1, 2:]
        assert not plan.holes[0][1:-1, 1:-1][eroded].any()


def test_the_validation_never_changes(pictures: Pictures, shapes: ObjectShapes) -> None:
    a, b = (validation_plan(pictures, shapes, size=32) for _ in range(2))
    assert a.boxes == b.boxes
    np.testing.assert_array_equal(a.holes, b.holes)
    assert a.indices == pictures.validation


def test_a_folder_without_shards_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="--data"):
        Pictures(tmp_path, cache=tmp_path)


def test_drawn_pictures_come_behind_the_photographs(pictures: Pictures, shapes: ObjectShapes) -> None:
    plan = StepPlans(pictures, shapes, seed=0, size=32, batch=8, start=0, drawn=0.25)[3]
    assert len(plan.indices) == 6
    assert plan.drawn.shape == (2, 32, 32, 3)
    assert plan.holes.shape == (8, 32, 32)
    x, m = pictures.crops(plan)
    assert x.shape == (8, 3, 32, 32)
    assert m.shape == (8, 1, 32, 32)
    expected = (plan.drawn[0].astype(np.float64) / 255).clip(5e-5, 1) ** plan.gammas[6] * 2 - 1
    np.testing.assert_allclose(x[6].permute(1, 2, 0), expected, atol=1e-3)


def test_the_decoded_pictures_are_mapped_again(shards: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Pictures(shards, cache=cache, validation=3)
    monkeypatch.setattr("training.data.read_tar", lambda path: [])  # nothing is decoded twice
    again = Pictures(shards, cache=cache, validation=3)
    assert again.names == first.names
    plan = draw(np.random.default_rng(0), first, ObjectShapes(shards / "objects.npz"), [0, 1], 32)
    assert torch.equal(first.crops(plan)[0], again.crops(plan)[0])
