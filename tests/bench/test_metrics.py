"""The numbers that results are told in, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from iic_rt.bench.metrics import hole_difference, hole_psnr, percentiles, psnr


def test_only_the_hole_counts() -> None:
    truth = np.full((20, 20, 3), 100, np.uint8)
    hole = np.zeros((20, 20), bool)
    hole[5:15, 5:15] = True
    image = truth.copy()
    image[hole] = 151  # a fifth of the range
    image[~hole] = 0
    assert hole_psnr(image, truth, hole) == hole_psnr(truth, image, hole) == pytest.approx(20 * np.log10(5))
    assert hole_difference(truth, image, hole) == 51


def test_no_difference_has_a_number() -> None:
    assert psnr(0.0) == psnr(1e-9) == 100
    assert psnr(255.0**2) == 0


def test_percentiles() -> None:
    values = [float(v) for v in range(101)]
    assert percentiles(values) == {"p50": 50, "p90": 90, "p99": 99}
    assert percentiles([1 / 3], points=(10,), digits=2) == {"p10": 0.33}
