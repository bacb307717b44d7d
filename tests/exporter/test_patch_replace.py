"""``iic::PatchReplace`` as a graph computes what the numpy specification says."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from export.patch_replace import ROWS_PER_BLOCK, build_patch_replace, build_replace
from export.upsample_graphs import build_upsample_graphs
from export.upsample_parity import check_upsample_parity
from iic_rt.bundle.manifest import PATCH_REPLACE_VERSION
from iic_rt.reference.patch_replace import patch_replace
from training.model.upsampler import GuidedUpsampler
from training.model.weights import load_upsampler, save_upsampler


def session(model: onnx.ModelProto) -> Any:
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def operands(b: int, n: int, d: int, width: int, dtype: str = "float32", *, holes: float = 0.3) -> dict[str, Any]:
    rng = np.random.default_rng(n)
    q, k = rng.normal(size=(2, b, n, d))
    q, k = (x / np.linalg.norm(x, axis=2, keepdims=True) for x in (q, k))
    hole = (rng.random((b, n)) < holes).astype(np.float32)
    weight = (rng.random((b, n)) * (rng.random((b, n)) < 0.7)).astype(np.float32)
    v = rng.uniform(-1, 1, (b, n, width))
    return {"q": q.astype(dtype), "k": k.astype(dtype), "v": v.astype(dtype), "hole": hole, "weight": weight}


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize(
    ("b", "n", "d", "width"), [(1, 1, 1, 1), (1, 7, 3, 5), (3, 130, 16, 40), (1, 2 * ROWS_PER_BLOCK + 5, 8, 3)]
)
@pytest.mark.parametrize("holes", [0.0, 0.3, 1.0])
def test_it_equals_the_specification(dtype: str, b: int, n: int, d: int, width: int, holes: float) -> None:
    feeds = operands(b, n, d, width, dtype, holes=holes)
    out, replaced = session(build_patch_replace(30.0, dtype)).run(None, feeds)
    expected, told = patch_replace(*feeds.values(), scale=30.0)
    assert out.dtype == dtype
    np.testing.assert_allclose(out, expected, atol=1e-5 if dtype == "float32" else 2e-3)
    np.testing.assert_array_equal(replaced, told)
    np.testing.assert_array_equal(out[told == 0], feeds["v"][told == 0])


def test_a_picture_without_a_valid_patch_passes(rng: np.random.Generator) -> None:
    feeds = operands(2, 40, 4, 6)
    feeds["weight"][0] = 0
    out, replaced = session(build_patch_replace(5.0)).run(None, feeds)
    np.testing.assert_array_equal(out[0], feeds["v"][0])
    assert not replaced[0].any()
    assert (replaced[1] == feeds["hole"][1]).all()


def test_what_is_not_valid_is_not_read() -> None:
    feeds = operands(1, 60, 4, 6)
    graph = session(build_patch_replace(5.0))
    rows = feeds["hole"] > 0
    before = graph.run(None, feeds)[0][rows]
    feeds["v"][(feeds["weight"] == 0) & ~rows] = np.nan
    np.testing.assert_array_equal(graph.run(None, feeds)[0][rows], before)


def test_sharp_softmax_does_not_overflow() -> None:
    feeds = operands(1, 300, 8, 4)
    out, _ = session(build_patch_replace(1e4)).run(None, feeds)
    expected, _ = patch_replace(*feeds.values(), scale=1e4)
    assert np.isfinite(out).all()
    assert (np.abs(out - expected) < 0.02).mean() > 0.99  # near ties apart, which float32 cosines decide


def test_cost_follows_the_hole() -> None:
    graph = session(build_patch_replace(20.0))
    seconds = {}
    for share in (0.01, 0.8):
        feeds = operands(1, 4096, 64, 256, holes=share)
        feeds["weight"] = np.ones_like(feeds["hole"])
        runs = []
        for _ in range(4):
            started = time.perf_counter()
            graph.run(None, feeds)
            runs.append(time.perf_counter() - started)
        seconds[share] = min(runs)
    assert seconds[0.01] < 0.5 * seconds[0.8]


def test_the_node_is_one_that_the_plugin_can_take() -> None:
    model = build_replace(40.0)
    (node,) = [n for n in model.graph.node if n.domain == "iic"]
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    assert node.op_type == "PatchReplace"
    version = str(PATCH_REPLACE_VERSION).encode()
    assert attributes == {"scale": 40.0, "plugin_namespace": b"iic", "plugin_version": version}
    (function,) = model.functions
    assert (function.domain, function.name) == ("iic", "PatchReplace")
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
    assert [row["factor"] for row in report["factors"]] == [1.5, 2.0, 4.0]
    assert report["patch_replace"].keys() == {"float32", "float16"}
    with torch.no_grad():
        upsampler.reconstruction.rgb2.bias += 0.01
    assert not check_upsample_parity(upsampler, tmp_path, seed=1)["passed"]
