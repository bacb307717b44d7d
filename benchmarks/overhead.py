"""What a call costs: beside its graphs alone, the same networks in torch eager, and PyPatchMatch.

``python -m benchmarks.overhead --out benchmarks/results/x86-2-cores/overhead.json``

All contenders take turns in one process after a warm-up, so that a busy machine slows them alike; compare ratios, not
milliseconds. The torch contender needs the ``train`` extra and the released weights, PyPatchMatch the ``peers`` extra.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.contenders import ITERATIONS, SIZE, Contender, measure, scene, summary
from benchmarks.methods import classical_methods
from benchmarks.record import environment, write_record
from benchmarks.timed import TimedBackend, timed_inpainter
from iic_rt import Inpainter, InpaintOptions

__all__ = ["main"]


def sessions_alone(inpainter: Inpainter) -> Contender:
    """Milliseconds that the graphs alone take in a call of a timed inpainter: no runtime around them can be faster."""
    image, hole = scene()

    def run() -> float:
        TimedBackend.seconds.clear()
        inpainter.inpaint(image, hole)
        return 1e3 * sum(TimedBackend.seconds.values())

    return run


def import_seconds(repeats: int) -> dict[str, float]:
    """Medians of a new process that imports the base packages, without and with ``iic_rt``, in turn."""
    codes = {"base": "import numpy, onnxruntime", "with_iic_rt": "import numpy, onnxruntime, iic_rt"}
    found: dict[str, list[float]] = {name: [] for name in codes}
    for _ in range(repeats):
        for name, code in codes.items():
            started = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], check=True)
            found[name].append(time.perf_counter() - started)
    return {name: round(float(np.median(values)), 4) for name, values in found.items()}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.overhead", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="JSON to write")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=40)
    parser.add_argument("--no-torch", action="store_true", help="leave the torch contender out")
    options = parser.parse_args(argv)
    image, hole = scene()
    settings: dict[str, Any] = {"threads": options.threads, "options": InpaintOptions(grow=0, iterations=ITERATIONS)}
    with Inpainter(backend="onnxruntime", **settings) as inpainter, timed_inpainter(**settings) as timed:
        iterations = inpainter.inpaint(image, hole).iterations
        contenders: dict[str, Contender] = {
            "iic_rt": lambda: inpainter.inpaint(image, hole),
            "sessions": sessions_alone(timed),
        }
        if "PyPatchMatch" in (methods := classical_methods()):
            contenders["patchmatch"] = lambda: methods["PyPatchMatch"](image, hole)
        if not options.no_torch:
            from benchmarks.torch_call import TorchCall

            contenders["torch_eager"] = TorchCall(inpainter, iterations, threads=options.threads)
        found = measure(contenders, repeats=options.repeats)
        ratios = {
            f"iic_rt / {name}": summary(list(np.array(found["iic_rt"]) / np.array(found[name])))
            for name in contenders
            if name != "iic_rt"
        }
        record: dict[str, Any] = environment(inpainter.bundle) | {
            "size": SIZE,
            "iterations": iterations,
            "threads": options.threads,
            "repeats": options.repeats,
            "ms": {name: summary(values) for name, values in found.items()},
            "ratios": ratios,
            "import_seconds": import_seconds(max(3, options.repeats // 4)),
        }
    write_record(options.out, record)
    for name, row in (record["ms"] | ratios).items():
        print(f"{name:<24}p50 {row['p50']:>8.2f}  p90 {row['p90']:>8.2f}  p99 {row['p99']:>8.2f}")
    seconds = record["import_seconds"]
    print(f"import iic_rt adds {seconds['with_iic_rt'] - seconds['base']:.3f} s to numpy and onnxruntime")
    return 0


if __name__ == "__main__":
    sys.exit(main())
