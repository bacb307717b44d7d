"""The loop on a backend computes what the reference says."""

from __future__ import annotations

import numpy as np
import pytest

from iic_rt.contract import Backend
from iic_rt.pipeline.loop import Loop
from iic_rt.reference.algorithm import Array, iterate
from iic_rt.reference.pixels import close_seam

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


def prepared(rng: np.random.Generator) -> tuple[Array, Array]:
    """An image of flat patches with a hole in its middle, as ``prepare`` gives it."""
    y = np.kron(rng.uniform(-1, 1, (3, SIZE // 8, SIZE // 8)), np.ones((1, 8, 8))).astype(np.float32)
    m = np.zeros((1, 1, SIZE, SIZE), np.float32)
    m[..., 16:48, 12:50] = 1
    return y[None] * (1 - m), m


def start(loop: Loop, y: Array, m: Array) -> None:
    loop.y.write(y)
    loop.hole.write(m)
    loop.start()


@pytest.mark.parametrize("iterations", [1, 2, 3, 5])
def test_equals_the_reference(backend: Backend, loop: Loop, rng: np.random.Generator, iterations: int) -> None:
    y, m = prepared(rng)
    start(loop, y, m)
    y_last, before = y, m
    for y_t, m_t, c_t in iterate(network_of(backend), y, m, iterations):
        loop.enqueue_step()
        loop.download()
        backend.wait()
        state = loop.state()
        np.testing.assert_array_equal(state.m, m_t[0, 0])
        np.testing.assert_array_equal(state.c, c_t[0, 0])
        assert loop.is_done() == (m_t.sum() in (0, before.sum()) or m_t.sum() <= 0.01 * m.sum())
        y_last, before = y_t, m_t
    assert loop.iterations == iterations
    loop.enqueue_seam()
    np.testing.assert_allclose(loop.low.read(), close_seam(y_last, m), atol=2e-5)


def test_a_region_leaves_nothing_behind_for_the_next(loop: Loop, rng: np.random.Generator) -> None:
    first, second = prepared(rng), prepared(rng)
    results = []
    for y, m in (first, second, first):
        start(loop, y, m)
        for _ in range(3):
            loop.enqueue_step()
        loop.enqueue_seam()
        results.append(loop.low.read().copy())
    np.testing.assert_array_equal(results[0], results[2])
    assert (results[0] != results[1]).any()


def test_states_are_copies(loop: Loop, rng: np.random.Generator) -> None:
    start(loop, *prepared(rng))
    loop.enqueue_step()
    loop.download()
    kept = loop.state()
    before = kept.c.copy()
    start(loop, *prepared(rng))
    for _ in range(3):
        loop.enqueue_step()
    np.testing.assert_array_equal(kept.c, before)


def test_a_hundredth_of_the_hole_is_not_worth_another_iteration(loop: Loop) -> None:
    def pixels(count: int) -> Array:
        return (np.arange(SIZE * SIZE) < count).astype(np.float32).reshape(1, 1, SIZE, SIZE)

    loop.hole.write(pixels(1600))
    loop.start()
    for left, done in ((400, False), (17, False), (16, True)):
        loop.iterations += 1
        loop._last["m"].write(pixels(left))
        assert loop.is_done() is done
