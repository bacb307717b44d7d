"""What a call costs on a GPU: this project's engines beside ONNX Runtime CUDA, torch eager and torch compiled.

``python -m benchmarks.gpu_peers --backend tensorrt-rtx --out benchmarks/results/DEVICE/peers.json``

All contenders take turns in one process after a warm-up, FP16 where they can. One that cannot run is recorded with the
reason. ``--device cpu`` rehearses the same code without a GPU, in FP32.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from benchmarks.contenders import ITERATIONS, SIZE, Contender, measure, scene, summary
from benchmarks.record import environment, write_record
from iic_rt import Inpainter, InpaintOptions
from iic_rt.backends.onnxruntime import OnnxRuntimeBackend
from iic_rt.backends.registry import BACKENDS
from iic_rt.bench.metrics import hole_psnr, low_passed
from iic_rt.bundle.manifest import DEFAULT_BUNDLE, Bundle, load_bundle
from iic_rt.errors import BackendError

__all__ = ["main"]

# dB in the hole, of a peer's result against this project's in FP32, both under a Gaussian. Torch copies by the softmax
# that the networks were trained with, this project the best patch from where it fits best; another fill has less.
LEAST_PSNR = 17


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


class Peers:
    """What runs here by name, and for the others why they do not: a peer's own failure is a result.

    Attributes:
        ours: name of this project's contender.
        iterations: that the scene takes; the peers make as many.
    """

    def __init__(self, backend: str, device: str) -> None:
        self._device, self.ours = device, f"iic-rt, {backend}"
        self._image, self._hole = scene()
        self.runs: dict[str, Contender] = {}
        self.missing: dict[str, str] = {}
        self._plain = Inpainter(backend="onnxruntime", options=InpaintOptions(grow=0, iterations=ITERATIONS))
        expected = self._plain.inpaint(self._image, self._hole)
        self.iterations, self._expected = expected.iterations, expected.image
        BACKENDS["onnxruntime-cuda"] = OnnxRuntimeCudaBackend
        try:
            self._add(self.ours, lambda: self._inpainter(backend))
            self._add("ONNX Runtime CUDA", lambda: self._inpainter("onnxruntime-cuda"))
        finally:
            del BACKENDS["onnxruntime-cuda"]
        self._add("torch eager, autocast", lambda: self._torch("autocast"))

    def add_compiled(self) -> bool:
        """Adds what torch compiles, for a minute or more; whether it runs here."""
        name = "torch.compile, FP16 weights, one CUDA graph"
        self._add(name, lambda: self._torch("fp16", compiled=True))
        return name in self.runs

    def _add(self, name: str, make: Callable[[], Contender]) -> None:
        try:
            run = make()
            run()
            picture = getattr(run, "picture", None)  # an inpainter's own is checked by `iic_rt.bench`
            if picture is not None:
                psnr = hole_psnr(low_passed(picture), low_passed(self._expected), self._hole > 0)
                if psnr < LEAST_PSNR:
                    raise ValueError(f"wrong output: {psnr:.1f} dB in the hole, at least {LEAST_PSNR} is right")
        except Exception as error:
            self.missing[name] = f"{type(error).__name__}: {error}"
        else:
            self.runs[name] = run

    def _inpainter(self, backend: str) -> Contender:
        inpainter = Inpainter(backend=backend, options=self._plain.options)
        return lambda: inpainter.inpaint(self._image, self._hole)

    def _torch(self, precision: str, *, compiled: bool = False) -> Contender:
        from benchmarks.torch_call import TorchCall  # where torch is missing, the others run

        on_gpu = self._device == "cuda"
        return TorchCall(
            self._plain,
            self.iterations,
            device=self._device,
            precision=precision if on_gpu else "fp32",
            compiled=compiled,
            captured=compiled and on_gpu,
        )


def times(peers: Peers, repeats: int) -> dict[str, Any]:
    """Milliseconds of each in turn, and of this project's over each other's."""
    found = measure(peers.runs, repeats=repeats)
    rows: dict[str, Any] = {"ms": {peer: summary(values) for peer, values in found.items()}, "missing": peers.missing}
    if peers.ours in found:
        ours = np.array(found[peers.ours])
        rows["ratios"] = {
            f"{peers.ours} / {peer}": summary(list(ours / np.array(values)))
            for peer, values in found.items()
            if peer != peers.ours
        }
    return rows


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu_peers", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="JSON to write")
    parser.add_argument("--backend", default="tensorrt-rtx", help="of this project (default %(default)s)")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda", help="of torch")
    parser.add_argument("--repeats", type=int, default=100)
    options = parser.parse_args(argv)
    peers = Peers(options.backend, options.device)
    record: dict[str, Any] = environment(load_bundle(DEFAULT_BUNDLE))
    record |= {"device": device_name(options.device) or record["device"], "size": SIZE}
    record |= {"iterations": peers.iterations, "repeats": options.repeats} | times(peers, options.repeats)
    write_record(options.out, record)  # should the time end while torch compiles
    if peers.add_compiled():
        record |= times(peers, options.repeats)
    write_record(options.out, record)
    for peer, row in (record["ms"] | record.get("ratios", {})).items():
        print(f"{peer:<64}p50 {row['p50']:>8.2f}  p90 {row['p90']:>8.2f}  p99 {row['p99']:>8.2f}")
    for peer, reason in peers.missing.items():
        print(f"{peer:<64}did not run: {reason[:200]}")
    return int(peers.ours not in peers.runs)


def device_name(device: str) -> str | None:
    if device != "cuda" or importlib.util.find_spec("torch") is None:
        return None
    import torch

    return str(torch.cuda.get_device_name()) if torch.cuda.is_available() else None


if __name__ == "__main__":
    sys.exit(main())
