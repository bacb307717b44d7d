"""Drawn pictures: repeatable, different, none empty or out of range."""

from __future__ import annotations

import numpy as np
import pytest

from training.drawn import draw_picture


@pytest.mark.parametrize("size", [64, 128])
def test_pictures_depend_on_the_seed_alone(size: int) -> None:
    a, b = (draw_picture(np.random.default_rng(4), size) for _ in range(2))
    assert a.shape == (size, size, 3)
    assert a.dtype == np.uint8
    np.testing.assert_array_equal(a, b)
    assert (draw_picture(np.random.default_rng(5), size) != a).any()


def test_most_have_edges_and_some_are_even() -> None:
    steps = []
    for seed in range(60):
        picture = draw_picture(np.random.default_rng(seed), 64).astype(float).mean(2)
        steps.append(np.percentile(np.abs(np.diff(picture, axis=1)), 99))
    assert np.mean(np.array(steps) > 20) > 0.5
    assert min(steps) < 12
