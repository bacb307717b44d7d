"""Asks a Triton server of ``engines.triton`` and compares with direct calls; prints what it found as JSON.

Run with the Python of the server, so that both have the same packages: ``python -m tests.triton.client HTTP GRPC``.
"""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import tritonclient.grpc
import tritonclient.http

from iic_rt import Inpainter, InpaintOptions

SIZES = ((60, 70, 3), (96, 80, 4), (64, 64, 1))
OUTPUTS = ("image", "hole", "confidence")
CLIENTS = {"http": tritonclient.http, "grpc": tritonclient.grpc}
WRONG: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "another size": ({"mask": np.zeros((5, 5), np.uint8)}, {}),
    "channels": ({"image": np.zeros((60, 70, 5), np.uint8)}, {}),
    "a float image": ({"image": np.zeros((60, 70, 3), np.float32)}, {}),
    "iterations": ({}, {"iterations": 0}),
    "a word": ({}, {"iterations": "many"}),
    "unknown": ({}, {"prompt": "a cat"}),
}


def scene(shape: tuple[int, ...]) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(shape[0])
    mask = np.zeros(shape[:2], np.uint8)
    mask[20:40, 20:40] = 255
    return {"image": rng.integers(0, 256, shape, np.uint8), "mask": mask}


def ask(
    module: Any, client: Any, arrays: dict[str, np.ndarray], parameters: dict[str, Any], outputs: tuple[str, ...]
) -> dict[str, np.ndarray]:
    inputs = []
    for name, array in arrays.items():
        kind = "UINT8" if array.dtype == np.uint8 else "FP32"
        tensor = module.InferInput(name, list(array.shape), kind)
        tensor.set_data_from_numpy(array)
        inputs.append(tensor)
    wanted = [module.InferRequestedOutput(name) for name in outputs]
    answer = client.infer("iic_rt", inputs, outputs=wanted, parameters=parameters)
    return {name: answer.as_numpy(name) for name in outputs}


def main(addresses: dict[str, str]) -> dict[str, Any]:
    inpainter = Inpainter(backend="onnxruntime", working_size=64, threads=1)
    found: dict[str, Any] = {"equal": {}, "errors": {}}
    for kind, module in CLIENTS.items():
        client = module.InferenceServerClient(addresses[kind])
        for shape in SIZES:
            arrays = scene(shape)
            if shape == SIZES[0]:
                arrays["avoid"] = np.zeros(shape[:2], np.uint8)
                arrays["avoid"][:, 50:] = 255
            told = {"iterations": 2, "grow": 0}
            direct = inpainter.inpaint(**arrays, options=InpaintOptions(**told, outputs=("confidence",)))
            served = ask(module, client, arrays, told, OUTPUTS)
            found["equal"][f"{kind} {shape}"] = [
                bool(np.array_equal(served[name], getattr(direct, name))) for name in OUTPUTS
            ] + [bool((served["image"] != arrays["image"]).any())]
        found["errors"][kind] = {}
        for name, (arrays, told) in WRONG.items():
            try:
                ask(module, client, scene(SIZES[0]) | arrays, told, ("image",))
            except Exception as error:
                found["errors"][kind][name] = [str(error.status()), str(error.message())]
    with ThreadPoolExecutor(8) as pool:
        module, arrays = CLIENTS["grpc"], scene(SIZES[0])
        client = module.InferenceServerClient(addresses["grpc"])
        answers = list(pool.map(lambda _: ask(module, client, arrays, {}, ("image",))["image"], range(24)))
    expected = inpainter.inpaint(**arrays).image
    found["at_once"] = sum(bool((answer == expected).all()) for answer in answers)
    return found


if __name__ == "__main__":
    print(json.dumps(main(dict(zip(CLIENTS, sys.argv[1:], strict=True)))))
