"""Run by test_plugin.py in a process of its own, since an engine may abort it: one request in, one answer out (JSON).

{"engine": "tensorrt_rtx" or "tensorrt_lean", "library": path or null}                            load and look up
{..., "operator": name, "attributes": {name: number or list}}      create this operator from Python with these
{..., "model": path, "shapes": {input: [...] or [[min], [opt], [max]]}, "plan": path}            parse and build
"""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from iic_rt.bundle.manifest import OPERATORS, OPERATORS_VERSION
from iic_rt.engines.rtx_library import prepare_rtx_library


def build(trt: Any, builder: Any, log: Any, request: dict[str, Any]) -> dict[str, Any]:
    prepare_rtx_library()
    network = builder.create_network()
    parsed = trt.OnnxParser(network, log).parse_from_file(request["model"])
    config = builder.create_builder_config()
    profile = builder.create_optimization_profile()
    for name, shape in request["shapes"].items():
        if isinstance(shape[0], list):
            profile.set_shape(name, *shape)
        else:
            found = [t for i in range(network.num_inputs) if (t := network.get_input(i)).name == name]
            for tensor in found:  # none where the parser gave up
                tensor.shape = shape
    if any(isinstance(shape[0], list) for shape in request["shapes"].values()):
        config.add_optimization_profile(profile)
    plan = builder.build_serialized_network(network, config) if parsed else None
    if plan is not None:
        Path(request["plan"]).write_bytes(bytes(plan))
    layers = [network.get_layer(i).type.name for i in range(network.num_layers)]
    return {"parsed": parsed, "built": plan is not None, "layers": layers}


def create(trt: Any, creator: Any, attributes: dict[str, Any]) -> bool:
    # Whole numbers become an int32 field, others one of float32; the arrays must outlive the fields.
    arrays = {name: np.atleast_1d(value) for name, value in attributes.items()}
    arrays = {name: a.astype(np.int32 if a.dtype.kind == "i" else np.float32) for name, a in arrays.items()}
    types = {np.dtype(np.int32): trt.PluginFieldType.INT32, np.dtype(np.float32): trt.PluginFieldType.FLOAT32}
    fields = trt.PluginFieldCollection([trt.PluginField(n, a, types[a.dtype]) for n, a in arrays.items()])
    return creator.create_plugin("layer", fields, trt.TensorRTPhase.BUILD) is not None


def main(request: dict[str, Any]) -> dict[str, Any]:
    trt = importlib.import_module(request["engine"])
    messages: list[str] = []

    class Log(trt.ILogger):  # type: ignore[misc, name-defined]
        def __init__(self) -> None:
            super().__init__()

        def log(self, severity: Any, text: str) -> None:
            messages.append(f"{severity.name} {text}")

    log = Log()
    builder = trt.Builder(log) if hasattr(trt, "Builder") else None  # the lean runtime has none, and so no logger
    registry = trt.get_plugin_registry()
    answer: dict[str, Any] = {}
    if request["library"]:
        registry.load_library(request["library"])
    creators = {name: registry.get_creator(name, str(OPERATORS_VERSION), "iic") for name in OPERATORS}
    answer["found"] = [name for name, creator in creators.items() if creator is not None]
    if "attributes" in request:
        answer["created"] = create(trt, creators[request["operator"]], request["attributes"])
    if "model" in request:
        answer |= build(trt, builder, log, request)
    return answer | {"log": messages}


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
