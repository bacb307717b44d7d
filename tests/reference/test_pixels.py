"""Seam and composite: the specification by hand, and every backend against it; so too ``prepare``."""

from __future__ import annotations

import numpy as np
import pytest

from iic_rt.contract import Backend
from iic_rt.reference.algorithm import prepare
from iic_rt.reference.pixels import close_seam, composite, enlarge
from iic_rt.resampling import area_weights, base_weights, enlarge_weights

SIZE = 64
ORDERS = {"grey": np.ones((3, 1), np.float32), "rgb": np.eye(3, dtype=np.float32)}
ORDERS["bgra"] = np.zeros((3, 4), np.float32)
ORDERS["bgra"][[2, 1, 0], [0, 1, 2]] = 1


def run(backend: Backend, graph: str, inputs: dict[str, np.ndarray], outputs: dict[str, tuple]) -> list[np.ndarray]:
    """A graph by itself."""
    bound = {name: backend.allocate(value.shape, str(value.dtype)) for name, value in inputs.items()}
    for name, value in inputs.items():
        bound[name].write(value)
    made = {name: backend.allocate(shape, dtype) for name, (shape, dtype) in outputs.items()}
    backend.bind(graph, bound, made).enqueue()
    return [buffer.read().copy() for buffer in made.values()]


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("side", [64, 80, 112, 128, 192, 1024])
def test_prepare_on_a_backend(backend: Backend, rng: np.random.Generator, side: int, order: str) -> None:
    matrix = ORDERS[order]
    image = rng.integers(0, 256, (side, side, matrix.shape[1]), np.uint8)
    visible = (rng.random((side, side)) > 0.01).astype(np.uint8)
    weights = area_weights(side / SIZE)
    inputs = {"image": image, "visible": visible, "weights": weights, "order": matrix}
    outputs = {"y": ((1, 3, SIZE, SIZE), "float32"), "m": ((1, 1, SIZE, SIZE), "float32")}
    y, m = run(backend, "prepare", inputs, outputs)
    expected = prepare(image, visible, weights, matrix)
    np.testing.assert_allclose(y, expected[0], atol=2e-6)
    np.testing.assert_array_equal(m, expected[1])


def hole_of(rng: np.random.Generator, kind: str) -> np.ndarray:
    m = np.zeros((1, 1, SIZE, SIZE), np.float32)
    if kind == "box":
        m[..., 10:40, :30] = 1
    elif kind == "noise":
        m[:] = rng.random(m.shape) < 0.3
    elif kind == "everything":
        m[:] = 1
    return m


@pytest.mark.parametrize("kind", ["box", "noise", "everything", "nothing"])
def test_seam_on_a_backend(backend: Backend, rng: np.random.Generator, kind: str) -> None:
    y, m = rng.uniform(-1.2, 1.2, (1, 3, SIZE, SIZE)).astype(np.float32), hole_of(rng, kind)
    (low,) = run(backend, "seam", {"y": y, "m": m}, {"low": ((1, 3, SIZE + 12, SIZE + 12), "float32")})
    np.testing.assert_allclose(low, close_seam(y, m), atol=1e-5)


def test_the_seam_is_led_to_the_known_side_and_nothing_else_moves() -> None:
    y, m = np.full((1, 3, SIZE, SIZE), 0.5, np.float32), np.zeros((1, 1, SIZE, SIZE), np.float32)
    m[..., 32:] = 1
    y[..., 32:] = 0.3
    inner = close_seam(y, m)[0, 0, 6:-6, 6:-6]
    np.testing.assert_allclose(inner[:, :32], 0.5)
    assert (inner[:, 32] > 0.42).all()  # two thirds of the way
    assert ((inner[:, 33] > 0.33) & (inner[:, 33] < 0.37)).all()
    np.testing.assert_allclose(inner[:, 34:], 0.3)


@pytest.mark.parametrize("factor", [1, 1.5, 2, 5])
@pytest.mark.parametrize("order", ORDERS)
def test_composite_on_a_backend(backend: Backend, rng: np.random.Generator, factor: float, order: str) -> None:
    back = np.ascontiguousarray(ORDERS[order].T)
    if order == "grey":
        back = np.array([[0.299, 0.587, 0.114]], np.float32)
    channels, side = len(back), round(SIZE * factor)
    low = rng.uniform(-1.1, 1.1, (1, 3, SIZE + 12, SIZE + 12)).astype(np.float32)
    image = rng.integers(0, 256, (side, side, channels), np.uint8)
    hole = (rng.random((side, side)) < 0.4).astype(np.uint8)
    keep = (np.arange(channels) == 3).astype(np.float32).reshape(-1, 1, 1)
    inputs = {"low": low, "weights": enlarge_weights(factor), "image": image, "hole": hole, "order": back}
    (filled,) = run(backend, "composite", inputs | {"keep": keep}, {"filled": (image.shape, "uint8")})
    expected = composite(low, enlarge_weights(factor), image, hole, back, keep)
    np.testing.assert_array_equal(filled[hole == 0], image[hole == 0])
    if channels == 4:
        np.testing.assert_array_equal(filled[..., 3], image[..., 3])
    assert np.abs(filled.astype(int) - expected).max() <= 1  # a sum in another order may round to the next byte
    assert (filled != expected).mean() < 1e-3


@pytest.mark.parametrize("weights", [base_weights, enlarge_weights])
@pytest.mark.parametrize("factor", [1, 1.5, 2, 4, 16])
def test_enlarging_keeps_slopes(weights, factor: float) -> None:
    ramp = np.broadcast_to(np.arange(-6, SIZE + 6, dtype=np.float32), (1, 1, SIZE + 12, SIZE + 12))
    large = enlarge(ramp, weights(factor))[0, 0]
    wanted = (np.arange(round(SIZE * factor)) + 0.5) / factor - 0.5
    np.testing.assert_allclose(
        large, np.broadcast_to(wanted, large.shape), atol=2e-5 if weights is base_weights else 0.06
    )


def test_enlarging_by_1_hands_the_pixels_through() -> None:
    np.testing.assert_array_equal(enlarge_weights(1), np.eye(16, dtype=np.float32)[6:10])
