"""The bundle's graphs hold nothing that the ONNX parser of TensorRT 10.3, the oldest that is supported, does not take.

A table in place of the parser, which needs a device. It has what the graphs need, after docs/operators.md of
onnx-tensorrt 10.1, the release before; later ones take no less. Operators of the domain ``iic`` are the plugin's.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

from iic_rt.bundle.manifest import load_bundle

OPSETS = range(9, 21)
FLOATS = {TensorProto.FLOAT, TensorProto.FLOAT16}
NUMBERS = FLOATS | {TensorProto.INT32, TensorProto.INT64}
BOOL = {TensorProto.BOOL}
TABLE = (
    dict.fromkeys(("AveragePool", "Clip", "Conv", "ConvTranspose", "Cos", "Exp", "MatMul", "MaxPool"), FLOATS)
    | dict.fromkeys(
        ("LeakyRelu", "Pow", "Reciprocal", "Resize", "Round", "Sigmoid", "Sin", "Softmax", "Sqrt", "Tanh"), FLOATS
    )
    | dict.fromkeys(("Abs", "Add", "ArgMax", "DepthToSpace", "Div", "Equal", "Greater", "GreaterOrEqual"), NUMBERS)
    | dict.fromkeys(("Less", "LessOrEqual", "Max", "Min", "Mod", "Mul", "Neg", "Pad", "Range"), NUMBERS)
    | dict.fromkeys(("ReduceL2", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum", "Relu", "Sub", "TopK"), NUMBERS)
    | dict.fromkeys(("Concat", "Constant", "ConstantOfShape", "Expand", "Flatten", "Gather"), NUMBERS | BOOL)
    | dict.fromkeys(("GatherElements", "GatherND", "Identity", "Reshape", "Shape", "Slice", "Split"), NUMBERS | BOOL)
    | dict.fromkeys(("Squeeze", "Tile", "Transpose", "Unsqueeze", "Where"), NUMBERS | BOOL)
    | dict.fromkeys(("And", "Not", "Or"), BOOL)
    | {"Cast": NUMBERS | BOOL | {TensorProto.UINT8}}
)
CONSTANT = {"Pad": 3, "ReduceL2": 1, "ReduceMax": 1, "ReduceMean": 1, "ReduceMin": 1, "ReduceSum": 1, "Slice": 3}
CONSTANT |= {"Squeeze": 1, "Unsqueeze": 1}  # by operator, the input that must be: the axes
MODES = {
    "mode": {b"nearest", b"linear"},
    "coordinate_transformation_mode": {b"half_pixel", b"pytorch_half_pixel", b"asymmetric", b"align_corners"},
    "nearest_mode": {b"floor", b"ceil", b"round_prefer_floor", b"round_prefer_ceil"},
    "antialias": {0},
}


def complaints(model: onnx.ModelProto) -> Iterator[str]:
    """What the parser would refuse."""
    graph = onnx.shape_inference.infer_shapes(model).graph
    types = {v.name: v.type.tensor_type.elem_type for v in (*graph.value_info, *graph.input, *graph.output)}
    types |= {tensor.name: tensor.data_type for tensor in graph.initializer}
    constants = {tensor.name for tensor in graph.initializer}
    constants |= {node.output[0] for node in graph.node if node.op_type == "Constant"}
    for opset in model.opset_import:
        if opset.domain == "" and opset.version not in OPSETS:
            yield f"opset {opset.version}"
    for node in graph.node:
        if node.domain == "iic":
            continue
        if node.domain or node.op_type not in TABLE:
            yield f"operator {node.domain} {node.op_type}"
            continue
        for i, name in enumerate(node.input):
            if not name:
                continue
            kind = types.get(name, TensorProto.UNDEFINED)
            is_index = i > 0 and kind == TensorProto.INT64
            if kind not in TABLE[node.op_type] and not is_index:
                yield f"{node.op_type} of {TensorProto.DataType.Name(kind)} {name}"
            if CONSTANT.get(node.op_type) == i and name not in constants:
                yield f"{node.op_type} with axes that are computed"
        if node.op_type == "Resize":
            for attribute in node.attribute:
                value = helper.get_attribute_value(attribute)
                if value not in MODES.get(attribute.name, {value}):
                    yield f"Resize with {attribute.name} {value}"
        if node.op_type == "MaxPool" and len(node.output) > 1:
            yield "MaxPool with indices"
        outside = {value.name for value in graph.output}
        if any(types.get(name) == TensorProto.UINT8 and name not in outside for name in node.output):
            yield f"UINT8 inside the network, made by {node.op_type}"


GRAPHS = sorted({graph.path for graphs in load_bundle("edge").precisions.values() for graph in graphs.values()})


@pytest.mark.parametrize("path", GRAPHS, ids=lambda path: path.name)
def test_the_parser_takes_every_operator(path: Path) -> None:
    assert list(complaints(onnx.load(path))) == []


def model_of(node: onnx.NodeProto, *inputs: int, opset: int = 20) -> onnx.ModelProto:
    values = [helper.make_tensor_value_info(f"i{i}", kind, [1, 1, 4, 4]) for i, kind in enumerate(inputs)]
    graph = helper.make_graph([node], "g", values, [helper.make_empty_tensor_value_info("o")])
    opsets = [helper.make_opsetid("", opset), helper.make_opsetid("com.microsoft", 1)]
    return helper.make_model(graph, opset_imports=opsets)


@pytest.mark.parametrize(
    ("node", "inputs", "expected"),
    [
        (helper.make_node("NonZero", ["i0"], ["o"]), [TensorProto.FLOAT], "operator  NonZero"),
        (helper.make_node("Shape", ["i0"], ["o"]), [TensorProto.UINT8], "Shape of UINT8 i0"),
        (helper.make_node("Mul", ["i0", "i0"], ["o"]), [TensorProto.DOUBLE], "Mul of DOUBLE i0"),
        (helper.make_node("ReduceSum", ["i0", "i1"], ["o"]), [1, TensorProto.INT64], "axes that are computed"),
        (helper.make_node("Resize", ["i0", "", "i1"], ["o"], mode="cubic"), [1, 1], "Resize with mode b'cubic'"),
        (helper.make_node("MaxPool", ["i0"], ["o", "p"], kernel_shape=[2, 2]), [1], "MaxPool with indices"),
        (helper.make_node("Gemm", ["i0", "i0"], ["o"], domain="com.microsoft"), [1], "operator com.microsoft Gemm"),
    ],
    ids=lambda value: value.op_type if isinstance(value, onnx.NodeProto) else "",
)
def test_the_check_sees_what_is_wrong(node: onnx.NodeProto, inputs: list[int], expected: str) -> None:
    assert any(expected in text for text in complaints(model_of(node, *inputs)))


def test_the_check_sees_a_newer_opset() -> None:
    found = list(complaints(model_of(helper.make_node("Relu", ["i0"], ["o"]), TensorProto.FLOAT, opset=21)))
    assert found == ["opset 21"]
