"""A clock that is set while the program runs, as on a device that learns the time from the network, changes nothing."""

from __future__ import annotations

import ast
import itertools
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from iic_rt import Inpainter
from tests.engines.cache_worker import ENGINE, key

PACKAGE = Path(__file__).parents[2] / "iic_rt"
# When something was done, and whether that is long ago; never how long it takes.
CALENDAR = {"files.py", "engines/cache.py", "cli/engines.py", "bench/__main__.py"}


def uses_the_calendar(path: Path) -> bool:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and ast.unparse(node) in ("time.time", "time.time_ns", "datetime.now"):
            return True
        if isinstance(node, ast.ImportFrom) and node.module in ("time", "datetime"):
            return True
    return False


def test_time_is_measured_by_clocks_that_nobody_sets() -> None:
    found = {str(path.relative_to(PACKAGE)) for path in PACKAGE.rglob("*.py") if uses_the_calendar(path)}
    assert found == CALENDAR


@pytest.fixture(params=[86_400.0, -86_400.0], ids=["a day ahead", "a day back"])
def jumps(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every look at the clock is a day from the last."""
    days = itertools.count(1)
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + request.param * next(days))


@pytest.mark.usefixtures("jumps")
def test_a_budget_is_what_it_is(inpainter: Inpainter, rng: np.random.Generator) -> None:
    image = rng.integers(0, 256, (90, 120, 3), np.uint8)
    mask = np.zeros((90, 120), np.uint8)
    mask[30:60, 30:70] = 255
    options = replace(inpainter.options, budget_ms=60_000.0, iterations=3)
    result = inpainter.inpaint(image, mask, options=options)
    assert 0 < result.timings.total_ms < 60_000
    without = inpainter.inpaint(image, mask, options=replace(options, budget_ms=None))
    assert result.iterations == without.iterations
    np.testing.assert_array_equal(result.image, without.image)


@pytest.mark.usefixtures("jumps")
def test_engines_are_kept_and_found(tmp_path: Path) -> None:
    from iic_rt.engines.cache import EngineCache

    cache = EngineCache(tmp_path)
    assert cache.get(key(), lambda: ENGINE) == ENGINE
    assert cache.get(key(), lambda: pytest.fail("built twice")) == ENGINE
    assert 0 <= cache.entries()[0].build_seconds < 60
