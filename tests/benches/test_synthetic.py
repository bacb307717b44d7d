"""The synthetic sets are repeatable, and their scores tell right from wrong."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from benchmarks.synthetic import SIDE, even_scores, line_score, make_even, make_lines


def test_the_sets_are_the_same_every_time() -> None:
    for make in (make_even, make_lines):
        first, second = make(), make()
        for a, b in zip(first, second, strict=True):
            np.testing.assert_array_equal(a.image, b.image)
            np.testing.assert_array_equal(a.hole, b.hole)
            assert a.image.shape == (SIDE, SIDE, 3)
            assert 0.001 < a.hole.mean() < 0.4


def test_holes_of_lines_reach_from_24_to_128_pixels() -> None:
    sides = {int(case.hole.any(0).sum()) for case in make_lines()}
    assert min(sides) <= 26
    assert max(sides) >= 127


def test_even_scores_tell_a_cast_and_missing_noise() -> None:
    case = make_even()[0]
    inside = case.hole > 0
    right = even_scores(case, case.image)
    assert right["error"] - right["ring"] < 1
    assert right["detail"] == pytest.approx(1, abs=0.3)
    cast, flat = case.image.copy(), case.image.copy()
    cast[inside] = np.clip(cast[inside].astype(int) + 12, 0, 255)
    assert even_scores(case, cast)["error"] > right["ring"] + 8
    flat[inside] = np.rint(case.clean[inside]).astype(np.uint8)
    found = even_scores(case, flat)
    assert found["detail"] < 0.5
    assert found["error"] <= right["error"] + 0.5


def test_line_score() -> None:
    for case in make_lines()[:24]:
        inside = case.hole > 0
        assert line_score(case, case.image) > 0.9, case.kind
        if inside.sum() < 1500:  # close to the border what is known is crisp itself
            continue
        blurred = np.where(inside[..., None], cv2.GaussianBlur(case.image, (0, 0), 12), case.image)
        assert line_score(case, blurred) < 0.3, case.kind
        moved = np.where(inside[..., None], np.roll(case.image, 5, 0), case.image)
        if case.kind == "horizon":  # the others may run along the move
            assert line_score(case, moved) < 0.7, case.kind
