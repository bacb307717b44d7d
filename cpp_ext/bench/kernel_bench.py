"""Checks and times the kernels on a GPU: ``python -m cpp_ext.bench.kernel_bench --out kernels.json``.

Needs torch with CUDA and nvcc. First every case is compared with the specification; a kernel that is wrong is not
timed. Then it is timed over hole shares and widths beside torch's attention and a plain torch version, and set against
the roofline of peaks measured in the same run.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

from cpp_ext.bench.counts import Peaks, count_work
from cpp_ext.bench.device import DeviceCase, milliseconds
from cpp_ext.cases import Operands, check, make_operands
from cpp_ext.kernel_library import LIBRARY_SOURCES, PatchReplaceLibrary, build_device
from iic_rt.bench.environment import commit
from iic_rt.image_io import write_bytes

__all__ = ["CHECKED", "check_all", "main"]

SCALE = 180.0
PATCHES, DESCRIPTOR = 4096, 76  # of the shipped upsampling network
WIDTHS = (144, 256, 576, 1600, 2304)
HOLES = (0.01, 0.05, 0.1, 0.3, 0.7)
# (batch, patches, descriptor, width): around the borders of tiles, chunks and instances of the kernels.
CHECKED = [
    (1, 1, 1, 1),
    (1, 33, 3, 5),
    (3, 130, 16, 40),
    (2, 64, 80, 192),
    (1, 65, 81, 193),
    (2, 257, 128, 384),
    (1, 300, 129, 100),
    (1, 2000, 76, 577),
    (1, PATCHES, DESCRIPTOR, 576),
]


def check_all(library: PatchReplaceLibrary) -> list[dict[str, Any]]:
    """Compares every case with the specification.

    Raises:
        AssertionError: one is wrong.
    """
    done = []
    for sizes in CHECKED:
        for dtype in ("float32", "float16"):
            for holes in (0.0, 0.02, 0.3, 1.0):
                given = make_operands(sizes, dtype, holes=holes, scale=SCALE)
                case = DeviceCase(library, given)
                case.enqueue()
                error = check(given, *case.result())
                done.append({"sizes": sizes, "type": dtype, "holes": holes, "max_error": error})
    return done


def measure_peaks(dtype: torch.dtype, repeats: int) -> Peaks:
    side = 8192 if dtype == torch.float16 else 4096
    a, b = torch.randn(2, side, side, device="cuda", dtype=dtype)
    product = milliseconds(lambda: a @ b, repeats=repeats, graph=False)["p10"]
    source = torch.empty(1 << 28, dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    copy = milliseconds(lambda: target.copy_(source), repeats=repeats, graph=False)["p10"]
    return Peaks(flops=2e3 * side**3 / product, bytes=2e3 * source.numel() / copy)


def picture(width: int, holes: float, dtype: str) -> Operands:
    """As in the runtime: a patch is a hole or valid, and every weight is 1."""
    given = make_operands((1, PATCHES, DESCRIPTOR, width), dtype, holes=holes, scale=SCALE)
    given.weight[:] = 1 - given.hole
    given.v[np.isnan(given.v)] = 0
    return given


def time_all(library: PatchReplaceLibrary, dtype: str, peaks: Peaks, repeats: int) -> list[dict[str, Any]]:
    rows = []
    for width in WIDTHS:
        for holes in HOLES:
            given = picture(width, holes, dtype)
            case = DeviceCase(library, given)
            case.enqueue()
            error = check(given, *case.result())
            count = int(given.hole.sum())
            work = count_work(PATCHES, DESCRIPTOR, width, rows=count, valid=PATCHES - count, half=given.half)
            kernel = milliseconds(case.enqueue, repeats=repeats, graph=True)
            row = {
                "type": dtype,
                "width": width,
                "holes": holes,
                "rows": count,
                "max_error": error,
                "flops": work.flops,
                "bytes": work.bytes,
                "roofline_ms": work.roofline_ms(peaks),
                "share_of_roofline": work.roofline_ms(peaks) / kernel["p50"],
                "kernel_ms": kernel,
                "kernel_launched_ms": milliseconds(case.enqueue, repeats=repeats, graph=False),
                "attention_ms": milliseconds(case.attention(), repeats=repeats, graph=True),
                "unfused_ms": milliseconds(case.unfused, repeats=repeats, graph=False),
            }
            rows.append(row)
            print(
                f"{dtype} width {width:5} holes {holes:4.0%}: kernel {kernel['p50']:7.3f} ms, "
                f"{row['share_of_roofline']:4.0%} of the roofline; attention alone {row['attention_ms']['p50']:7.3f}, "
                f"unfused {row['unfused_ms']['p50']:7.3f}",
                flush=True,
            )
    return rows


def environment() -> dict[str, Any]:
    query = ["nvidia-smi", "--query-gpu=name,driver_version,clocks.max.sm,power.limit", "--format=csv,noheader"]
    nvcc = subprocess.run(["nvcc", "--version"], capture_output=True, text=True, check=True).stdout
    return {
        "device": torch.cuda.get_device_name(),
        "compute_capability": list(torch.cuda.get_device_capability()),
        "nvidia_smi": _output_or_unknown(query),
        "torch": torch.__version__,
        "torch_cuda": torch.version.cuda,
        "nvcc": nvcc.strip().splitlines()[-1],
        "commit": commit(),
    }


def _output_or_unknown(command: list[str]) -> str:
    """A Jetson may have no nvidia-smi."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "unknown"
    return done.stdout.strip() or "unknown"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m cpp_ext.bench.kernel_bench", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--repeats", type=int, default=50, help="timed calls of each case")
    args = parser.parse_args()
    if not torch.cuda.is_available():
        parser.error("this torch sees no GPU; install one with CUDA on a machine that has a GPU")
    torch.backends.cuda.matmul.allow_tf32 = False
    with tempfile.TemporaryDirectory() as folder:
        library = PatchReplaceLibrary(build_device(Path(folder) / "kernels.so", LIBRARY_SOURCES))
        record: dict[str, Any] = {"schema": 1, **environment(), "repeats": args.repeats, "checked": check_all(library)}
        print(f"{len(record['checked'])} cases equal the specification")
        record["peaks"], record["timed"] = {}, []
        for dtype in ("float16", "float32"):
            peaks = measure_peaks(getattr(torch, dtype), args.repeats)
            record["peaks"][dtype] = {"flops": peaks.flops, "bytes": peaks.bytes}
            print(f"{dtype}: {peaks.flops / 1e12:.1f} TFLOP/s, {peaks.bytes / 1e9:.0f} GB/s")
            record["timed"] += time_all(library, dtype, peaks, args.repeats)
    write_bytes(args.out, (json.dumps(record, indent=1) + "\n").encode())


if __name__ == "__main__":
    main()
