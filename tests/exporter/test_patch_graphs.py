"""The project's operators as graphs compute what the numpy specifications say."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest

from export.graphs import DOMAIN
from export.match_function import MATCH_FUNCTION
from export.patch_graphs import PATCH_HEAD, build_refine, build_replace, build_search, parsed, typed
from iic_rt.bundle.manifest import OPERATORS, OPERATORS_VERSION
from iic_rt.patches import MATCH_STEPS, SearchOptions
from iic_rt.reference.patch_match import patch_match
from iic_rt.reference.patch_replace import patch_replace
from iic_rt.reference.patch_search import patch_search
from iic_rt.reference.refine import copied_softly, matched_twice
from iic_rt.resampling import BASE_REACH, guide_taps

OPTIONS = SearchOptions(best=1, scale=8.0)
# ``PatchMatch`` stands in ``refine`` alone, twice and in float32: here it is by itself.
MATCH = f"""{PATCH_HEAD}
match (TYPE[batch, channels, height, width] features, float[batch, height, width] valid,
       int32[batch, 1, 2, rows, columns] offset, float[batch, 1, rows, columns] share)
    => (int32[batch, 1, 2, rows, columns] matched, float[batch, 1, rows, columns] cost)
{{
    matched, cost = {DOMAIN}.PatchMatch <steps = STEPS> (features, valid, offset, share)
}}
"""


def session(model: onnx.ModelProto) -> Any:
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def build_match(steps: list[int], dtype: str = "float32") -> onnx.ModelProto:
    return parsed(typed(MATCH.replace("STEPS", str(steps)), dtype), MATCH_FUNCTION)


def operands(rng: np.random.Generator, rows: int, columns: int, dtype: str, holes: float) -> dict[str, Any]:
    """Descriptors whose products are exact in every type."""
    q = (rng.integers(-2, 3, (1, rows * columns, 12)) / 4).astype(dtype)
    hole = (rng.random((1, rows, columns)) < holes).astype(np.float32)
    weight = (rng.random(hole.shape) < 0.7).astype(np.float32)
    return {"q": q, "hole": hole, "weight": weight}


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (3, 11), (16, 16)])
@pytest.mark.parametrize("holes", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("best", [1, 4])
def test_search_equals_the_specification(
    rng: np.random.Generator, dtype: str, rows: int, columns: int, holes: float, best: int
) -> None:
    options = SearchOptions(best=min(best, rows * columns), scale=8.0)
    feeds = operands(rng, rows, columns, dtype, holes)
    offset, share = session(build_search(options, dtype)).run(None, feeds)
    expected, expected_share = patch_search(*feeds.values(), **asdict(options))
    np.testing.assert_array_equal(offset, expected)
    np.testing.assert_allclose(share, expected_share, atol=1e-6)


def test_all_shares_are_those_of_the_specification(rng: np.random.Generator) -> None:
    options = SearchOptions(best=60, scale=5.0)
    feeds = operands(rng, 6, 10, "float32", 0.4)
    feeds["weight"] = feeds["weight"] * rng.random(feeds["weight"].shape).astype(np.float32)
    _, share = session(build_search(options)).run(None, feeds)
    _, expected = patch_search(*feeds.values(), **asdict(options))
    np.testing.assert_allclose(share, expected, atol=1e-5)


def test_search_with_nothing_valid(rng: np.random.Generator) -> None:
    feeds = operands(rng, 5, 5, "float32", 0.5)
    feeds["weight"][:] = 0
    for made in session(build_search(OPTIONS)).run(None, feeds):
        assert not made.any()


def match_operands(
    rng: np.random.Generator, batch: int, rows: int, columns: int, *, reach: int, dtype: str = "float32"
) -> dict[str, Any]:
    """Features of few whole numbers: sums are exact in every type, and many costs are equal."""
    side = 4 * rows, 4 * columns
    return {
        "features": rng.integers(-4, 5, (batch, 3, *side)).astype(dtype),
        "valid": (rng.random((batch, *side)) < 0.6).astype(np.float32),
        "offset": rng.integers(-reach, reach + 1, (batch, 1, 2, rows, columns)).astype(np.int32),
        "share": (rng.random((batch, 1, rows, columns)) < 0.6).astype(np.float32),
    }


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 7), (5, 9)])
@pytest.mark.parametrize("steps", [[1], [8, 4, 2, 1], [3, 100]])
def test_match_equals_the_specification(
    rng: np.random.Generator, dtype: str, rows: int, columns: int, steps: list[int]
) -> None:
    run = session(build_match(steps, dtype)).run
    for reach in (0, 12, 300):  # the last beyond every border
        feeds = match_operands(rng, 2, rows, columns, reach=reach, dtype=dtype)
        matched, cost = run(None, feeds)
        expected, expected_cost = patch_match(*feeds.values(), steps=steps)
        np.testing.assert_array_equal(matched, expected)
        np.testing.assert_array_equal(cost, expected_cost)


def test_matching_moves_only_hole_patches_and_only_to_what_is_valid(rng: np.random.Generator) -> None:
    feeds = match_operands(rng, 1, 6, 8, reach=20)
    run = session(build_match([2, 1])).run
    matched, cost = run(None, feeds)
    is_hole = feeds["share"] > 0
    moved = (matched != feeds["offset"]).any(2)
    assert moved[is_hole].any()
    assert not moved[~is_hole].any()
    assert not cost[~is_hole].any()
    matched, _ = run(None, feeds | {"valid": np.zeros_like(feeds["valid"])})
    np.testing.assert_array_equal(matched, feeds["offset"])


def test_of_equal_costs_the_own_offset_stays(rng: np.random.Generator) -> None:
    feeds = match_operands(rng, 1, 4, 4, reach=8)
    feeds["features"][:] = 7
    feeds["valid"][:] = 1
    matched, cost = session(build_match([2, 1])).run(None, feeds)
    np.testing.assert_array_equal(matched, feeds["offset"])
    assert not cost.any()


def test_what_lies_16_bits_apart_is_compared_in_float32() -> None:
    """In FP16 the squares of these differences are infinite, and no offset is better than another."""
    feeds = match_operands(np.random.default_rng(0), 1, 2, 4, reach=0, dtype="float16")
    feeds["features"][:] = np.where(np.arange(16) < 8, 60000, -60000)
    feeds["valid"][:] = 1
    feeds["offset"][0, 0, 1] = 4
    feeds["share"][:] = 1
    matched, cost = session(build_match([2, 1], "float16")).run(None, feeds)
    expected, expected_cost = patch_match(*feeds.values(), steps=[2, 1])
    np.testing.assert_array_equal(matched, expected)
    np.testing.assert_allclose(cost, expected_cost, rtol=1e-6)
    assert np.isfinite(cost).all()
    assert (matched != feeds["offset"]).any()


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("p", [2, 3, 4, 10])
@pytest.mark.parametrize("best", [1, 3])
def test_replace_equals_the_specification(rng: np.random.Generator, dtype: str, p: int, best: int) -> None:
    rows, columns = 6, 5
    options = SearchOptions(best=best, scale=8.0)
    offset, share = patch_search(*operands(rng, rows, columns, dtype, 0.5).values(), **asdict(options))
    offset += rng.integers(-7, 8, offset.shape).astype(np.int32)  # of a match: in quarters of a patch
    detail = rng.normal(size=(1, 3, rows * p, columns * p)).astype(dtype)
    inside = (rng.random((1, 1, *detail.shape[2:])) < 0.5).astype(dtype)
    detail[:, :, inside[0, 0] > 0] = np.nan
    feeds = {"detail": detail, "inside": inside, "offset": offset, "share": share.astype(np.float32)}
    mixed, missing = session(build_replace(dtype)).run(None, feeds)
    expected, expected_missing = patch_replace(*feeds.values())
    np.testing.assert_array_equal(missing, expected_missing)
    assert np.isfinite(mixed[:, :, missing[0, 0] == 0]).all()
    np.testing.assert_allclose(mixed, expected, atol=1e-5 if dtype == "float32" else 2e-3)


def test_replace_rounds_moves_down(rng: np.random.Generator) -> None:
    """A pixel a patch, far from the others: what it copies tells the move, of quarters below 0 as of those above."""
    p, columns = 3, 40
    detail = np.broadcast_to(np.arange(p * columns, dtype=np.float32), (1, 1, p, p * columns)).copy()
    inside, share = np.zeros_like(detail), np.zeros((1, 1, 1, columns), np.float32)
    offset = np.zeros((1, 1, 2, 1, columns), np.int32)
    middle = np.arange(10, 30, 2)
    inside[..., 1, middle * p + 1] = 1
    share[..., middle] = 1
    offset[0, 0, 1, 0, middle] = quarters = np.array([-13, -7, -6, -3, -2, 2, 3, 6, 7, 13])
    mixed, missing = session(build_replace()).run(
        None, {"detail": detail, "inside": inside, "offset": offset, "share": share}
    )
    assert not missing.any()
    moves = mixed[0, 0, 1, middle * p + 1] - (middle * p + 1)
    np.testing.assert_array_equal(moves, np.floor(quarters * p / 4 + 0.5))


def test_the_nodes_are_those_that_the_plugin_can_take() -> None:
    version = str(OPERATORS_VERSION).encode()
    named = {"plugin_namespace": b"iic", "plugin_version": version}
    attributes = {
        "PatchSearch": {"best": 1, "scale": 8.0},
        "PatchMatch": {"steps": list(MATCH_STEPS)},
        "PatchReplace": {},
    }
    assert tuple(attributes) == OPERATORS
    graphs = {"search": build_search(OPTIONS), "refine": build_refine(), "replace": build_replace()}
    holds = {"search": ["PatchSearch"], "refine": 2 * ["PatchMatch", "PatchReplace"], "replace": ["PatchReplace"]}
    for name, model in graphs.items():
        operators = holds[name]
        nodes = [n for n in model.graph.node if n.domain == "iic"]
        assert [n.op_type for n in nodes] == operators
        for node in nodes:
            found = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
            assert found == attributes[node.op_type] | named
        assert {(f.domain, f.name) for f in model.functions} == {("iic", operator) for operator in operators}
        for function in model.functions:
            assert {n.domain for n in function.node} <= {"", "ai.onnx"}


def refine_operands(rng: np.random.Generator, rows: int, columns: int) -> dict[str, Any]:
    """A hole of several patches with pixels of it beyond them, and some offsets that lead out of the picture."""
    share = np.zeros((1, 1, rows, columns), np.float32)
    share[..., 1 : rows - 1, 2 : columns // 2] = 1
    side = 4 * rows, 4 * columns
    low = rng.uniform(-1, 1, (1, 3, *side)).astype(np.float32)
    m = np.maximum(np.kron(share, np.ones((4, 4))), rng.random((1, 1, *side)) < 0.02).astype(np.float32)
    return {
        "low": np.pad(low, ((0, 0), (0, 0), (BASE_REACH, BASE_REACH), (BASE_REACH, BASE_REACH)), mode="edge"),
        "m": m,
        "valid": (rng.random((1, *side)) < 0.5).astype(np.float32),
        "offset": rng.integers(-20, 21, (1, 1, 2, rows, columns)).astype(np.int32),
        "share": share,
    }


@pytest.mark.parametrize(("rows", "columns"), [(6, 10), (9, 7)])
def test_refine_equals_the_specification(rng: np.random.Generator, rows: int, columns: int) -> None:
    feeds, size = refine_operands(rng, rows, columns), (4 * rows, 4 * columns)
    refined, matched = session(build_refine()).run(None, feeds)
    expected = matched_twice(*feeds.values(), taps=guide_taps(), steps=MATCH_STEPS)
    np.testing.assert_array_equal(matched, expected)  # random numbers: no two costs are all but equal
    assert (expected != feeds["offset"]).any()
    softly = copied_softly(feeds["low"], feeds["m"], expected, feeds["share"], margin=BASE_REACH)
    np.testing.assert_allclose(refined, softly, atol=1e-5)
    known = np.broadcast_to(feeds["m"] == 0, (1, 3, *size))
    np.testing.assert_array_equal(refined[..., 6:-6, 6:-6][known], feeds["low"][..., 6:-6, 6:-6][known])


def test_refine_without_a_hole_changes_nothing(rng: np.random.Generator) -> None:
    feeds = refine_operands(rng, 4, 8)
    feeds["m"][:] = feeds["share"][:] = 0
    refined, matched = session(build_refine()).run(None, feeds)
    np.testing.assert_array_equal(refined, feeds["low"])
    np.testing.assert_array_equal(matched, feeds["offset"])


@pytest.mark.parametrize("name", ["search", "refine", "replace"])
def test_shapes_are_static(name: str) -> None:
    """The shapes of the inputs are enough to know those of the outputs."""
    rows, columns, factor = 16, 10, 2
    sides = 4 * rows, 4 * columns
    padded, large = (sides[0] + 12, sides[1] + 12), (factor * sides[0], factor * sides[1])
    shapes = {
        "q": [1, rows * columns, 76],
        "hole": [1, rows, columns],
        "weight": [1, rows, columns],
        "low": [1, 3, *padded],
        "m": [1, 1, *sides],
        "valid": [1, *sides],
        "offset": [1, 1, 2, rows, columns],
        "share": [1, 1, rows, columns],
        "detail": [1, 3, *large],
        "inside": [1, 1, *large],
    }
    model = {"search": build_search(OPTIONS), "refine": build_refine(), "replace": build_replace()}[name]
    outputs = {"search": ["offset", "share"], "refine": ["low", "offset"], "replace": ["detail", "inside"]}[name]
    for value in model.graph.input:
        for dimension, length in zip(value.type.tensor_type.shape.dim, shapes[value.name], strict=True):
            dimension.dim_value = length
    for value in model.graph.output:
        value.type.tensor_type.ClearField("shape")
    assert [value.shape for value in session(model).get_outputs()] == [shapes[like] for like in outputs]
