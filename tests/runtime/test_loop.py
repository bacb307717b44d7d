"""The loop on a backend computes what the reference says, and keeps its promises about time."""

from __future__ import annotations

import time

import numpy as np
import pytest

from iic_rt.backends.base import Backend
from iic_rt.loop import MAX_SIDES, Loop
from iic_rt.reference import Array, area_weights, iterate, prepare

SIZE = 64


@pytest.fixture
def loop(backend: Backend) -> Loop:
    return Loop(backend, working_size=SIZE)


def network_of(backend: Backend):
    """The network inside the step graph: with an empty past and ``first``, its outputs are g and conf in the hole."""

    def network(z: Array, m: Array) -> tuple[Array, Array]:
        names = {"y": z, "m": m, "c": np.zeros_like(m), "first": np.ones(1, np.float32)}
        inputs = {name: backend.allocate(value.shape, "float32") for name, value in names.items()}
        for name, value in names.items():
            inputs[name].write(value)
        outputs = {f"{name}_out": backend.allocate(names[name].shape, "float32") for name in ("y", "m", "c")}
        backend.bind("step", inputs, outputs).enqueue()
        return outputs["y_out"].read(), outputs["c_out"].read()

    return network


def prepared(backend: Backend, image: np.ndarray, mask: np.ndarray) -> tuple[Array, Array]:
    """The prepare graph by itself."""
    weights = area_weights(image.shape[0] / SIZE)
    arrays = {"image": image, "mask": mask, "weights": weights}
    inputs = {name: backend.allocate(value.shape, str(value.dtype)) for name, value in arrays.items()}
    for name, value in arrays.items():
        inputs[name].write(value)
    outputs = {name: backend.allocate((1, n, SIZE, SIZE), "float32") for name, n in (("y", 3), ("m", 1))}
    backend.bind("prepare", inputs, outputs).enqueue()
    return outputs["y"].read(), outputs["m"].read()


@pytest.mark.parametrize("side", [64, 80, 112, 128, 192, 1024])
def test_prepare_equals_the_reference(backend: Backend, rng: np.random.Generator, side: int) -> None:
    image = rng.integers(0, 256, (side, side, 3), np.uint8)
    mask = (rng.random((side, side)) < 0.01).astype(np.uint8)
    y, m = prepared(backend, image, mask)
    expected = prepare(image, mask, area_weights(side / SIZE))
    np.testing.assert_allclose(y, expected[0], atol=2e-6)
    np.testing.assert_array_equal(m, expected[1])


def picture(rng: np.random.Generator, side: int) -> np.ndarray:
    return np.kron(rng.integers(0, 256, (side // 8, side // 8, 3), np.uint8), np.ones((8, 8, 1), np.uint8))


@pytest.mark.parametrize("side", [64, 80, 128])
@pytest.mark.parametrize("iterations", [1, 2, 3, 5])
def test_equals_the_reference(
    backend: Backend, loop: Loop, rng: np.random.Generator, side: int, iterations: int
) -> None:
    image = picture(rng, side)
    mask = np.zeros((side, side), np.uint8)
    mask[side // 4 : -side // 4, side // 4 : -side // 4] = 1
    filled = loop.fill(image, mask, iterations=iterations, keep=True)
    y, m = prepared(backend, image, mask)
    for state, (y_t, m_t, c_t) in zip(filled.states, iterate(network_of(backend), y, m, iterations), strict=False):
        np.testing.assert_array_equal(state.y, y_t[0])
        np.testing.assert_array_equal(state.m, m_t[0, 0])
        np.testing.assert_array_equal(state.c, c_t[0, 0])
    assert filled.iterations == len(filled.states)
    assert filled.iterations == iterations or not filled.states[-1].m.any()


def test_a_call_leaves_nothing_behind_for_the_next(loop: Loop, rng: np.random.Generator) -> None:
    mask = np.zeros((SIZE, SIZE), np.uint8)
    mask[20:40, 20:40] = 1
    image = picture(rng, SIZE)
    fresh = loop.fill(image, mask, iterations=4)
    loop.fill(picture(rng, SIZE), 1 - mask, iterations=3)
    again = loop.fill(image, mask, iterations=4)
    np.testing.assert_array_equal(fresh.states[-1].y, again.states[-1].y)
    np.testing.assert_array_equal(fresh.states[-1].c, again.states[-1].c)


def test_a_spent_budget_still_fills_the_hole(loop: Loop, rng: np.random.Generator) -> None:
    mask = np.zeros((SIZE, SIZE), np.uint8)
    mask[20:40, 20:40] = 1
    filled = loop.fill(picture(rng, SIZE), mask, iterations=6, deadline=time.perf_counter() - 1)
    assert filled.iterations == 1
    assert len(filled.states) == 1


def test_an_empty_hole_stops_the_loop(loop: Loop, rng: np.random.Generator) -> None:
    filled = loop.fill(picture(rng, SIZE), np.zeros((SIZE, SIZE), np.uint8), iterations=6)
    assert filled.iterations == 1


def test_states_are_copies(loop: Loop, rng: np.random.Generator) -> None:
    mask = np.ones((SIZE, SIZE), np.uint8)
    mask[:8] = 0
    kept = loop.fill(picture(rng, SIZE), mask, iterations=1).states[0].y
    before = kept.copy()
    loop.fill(picture(rng, SIZE), mask, iterations=3)
    np.testing.assert_array_equal(kept, before)


def test_buffers_of_few_sides_are_kept(loop: Loop, rng: np.random.Generator) -> None:
    for side in (64, 80, 96, 112, 128, 160):
        loop.fill(picture(rng, side), np.eye(side, dtype=np.uint8), iterations=1)
    assert len(loop._crops) == MAX_SIDES
