"""FP16 graphs whose every result is rounded to FP16, for ONNX Runtime on CPUs that do not round by themselves.

There ONNX Runtime runs FP16 convolutions in float32, and takes away the casts it put between them: weights and
borders are rounded, what is between two layers is not. A comparison with FP32 would pass whatever the layers need.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

__all__ = ["rounded"]

# They move values and make none; their inputs are rounded already.
MOVES = {"Concat", "DepthToSpace", "Expand", "Gather", "Identity", "MaxPool", "Pad", "Relu", "Reshape", "Slice"}
MOVES |= {"Split", "Squeeze", "Transpose", "Unsqueeze", "Where"}


def rounded(model: onnx.ModelProto) -> onnx.ModelProto:
    """The graph in float32, every value rounded to FP16 where the graph has FP16; the borders keep their types.

    A lower bound of what an engine reaches: it rounds when it stores a tensor, and fuses activations into convolutions.
    """
    types = _types(model)
    made = onnx.ModelProto()
    made.CopyFrom(model)
    graph = made.graph
    halves = {name for name, number in types.items() if number == TensorProto.FLOAT16}
    borders = {v.name for v in (*graph.input, *graph.output)}
    for tensor in graph.initializer:
        if tensor.data_type == TensorProto.FLOAT16:
            values = numpy_helper.to_array(tensor).astype(np.float32)
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    nodes = [
        helper.make_node("Cast", [v.name], [_inside(v.name)], to=TensorProto.FLOAT)
        for v in graph.input
        if v.name in halves
    ]
    for node in graph.node:
        moved = onnx.NodeProto()
        moved.CopyFrom(node)
        moved.input[:] = [_inside(n) if n in halves & borders else n for n in node.input]
        for attribute in moved.attribute:
            if attribute.name == "to" and attribute.i == TensorProto.FLOAT16:
                attribute.i = TensorProto.FLOAT
            if attribute.t.data_type == TensorProto.FLOAT16:
                attribute.t.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(attribute.t).astype(np.float32)))
        nodes.append(moved)
        for i, name in enumerate(node.output):
            if name not in halves:
                continue
            value = _inside(name) if name in borders else name
            if node.op_type in MOVES:
                moved.output[i] = value
            else:
                moved.output[i] = f"{name}/exact"
                nodes.append(helper.make_node("Cast", [f"{name}/exact"], [f"{name}/half"], to=TensorProto.FLOAT16))
                nodes.append(helper.make_node("Cast", [f"{name}/half"], [value], to=TensorProto.FLOAT))
            if name in borders:
                nodes.append(helper.make_node("Cast", [value], [name], to=TensorProto.FLOAT16))
    del graph.node[:]
    graph.node.extend(nodes)
    del graph.value_info[:]
    onnx.checker.check_model(made, full_check=True)
    return made


def _inside(name: str) -> str:
    return f"{name}/float"


def _types(model: onnx.ModelProto) -> dict[str, int]:
    """Element type of every tensor of the main graph."""
    graph = onnx.shape_inference.infer_shapes(model, strict_mode=True).graph
    values = (*graph.input, *graph.output, *graph.value_info)
    types = {v.name: v.type.tensor_type.elem_type for v in values}
    missing = {name for node in graph.node for name in node.output if name} - types.keys()
    assert not missing, missing
    return types
