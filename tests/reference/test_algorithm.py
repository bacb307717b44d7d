"""The numpy specification itself: hand-computed cases and the properties Algorithm 1 must keep."""

from __future__ import annotations

import numpy as np
import pytest

from iic_rt.reference.algorithm import SURER, Array, iterate, prepare
from iic_rt.resampling import area_weights


def scripted(confidences: list[list[float]], values: list[float]):
    """A network on a 1x4 picture that answers from a script and records what it saw."""
    seen: list[tuple[Array, Array]] = []

    def network(z: Array, m: Array) -> tuple[Array, Array]:
        t = len(seen)
        seen.append((z.copy(), m.copy()))
        conf = np.array(confidences[t], np.float32).reshape(1, 1, 1, 4)
        return np.full((1, 3, 1, 4), values[t], np.float32), conf

    return network, seen


def test_two_iterations_by_hand() -> None:
    y = np.full((1, 3, 1, 4), 0.25, np.float32)
    m = np.array([0, 1, 1, 1], np.float32).reshape(1, 1, 1, 4)
    network, seen = scripted([[0.9, 0.8, 0.4, 0.2], [0.9, 0.9, 0.6, 0.1]], [0.5, -0.5])
    (y1, m1, c1), (y2, m2, c2) = iterate(network, y, m, 2)
    # T = 1 fills everything; only the first hole pixel beats 0.5 and is known from now on.
    assert y1[0, 0, 0].tolist() == [0.25, 0.5, 0.5, 0.5]
    assert m1[0, 0, 0].tolist() == [0, 0, 1, 1]
    # T = 2 sees that pixel and takes the one whose confidence grew; the other keeps what it had.
    assert seen[1][0][0, 0, 0].tolist() == [0.25, 0.5, 0, 0]
    assert y2[0, 0, 0].tolist() == [0.25, 0.5, -0.5, 0.5]
    assert m2[0, 0, 0].tolist() == [0, 0, 0, 1]
    np.testing.assert_array_equal(c1[0, 0, 0], np.array([1, 0.8, 0.4, 0.2], np.float32))
    np.testing.assert_array_equal(c2[0, 0, 0], np.array([1, 0.8, 0.6, 0.1], np.float32))


def test_a_confidence_that_hardly_grew_keeps_nothing() -> None:
    m = np.ones((1, 1, 1, 4), np.float32)
    grown = [0.25 + float(SURER) * share for share in (0, 0.5, 1, 1.5)]
    network, _ = scripted([[0.25] * 4, grown], [0.5, -0.5])
    *_, (y, left, _c) = iterate(network, np.zeros((1, 3, 1, 4), np.float32), m, 2)
    assert left[0, 0, 0].tolist() == [1, 1, 1, 0]
    assert y[0, 0, 0].tolist() == [0.5, 0.5, 0.5, -0.5]


def test_the_first_iteration_keeps_whatever_beats_a_half() -> None:
    m = np.ones((1, 1, 1, 4), np.float32)
    network, _ = scripted([[0.5, 0.5001, 0.51, 0.6]], [0.5])
    ((_y, left, _c),) = iterate(network, np.zeros((1, 3, 1, 4), np.float32), m, 1)
    assert left[0, 0, 0].tolist() == [1, 0, 0, 0]


def test_properties(rng: np.random.Generator) -> None:
    y = rng.uniform(-1, 1, (1, 3, 16, 16)).astype(np.float32)
    m = (rng.random((1, 1, 16, 16)) < 0.5).astype(np.float32)

    def network(z: Array, hole: Array) -> tuple[Array, Array]:
        assert not (z * hole).any()
        return rng.uniform(-1, 1, z.shape).astype(np.float32), rng.random(hole.shape).astype(np.float32)

    before = m
    for y_t, m_t, c_t in iterate(network, y, m, 6):
        np.testing.assert_array_equal(np.where(m > 0, 0, y_t), np.where(m > 0, 0, y))  # known: bit for bit
        assert (m_t <= before).all()  # the hole only shrinks
        assert (y_t[np.broadcast_to(m > 0, y.shape)] != y[np.broadcast_to(m > 0, y.shape)]).all()  # complete
        assert c_t.min() >= 0
        assert c_t.max() <= 1
        before = m_t


@pytest.mark.parametrize("factor", [1, 1.25, 1.5, 1.75, 2, 3.5, 16])
def test_area_weights_are_means(factor: float) -> None:
    weights = area_weights(factor)
    assert weights.shape == (4, round(4 * factor))
    np.testing.assert_allclose(weights.sum(1), 1, rtol=1e-6)
    np.testing.assert_allclose(weights.sum(0), 4 / weights.shape[1], rtol=1e-6)


def test_prepare_by_hand() -> None:
    image = np.zeros((8, 8, 3), np.uint8)
    image[:4] = 255
    mask = np.zeros((8, 8), np.uint8)
    mask[7, 0] = 1  # one pixel under a working pixel is enough
    y, m = prepare(image, 1 - mask, area_weights(2), np.eye(3, dtype=np.float32))
    assert m[0, 0].tolist() == [[0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0]]
    assert (y[0, :, :2] == 1).all()
    assert (y[0, :, 2:, 1:] == -1).all()
    assert (y[0, :, 3, 0] == 0).all()
