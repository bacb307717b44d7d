"""What a call costs on a GPU: this project's engines beside torch eager, torch.compile and ONNX Runtime CUDA.

``python -m benchmarks.gpu_peers --backend tensorrt-rtx --out benchmarks/results/DEVICE/peers.json``

All contenders take turns in one process after a warm-up, FP16 where they can. One that cannot run is recorded with the
reason. ``--device cpu`` rehearses the same code without a GPU.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from benchmarks.contenders import ITERATIONS, SIZE, Contender, measure, scene, summary, torch_call
from benchmarks.record import environment, write_record
from iic_rt import Inpainter, InpaintOptions
from iic_rt.backends.onnxruntime import OnnxRuntimeBackend
from iic_rt.backends.registry import BACKENDS
from iic_rt.bundle.manifest import Bundle
from iic_rt.errors import BackendError

__all__ = ["main"]


class OnnxRuntimeCudaBackend(OnnxRuntimeBackend):
    """ONNX Runtime's CUDA provider as most programs use it: inputs and outputs in host memory."""

    name: ClassVar[str] = "onnxruntime-cuda"
    providers: ClassVar[tuple[str, ...]] = ("CUDAExecutionProvider",)

    @staticmethod
    def precisions() -> Mapping[str, str]:
        import onnxruntime

        if "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
            raise BackendError("this build of onnxruntime has no CUDA provider; install onnxruntime-gpu")
        return {"fp16": "fp16", "fp32": "fp32"}

    def __init__(self, bundle: Bundle, **options: Any) -> None:
        super().__init__(bundle, **options)
        # A session that cannot have its provider takes the CPU's, with a line in the log.
        fallen = [name for name, session in self._sessions.items() if session.get_providers()[0] != self.providers[0]]
        if fallen:
            raise BackendError(f"onnxruntime gave up CUDA for {', '.join(fallen)}; are cuDNN and cuBLAS installed?")


def contenders(backend: str, device: str, iterations: int) -> tuple[dict[str, Contender], dict[str, str]]:
    """What runs here by name, and for the others why they do not."""
    image, hole = scene()
    options = InpaintOptions(grow=0, iterations=iterations)
    found: dict[str, Contender] = {}
    missing: dict[str, str] = {}

    def add(name: str, make: Any) -> None:
        try:
            run = make()
            run()
        except Exception as error:  # a peer's own failure is a result, and must not end the others' run
            missing[name] = f"{type(error).__name__}: {error}"
        else:
            found[name] = run

    def ours(name: str) -> Contender:
        inpainter = Inpainter(backend=name, options=options)
        return lambda: inpainter.inpaint(image, hole)

    plain = Inpainter(backend="onnxruntime", options=options)
    BACKENDS["onnxruntime-cuda"] = OnnxRuntimeCudaBackend
    try:
        add(f"iic-rt, {backend}", lambda: ours(backend))
        add("ONNX Runtime CUDA", lambda: ours("onnxruntime-cuda"))
    finally:
        del BACKENDS["onnxruntime-cuda"]
    add("torch eager", lambda: torch_call(plain, iterations, device=device))
    add("torch.compile, CUDA graphs", lambda: torch_call(plain, iterations, device=device, compiled=True))
    return found, missing


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu_peers", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="JSON to write")
    parser.add_argument("--backend", default="tensorrt-rtx", help="of this project (default %(default)s)")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="of torch")
    parser.add_argument("--repeats", type=int, default=100)
    options = parser.parse_args(argv)
    device = device_name(options.device)
    runs, missing = contenders(options.backend, options.device, ITERATIONS)
    found = measure(runs, repeats=options.repeats)
    name = f"iic-rt, {options.backend}"
    with Inpainter(backend="onnxruntime") as inpainter:
        record: dict[str, Any] = environment(inpainter.bundle)
    record |= {
        "device": device or record["device"],
        "size": SIZE,
        "iterations": ITERATIONS,
        "repeats": options.repeats,
        "ms": {peer: summary(values) for peer, values in found.items()},
        "missing": missing,
    }
    if name in found:
        record["ratios"] = {
            f"{name} / {peer}": summary(list(np.array(found[name]) / np.array(found[peer])))
            for peer in found
            if peer != name
        }
    write_record(options.out, record)
    for peer, row in (record["ms"] | record.get("ratios", {})).items():
        print(f"{peer:<44}p50 {row['p50']:>8.2f}  p90 {row['p90']:>8.2f}  p99 {row['p99']:>8.2f}")
    for peer, reason in missing.items():
        print(f"{peer:<44}did not run: {reason[:200]}")
    return 0 if name in found else 1


def device_name(device: str) -> str | None:
    if device != "cuda":
        return None
    import torch

    return str(torch.cuda.get_device_name()) if torch.cuda.is_available() else None


if __name__ == "__main__":
    sys.exit(main())
