from __future__ import annotations

import numpy as np
import pytest

from iic_rt.result import Timings
from iic_rt.video.measures import Percentiles, Stages


def test_percentiles_to_one_percent(rng: np.random.Generator) -> None:
    values = rng.lognormal(3, 1, 5000)
    percentiles = Percentiles()
    for value in values:
        percentiles.add(float(value))
    found = percentiles.report()
    for share in (50, 90, 99):
        assert found[f"p{share}"] == pytest.approx(np.percentile(values, share), rel=0.015)


def test_extremes_and_nothing() -> None:
    percentiles = Percentiles()
    assert percentiles.report() == {"p50": None, "p90": None, "p99": None}
    percentiles.add(0.0)
    percentiles.add(1e12)
    assert percentiles.report()["p99"] > 1e6  # type: ignore[operator]


def test_stages_add_up() -> None:
    stages = Stages()
    for _ in range(2):
        stages.add(Timings(total_ms=10, copy_in_ms=1, prepare_ms=2, iterations_ms=(1.0, 2.0), upsample_ms=3))
    assert stages.total["iterations"] == 6
    assert stages.total["host"] == pytest.approx(2)
    assert stages.graphs_ms == pytest.approx(16)
