"""A case that takes milliseconds, and its scene."""

from __future__ import annotations

import pytest

from iic_rt.bench.cases import Case, Scene, synthetic
from iic_rt.bench.check import Reference, reference

SMALL = Case(
    backend="onnxruntime",
    precision=None,
    width=96,
    height=96,
    hole_percent=15,
    iterations=3,
    batch=1,
    mode="latency",
    workers=1,
    repeats=2,
    warmup=1,
    threads=1,
    working_size=64,
    bundle="edge",
)


@pytest.fixture
def case() -> Case:
    return SMALL


@pytest.fixture(scope="session")
def scene() -> Scene:
    return synthetic(SMALL.width, SMALL.height, SMALL.hole_percent)


@pytest.fixture(scope="session")
def expected(scene: Scene) -> Reference:
    return reference(SMALL, scene)
