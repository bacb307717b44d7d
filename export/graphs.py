"""The ``step`` graph as an ONNX model, and what every export from torch needs."""

from __future__ import annotations

import copy
import logging
import warnings
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from training.model.network import SIZE_MULTIPLE, Generator
from training.model.step import Step

__all__ = [
    "DOMAIN",
    "IR_VERSION",
    "OPSET",
    "InHalf",
    "build_step",
    "export_module",
    "store_weights_as_fp16",
    "tensor_specs",
]

OPSET = 20  # the newest that TensorRT 10.3 (JetPack 6) reads
IR_VERSION = 10
DOMAIN = "iic"  # of the project's operators


class InHalf(nn.Module):
    """A network in FP16, for the graphs of that precision: what comes in is cast first, what goes out is cast last.

    The types are in the graph and not left to the engine: TensorRT 11 and TensorRT-RTX compute in the types they are
    given. What a network casts to float32 inside stays float32.

    Args:
        network: copied, so that the original keeps its weights.
        out: dtype of every output.
    """

    def __init__(self, network: nn.Module, *, out: torch.dtype) -> None:
        super().__init__()
        self.network, self.out = copy.deepcopy(network).half(), out

    def forward(self, *inputs: Tensor) -> Any:
        outputs = self.network(*(x.half() for x in inputs))
        return outputs.to(self.out) if isinstance(outputs, Tensor) else tuple(x.to(self.out) for x in outputs)


def build_step(generator: Generator, precision: str = "fp32") -> onnx.ModelProto:
    """The ``step`` graph for every height and width that is a multiple of 16, in ``"fp32"`` or ``"fp16"``.

    In both the weights are stored as FP16, and y, m, c, the confidence and its comparison are float32.
    """
    network = InHalf(generator, out=torch.float32) if precision == "fp16" else generator
    height = SIZE_MULTIPLE * torch.export.Dim("height16", min=4, max=1024)
    width = SIZE_MULTIPLE * torch.export.Dim("width16", min=4, max=1024)
    shapes: dict[str, Any] = {name: {2: height, 3: width} for name in ("y", "m", "c")}
    shapes["first"] = {}
    example = torch.zeros(1, 3, 64, 96), torch.zeros(1, 1, 64, 96), torch.zeros(1, 1, 64, 96), torch.ones(1)
    outputs = ["y_out", "m_out", "c_out"]
    model = export_module(Step(network).eval(), example, ["y", "m", "c", "first"], outputs, shapes)
    if precision == "fp32":
        store_weights_as_fp16(model)
    onnx.checker.check_model(model, full_check=True)
    return model


def export_module(
    module: nn.Module, example: tuple[Tensor, ...], inputs: list[str], outputs: list[str], shapes: dict[str, Any]
) -> onnx.ModelProto:
    """``module`` as ONNX without traces of the machine; ``shapes`` names the axes of every input that may vary."""
    if isinstance(module, InHalf):
        shapes = {"inputs": tuple(shapes.values())}
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # speaks of torchvision, which nothing here uses
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own deprecations and axis names, which are set below
        program = torch.onnx.export(
            module,
            example,
            input_names=inputs,
            output_names=outputs,
            dynamic_shapes=shapes,
            opset_version=OPSET,
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    model = program.model_proto
    model.ir_version = min(model.ir_version, IR_VERSION)
    del model.metadata_props[:]
    del model.graph.metadata_props[:]
    for node in model.graph.node:  # source lines of the machine that exported
        del node.metadata_props[:]
        node.doc_string = ""
    del model.graph.value_info[:]
    for tensor in model.graph.initializer:
        del tensor.metadata_props[:]
    for value in (*model.graph.input, *model.graph.output):
        del value.metadata_props[:]
        for axis, dimension in enumerate(value.type.tensor_type.shape.dim):
            if dimension.dim_param:
                dimension.dim_param = ("batch", "channel", "height", "width")[axis]
    return model


def store_weights_as_fp16(model: onnx.ModelProto) -> None:
    """Halves the file: FP16 initialisers and a Cast behind each, which engines fold when they load the graph.

    Lossless where the weights were FP16 before, as all released weights are.
    """
    casts = []
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < 64:
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}.fp16"))
        casts.append(onnx.helper.make_node("Cast", [f"{name}.fp16"], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def tensor_specs(values: Any) -> list[dict[str, Any]]:
    """Name, numpy dtype and shape of a graph's inputs or outputs, for the manifest."""
    return [
        {
            "name": value.name,
            "dtype": str(onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)),
            "shape": [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim],
        }
        for value in values
    ]
