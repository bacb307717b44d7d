"""``iic::PatchSearch`` and ``iic::PatchReplace`` as graphs compute what the numpy specifications say."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from export.patch_graphs import build_replace, build_search
from export.upsample_graphs import build_upsample_graphs
from export.upsample_parity import FACTORS, check_upsample_parity
from iic_rt.bundle.manifest import OPERATORS, OPERATORS_VERSION
from iic_rt.patches import SearchOptions
from iic_rt.reference.patch_replace import patch_replace
from iic_rt.reference.patch_search import patch_search
from training.model.upsampler import GuidedUpsampler
from training.model.weights import load_upsampler, save_upsampler

OPTIONS = SearchOptions(best=1, scale=8.0, coherence=3.0, sweeps=4)


def session(model: onnx.ModelProto) -> Any:
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def operands(rng: np.random.Generator, rows: int, columns: int, dtype: str, holes: float) -> dict[str, Any]:
    """Descriptors whose products are exact in every type."""
    q = (rng.integers(-2, 3, (1, rows * columns, 12)) / 4).astype(dtype)
    hole = (rng.random((1, rows, columns)) < holes).astype(np.float32)
    weight = (rng.random(hole.shape) < 0.7).astype(np.float32)
    return {"q": q, "hole": hole, "weight": weight}


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (3, 11), (16, 16)])
@pytest.mark.parametrize("holes", [0.0, 0.3, 1.0])
@pytest.mark.parametrize(("best", "sweeps"), [(1, 0), (1, 4), (4, 0)])
def test_search_equals_the_specification(
    rng: np.random.Generator, dtype: str, rows: int, columns: int, holes: float, best: int, sweeps: int
) -> None:
    options = SearchOptions(best=min(best, rows * columns), scale=8.0, coherence=3.0, sweeps=sweeps)
    feeds = operands(rng, rows, columns, dtype, holes)
    source, share = session(build_search(options, dtype)).run(None, feeds)
    expected, expected_share = patch_search(*feeds.values(), **asdict(options))
    np.testing.assert_array_equal(source, expected)
    np.testing.assert_allclose(share, expected_share, atol=1e-6)


def test_all_shares_are_those_of_the_specification(rng: np.random.Generator) -> None:
    options = SearchOptions(best=60, scale=5.0, coherence=0.0, sweeps=0)
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


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("p", [2, 3, 4, 10])
@pytest.mark.parametrize("best", [1, 3])
def test_replace_equals_the_specification(rng: np.random.Generator, dtype: str, p: int, best: int) -> None:
    rows, columns = 6, 5
    options = SearchOptions(best=best, scale=8.0, coherence=0.0, sweeps=0)
    source, share = patch_search(*operands(rng, rows, columns, dtype, 0.5).values(), **asdict(options))
    detail = rng.normal(size=(1, 3, rows * p, columns * p)).astype(dtype)
    inside = (rng.random((1, 1, *detail.shape[2:])) < 0.5).astype(dtype)
    detail[:, :, inside[0, 0] > 0] = np.nan
    feeds = {"detail": detail, "inside": inside, "source": source, "share": share.astype(np.float32)}
    mixed, missing = session(build_replace(dtype)).run(None, feeds)
    expected, expected_missing = patch_replace(*feeds.values())
    np.testing.assert_array_equal(missing, expected_missing)
    assert np.isfinite(mixed[:, :, missing[0, 0] == 0]).all()
    np.testing.assert_allclose(mixed, expected, atol=1e-5 if dtype == "float32" else 2e-3)


def test_the_nodes_are_those_that_the_plugin_can_take() -> None:
    version = str(OPERATORS_VERSION).encode()
    named = {"plugin_namespace": b"iic", "plugin_version": version}
    search = {"best": 1, "scale": 8.0, "coherence": 3.0, "sweeps": 4}
    graphs = build_search(OPTIONS), build_replace()
    for name, model, expected in zip(OPERATORS, graphs, (search | named, named), strict=True):
        (node,) = [n for n in model.graph.node if n.domain == "iic"]
        assert node.op_type == name
        assert {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute} == expected
        (function,) = model.functions
        assert (function.domain, function.name) == ("iic", name)
        assert {n.domain for n in function.node} <= {"", "ai.onnx"}


def test_upsample_parity_sees_a_wrong_graph(tmp_path: Any) -> None:
    torch.manual_seed(0)
    save_upsampler(tmp_path / "u.safetensors", GuidedUpsampler(), training={})
    upsampler, _ = load_upsampler(tmp_path / "u.safetensors")  # FP16, as all released weights are
    for precision, suffix in {"fp32": "", "fp16": ".fp16"}.items():
        for name, model in build_upsample_graphs(upsampler, precision).items():
            onnx.save(model, tmp_path / f"{name}{suffix}.onnx")
    report = check_upsample_parity(upsampler, tmp_path, seed=1)
    assert report["passed"], report
    assert tuple(row["factor"] for row in report["factors"]) == FACTORS
    with torch.no_grad():
        upsampler.similarity.to_descriptor.bias += 0.01
    assert not check_upsample_parity(upsampler, tmp_path, seed=1)["passed"]
