"""Shows how TensorRT-RTX fuses the mask update of Algorithm 1: ``python -m cpp_ext.fusion``, no GPU needed.

Builds the ``step`` graph with a verbose logger and prints each kernel of the engine that writes an output of the graph,
with the ONNX nodes it was made of.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from iic_rt.bundle.manifest import load_bundle

__all__ = ["EngineLayer", "engine_layers"]

STEP_SHAPES = {"y": [1, 3, 256, 256], "m": [1, 1, 256, 256], "c": [1, 1, 256, 256], "first": [1]}
LAYER = re.compile(r"^Name: (?P<name>\S+), LayerType: (?P<kind>\w+), Inputs: .*?Outputs: \[(?P<outputs>.*?)\], Tactic")


@dataclass(frozen=True)
class EngineLayer:
    name: str
    kind: str  # "kgen": a kernel that TensorRT wrote itself
    outputs: tuple[str, ...]
    nodes: tuple[str, ...]  # of the ONNX graph


def engine_layers(model: Path, shapes: dict[str, list[int]]) -> list[EngineLayer]:
    """Builds ``model`` with the input ``shapes`` and returns the layers of the engine in the order of execution.

    Raises:
        ImportError: ``tensorrt_rtx`` is not installed.
        RuntimeError: TensorRT-RTX refuses the graph.
    """
    import tensorrt_rtx as trt

    lines: list[str] = []

    class Collector(trt.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.ILogger.__init__(self)

        def log(self, severity: object, message: str) -> None:
            lines.extend(message.splitlines())

    logger = Collector()
    builder = trt.Builder(logger)
    network = builder.create_network(0)
    parser = trt.OnnxParser(network, logger)
    if not parser.parse_from_file(str(model)):
        raise RuntimeError(f"{model}: {parser.get_error(0)}")
    for i in range(network.num_inputs):
        tensor = network.get_input(i)
        tensor.shape = shapes[tensor.name]
    config = builder.create_builder_config()
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    if builder.build_serialized_network(network, config) is None:
        raise RuntimeError(f"{model}: {lines[-1]}")
    return [
        EngineLayer(
            found["name"],
            found["kind"],
            tuple(re.findall(r"Name: (\S+),", found["outputs"])),
            tuple(re.findall(r"\[ONNX Layer: (\S+)\]", line)),
        )
        for line in lines
        if (found := LAYER.match(line))
    ]


def main() -> None:
    bundle = load_bundle("edge")
    for precision in bundle.precisions:
        layers = engine_layers(bundle.at(precision).graphs["step"].path, STEP_SHAPES)
        print(f"{precision}: {len(layers)} layers; those that write y, m or c:")
        for layer in layers:
            if {"y_out", "m_out", "c_out"} & set(layer.outputs):
                print(f"{layer.name} ({layer.kind})")
                print(f"  writes {', '.join(layer.outputs)}\n  from {', '.join(layer.nodes)}")


if __name__ == "__main__":
    main()
