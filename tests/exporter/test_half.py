"""The FP16 graphs compute in FP16, and the gate sees where that is not enough."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from export.accuracy import EXAMPLES, check_accuracy, load_pictures
from export.rounding import rounded
from iic_rt import Inpainter, InpaintOptions
from iic_rt.bundle.manifest import MANIFEST, SHIPPED, file_sha256, load_bundle

EDGE = SHIPPED / "edge"
# What computes in float32 in the FP16 graphs: the hole is prefilled from sums over all scales, the base is enlarged by
# two products and two selections of rows, the colours are put in order, and patches are matched under a Gaussian.
PREFILL = {"conv2d", "conv2d_1", "conv2d_2", "conv2d_3"}
BASE = {"row_taps", "rows_of_groups", "column_taps", "columns_of_groups"}
FLOAT32 = {"step": PREFILL, "similarity": set(), "search": set(), "replace": set()}
FLOAT32 |= {"refine": {"blurred_rows", "blurred"}}
FLOAT32 |= {"detail": BASE | {"flat_rgb"}, "add_detail": BASE | {"flat_channels"}}


def graphs(precision: str) -> dict[str, onnx.ModelProto]:
    return {name: onnx.load(graph.path) for name, graph in load_bundle("edge").precisions[precision].items()}


def types(model: onnx.ModelProto) -> dict[str, int]:
    graph = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    values = (*graph.input, *graph.output, *graph.value_info)
    types = {v.name: v.type.tensor_type.elem_type for v in values}
    return types | {t.name: t.data_type for t in graph.initializer}


@pytest.mark.parametrize("name", FLOAT32)
def test_products_are_in_fp16(name: str) -> None:
    model = graphs("fp16")[name]
    of = types(model)
    products = [n for n in model.graph.node if n.op_type in {"Conv", "ConvTranspose", "MatMul", "Gemm"}]
    assert name in {"search", "replace"} or len(products) >= len(FLOAT32[name])
    floats = {n.output[0].removeprefix("a_") for n in products if of[n.output[0]] != TensorProto.FLOAT16}
    assert floats == FLOAT32[name]
    # Weights are there in the type they are used in: no Cast reads one.
    weights = {t.name for t in model.graph.initializer}
    assert not [n for n in model.graph.node if n.op_type == "Cast" and n.input[0] in weights]


def test_confidence_is_compared_in_float32() -> None:
    model = graphs("fp16")["step"]
    of = types(model)
    made_by = {name: n for n in model.graph.node for name in n.output}
    (growth,) = [n for n in model.graph.node if n.op_type == "Sub" and "c_out" in n.input]
    (comparison,) = [n for n in model.graph.node if n.op_type == "Greater" and growth.output[0] in n.input]
    assert {of[name] for name in (*growth.input, *comparison.input)} == {TensorProto.FLOAT}
    confidence = next(made_by[n] for n in made_by["c_out"].input if n in made_by and made_by[n].op_type == "Sigmoid")
    assert of[confidence.input[0]] == TensorProto.FLOAT


def test_borders() -> None:
    halves = {
        "similarity": {"q"},
        "detail": {"detail", "inside"},
        "search": {"q"},
        "replace": {"detail", "inside", "mixed", "missing"},
        "add_detail": {"mixed"},
    }
    bundle = load_bundle("edge")
    for name, graph in bundle.precisions["fp16"].items():
        exact = bundle.precisions["fp32"][name]
        for half, float_ in zip(graph.inputs + graph.outputs, exact.inputs + exact.outputs, strict=True):
            assert (half.name, half.shape) == (float_.name, float_.shape)
            changed = half.name in halves.get(name, set())
            assert half.dtype == ("float16" if changed else float_.dtype), (name, half.name)
    for name in ("prepare", "refine"):
        assert bundle.precisions["fp16"][name] == bundle.precisions["fp32"][name]


def test_fp16_runs(rng: np.random.Generator) -> None:
    options = InpaintOptions(grow=0)
    with Inpainter("edge", backend="onnxruntime", precision="fp16", working_size=64, options=options) as inpainter:
        assert (inpainter.precision, inpainter.bundle.precision) == ("fp16", "fp16")
        mask = np.zeros((100, 120), bool)
        mask[20:80, 30:90] = True
        image = rng.integers(0, 256, (100, 120, 3), np.uint8)
        made = inpainter.inpaint(image, mask).image
    assert (made[~mask] == image[~mask]).all()
    assert (made[mask] != image[mask]).any()


def run(model: onnx.ModelProto, feeds: dict[str, Any]) -> list[np.ndarray]:
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(None, feeds)


def test_rounded_rounds_what_lies_between() -> None:
    text = """<ir_version: 10, opset_import: ["" : 20]>
    g (float16[4] x, float16[1] large) => (float16[4] y) { a = Add (x, large)  y = Sub (a, large) }"""
    model = onnx.parser.parse_model(text)
    feeds = {"x": np.array([0.25, 0.5, 1.0, 3.0], np.float16), "large": np.array([2048], np.float16)}
    (kept,) = run(model, feeds)
    (made,) = run(rounded(model), feeds)
    assert made.dtype == np.float16
    np.testing.assert_array_equal(made, (feeds["x"] + feeds["large"]) - feeds["large"])
    assert (kept == feeds["x"]).all(), "ONNX Runtime rounds by itself now: export.rounding is no longer needed"


def damaged(folder: Path, name: str, change: Any) -> Path:
    """A copy of the shipped bundle with one FP16 graph changed."""
    copy = Path(shutil.copytree(EDGE, folder / "damaged"))
    path = copy / f"{name}.fp16.onnx"
    model = onnx.load(path)
    change(model)
    onnx.save(model, path)
    manifest = json.loads((copy / MANIFEST).read_text())
    manifest["precisions"]["fp16"][name]["sha256"] = file_sha256(path)
    (copy / MANIFEST).write_text(json.dumps(manifest))
    return copy


def coarse_picture(model: onnx.ModelProto) -> None:
    """Keeps 8 bits of the picture's mantissa where FP16 has 11."""
    nodes = list(model.graph.node)
    last = next(n for n in nodes if "y_out" in n.output)
    picture = last.input[1]
    casts = [helper.make_node("Cast", [picture], ["b"], to=16), helper.make_node("Cast", ["b"], ["coarse"], to=1)]
    last.input[1] = "coarse"
    at = nodes.index(last)
    del model.graph.node[:]
    model.graph.node.extend([*nodes[:at], *casts, *nodes[at:]])


def coarse_descriptors(model: onnx.ModelProto) -> None:
    """Keeps two bits of the mantissa: an eighth of a number is lost."""
    last = next(n for n in model.graph.node if "q" in n.output)
    last.output[0] = "fine"
    casts = [helper.make_node("Cast", ["fine"], ["b"], to=17), helper.make_node("Cast", ["b"], ["q"], to=10)]
    model.graph.node.extend(casts)


def test_the_gate(tmp_path: Path) -> None:
    pictures = [p for p in load_pictures(EXAMPLES) if p[0] == "wren"]
    report = check_accuracy(EDGE, pictures)
    assert report["passed"]
    assert report["rows"][0]["picture"] == "wren"
    assert not check_accuracy(damaged(tmp_path / "step", "step", coarse_picture), pictures)["passed"]
    report = check_accuracy(damaged(tmp_path / "similarity", "similarity", coarse_descriptors), pictures)
    row, limits = report["rows"][0], report["limits"]
    assert row["descriptor"] > limits["descriptor"]
    assert row["psnr"] > limits["psnr"]
    assert not check_accuracy(EDGE, [])["passed"]
