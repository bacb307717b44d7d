"""What the host does with pixels, against its specification and against the graphs of the bundle."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnxruntime
import pytest

from iic_rt import pixels
from iic_rt.bundle.manifest import Bundle, load_bundle
from iic_rt.pixels import close_seam, enlarge, put_into_hole, shrink_region, take_detail
from iic_rt.reference import pixels as reference
from iic_rt.reference.algorithm import prepare
from iic_rt.resampling import BASE_REACH, area_weights, base_weights, enlarge_weights

OPERANDS = ("image", "visible", "weights", "order")  # of prepare
SIZE = 32  # working pixels
TOLERANCE = 2e-6


@pytest.fixture(scope="module")
def bundle() -> Bundle:
    return load_bundle("edge")


def scene(rng: np.random.Generator, factor: float, channels: int) -> dict[str, Any]:
    """Operands of both graphs; the hole is no rectangle and does not end where a patch ends."""
    side = int(SIZE * factor)
    padded = SIZE + 2 * BASE_REACH
    y, x = np.mgrid[:side, :side] / side
    hole = ((y - 0.45) ** 2 + (x - 0.6) ** 2 < 0.06).astype(np.uint8)
    grey = channels == 1
    keep = np.zeros((channels, 1, 1), np.float32)
    keep[3:] = 1
    swapped = np.eye(3, channels, dtype=np.float32)[::-1]  # BGR
    return {
        "low": rng.uniform(-1.1, 1.1, (1, 3, padded, padded)).astype(np.float32),
        "weights": base_weights(factor),
        "image": rng.integers(0, 256, (side, side, channels), np.uint8),
        "hole": hole * np.uint8(255),
        "visible": 1 - hole,
        "order": np.ones((3, 1), np.float32) if grey else swapped,
        "order_back": np.full((1, 3), 1 / 3, np.float32) if grey else swapped.T.copy(),
        "keep": keep,
    }


def detail_of(s: dict[str, Any], dtype: Any = np.float32) -> tuple[np.ndarray, np.ndarray]:
    side = len(s["image"])
    detail, inside = np.empty((3, side, side), dtype), np.empty((side, side), dtype)
    take_detail(s["image"], s["visible"], s["low"][0], s["weights"], s["order"], detail, inside)
    return detail, inside


def filled(s: dict[str, Any], mixed: np.ndarray | None) -> np.ndarray:
    out = np.empty_like(s["image"])
    put_into_hole(s["low"][0], s["weights"], mixed, s["image"], s["hole"], s["order_back"], s["keep"], out)
    return out


def run(bundle: Bundle, graph: str, s: dict[str, Any], **more: Any) -> list[np.ndarray]:
    session = onnxruntime.InferenceSession(bundle.graphs[graph].path, providers=["CPUExecutionProvider"])
    given = s | more
    names = [entry.name for entry in session.get_inputs()]
    return session.run(None, {name: given[name] for name in names})  # type: ignore[no-any-return]


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("factor", [1.0, 1.25, 1.75, 4.0])
def test_shrinking(
    bundle: Bundle, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch, factor: float, channels: int
) -> None:
    monkeypatch.setattr(pixels, "PIXELS_PER_BAND", 1000)  # several bands, and one that is not whole
    s = scene(rng, factor, channels) | {"weights": area_weights(factor)}
    s["visible"][0, -1] = 0  # a pixel on the border: the working pixel that it lies in is a hole
    y, m = np.empty((3, SIZE, SIZE), np.float32), np.empty((SIZE, SIZE), np.float32)
    shrink_region(s["image"], s["visible"], s["weights"], s["order"], y, m)
    for expected_y, expected_m in (prepare(*(s[n] for n in OPERANDS)), run(bundle, "prepare", s)):
        np.testing.assert_allclose(y, expected_y[0], atol=TOLERANCE)
        np.testing.assert_array_equal(m, expected_m[0, 0])


@pytest.mark.parametrize("factor", [1.0, 1.75, 4.0])
def test_enlarging(rng: np.random.Generator, factor: float) -> None:
    low = rng.uniform(-1, 1, (1, 3, 16 + 2 * BASE_REACH, 24 + 2 * BASE_REACH)).astype(np.float32)
    for weights in (base_weights(factor), enlarge_weights(factor)):
        expected = reference.enlarge(low, weights)[0]
        found = enlarge(low[0], weights)
        assert found.shape == (3, round(16 * factor), round(24 * factor))
        np.testing.assert_allclose(found, expected, atol=TOLERANCE)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("factor", [1.0, 1.75, 3.0])
def test_as_the_graphs_compute_it(bundle: Bundle, rng: np.random.Generator, factor: float, channels: int) -> None:
    s = scene(rng, factor, channels)
    detail, inside = detail_of(s)
    expected, expected_inside = run(bundle, "detail", s)
    np.testing.assert_allclose(detail, expected[0], atol=TOLERANCE)
    np.testing.assert_array_equal(inside, expected_inside[0, 0])
    mixed = rng.normal(0, 0.3, detail.shape).astype(np.float32)
    given = s | {"order": s["order_back"], "mixed": mixed[None]}
    for graph, own in (("add_detail", filled(s, mixed)), ("composite", filled(s, None))):
        (image,) = run(bundle, graph, given)
        assert np.abs(own.astype(int) - image).max() <= 1  # rounded from sums in another order
        assert (own != image).mean() < 1e-3
        assert (own != s["image"]).any()


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_as_specified(rng: np.random.Generator, channels: int) -> None:
    s = scene(rng, 1.5, channels)
    expected = reference.composite(s["low"], s["weights"], s["image"], s["hole"], s["order_back"], s["keep"])
    found = filled(s, None)
    assert np.abs(found.astype(int) - expected).max() <= 1
    np.testing.assert_array_equal(found[s["hole"] == 0], s["image"][s["hole"] == 0])
    if channels == 4:
        np.testing.assert_array_equal(found[..., 3], s["image"][..., 3])


def test_in_half_precision(bundle: Bundle, rng: np.random.Generator) -> None:
    s = scene(rng, 2.0, 3)
    detail, inside = detail_of(s, np.float16)
    expected, expected_inside = run(bundle.at("fp16"), "detail", s)
    assert detail.dtype == expected.dtype
    np.testing.assert_allclose(detail, expected[0], atol=1e-3)
    np.testing.assert_array_equal(inside, expected_inside[0, 0])
    (image,) = run(bundle.at("fp16"), "add_detail", s | {"order": s["order_back"], "mixed": detail[None]})
    assert np.abs(filled(s, detail).astype(int) - image).max() <= 1


def test_without_a_hole(rng: np.random.Generator) -> None:
    s = scene(rng, 1.25, 3)
    s["hole"] = np.zeros_like(s["hole"])
    np.testing.assert_array_equal(filled(s, None), s["image"])


def test_a_hole_at_the_border(rng: np.random.Generator) -> None:
    s = scene(rng, 1.25, 3)
    s["hole"] = np.zeros_like(s["hole"])
    s["hole"][-3:], s["hole"][:, :2] = 1, 1
    expected = reference.composite(s["low"], s["weights"], s["image"], s["hole"], s["order_back"], s["keep"])
    assert np.abs(filled(s, None).astype(int) - expected).max() <= 1


@pytest.mark.parametrize("at", [(10, 12), (0, 0), (20, 26)])
def test_the_seam(bundle: Bundle, rng: np.random.Generator, at: tuple[int, int]) -> None:
    y = rng.uniform(-1.3, 1.3, (1, 3, SIZE, SIZE)).astype(np.float32)
    m = np.zeros((1, 1, SIZE, SIZE), np.float32)
    m[..., at[0] : at[0] + 9, at[1] : at[1] + 6] = 1
    m[..., at[0] + 4, at[1] + 3] = 0
    low = np.empty((3, SIZE + 2 * BASE_REACH, SIZE + 2 * BASE_REACH), np.float32)
    close_seam(y[0], m[0, 0], low)
    np.testing.assert_allclose(low, reference.close_seam(y, m)[0], atol=TOLERANCE)
    np.testing.assert_allclose(low, run(bundle, "seam", {"y": y, "m": m})[0][0], atol=TOLERANCE)


def test_the_seam_without_a_hole(rng: np.random.Generator) -> None:
    y = rng.uniform(-1.3, 1.3, (3, SIZE, SIZE)).astype(np.float32)
    low = np.empty((3, SIZE + 2 * BASE_REACH, SIZE + 2 * BASE_REACH), np.float32)
    close_seam(y, np.zeros((SIZE, SIZE), np.float32), low)
    inner = slice(BASE_REACH, -BASE_REACH)
    np.testing.assert_array_equal(low[:, inner, inner], y.clip(-1, 1))
