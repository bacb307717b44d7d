"""Does guided upsampling hold at factors it was never trained at? Holes with known truth in large photographs.

``python -m benchmarks.factors --data hires.tar --out benchmarks/results/x86-2-cores/factors.json``

The same loop result at 256 x 256 is enlarged 1.5 to 8 times: squares of that many pixels are cut from every photograph
where nothing is marked for removal, and an ellipse in the middle is the hole. Training knows the factor 2 only.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.data import Case, load_cases
from benchmarks.methods import square_methods
from benchmarks.metrics import hole_sharpness
from benchmarks.record import environment, write_record
from iic_rt import Inpainter
from iic_rt.bench.metrics import hole_psnr
from iic_rt.bundle.manifest import DEFAULT_BUNDLE

__all__ = ["cut_square", "main"]

FACTORS = (1.5, 2, 3, 4, 6, 8)
TRIES = 50


def cut_square(case: Case, side: int, rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.uint8]] | None:
    """A square of the photograph without marked pixels and an elliptical hole in it, or None where there is no room."""
    height, width = case.hole.shape
    if side > min(height, width):
        return None
    for _ in range(TRIES):
        top, left = int(rng.integers(height - side + 1)), int(rng.integers(width - side + 1))
        window = slice(top, top + side), slice(left, left + side)
        if not case.hole[window].any():
            hole = np.zeros((side, side), np.uint8)
            cv2.ellipse(hole, (side // 2, side // 2), (side * 2 // 7, side // 6), 30, 0, 360, 1, -1)
            return np.ascontiguousarray(case.image[window]), hole
    return None


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.factors", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="tar with images/, masks/ and meta.jsonl")
    parser.add_argument("--out", type=Path, required=True, help="JSON to write")
    parser.add_argument("--bundle", default=DEFAULT_BUNDLE)
    parser.add_argument("--factors", type=float, nargs="+", default=FACTORS)
    options = parser.parse_args(argv)
    cases = load_cases(options.data)
    rows: list[dict[str, Any]] = []
    with Inpainter(options.bundle, backend="onnxruntime") as inpainter:
        methods = {n: m for n, m in square_methods(inpainter).items() if not n.startswith("Ours*")}
        for factor in options.factors:
            rng = np.random.default_rng(7)
            found: dict[str, list[float]] = defaultdict(list)
            for case in cases:
                cut = cut_square(case, round(inpainter.working_size * factor), rng)
                if cut is None:
                    continue  # the photograph is smaller, or marked all over
                image, hole = cut
                for name, method in methods.items():
                    kind = "upsampled" if name.startswith("Ours") else "bicubic"
                    filled = method(image, hole)
                    found[f"psnr_{kind}"].append(hole_psnr(filled, image, hole > 0))
                    found[f"sharpness_{kind}"].append(hole_sharpness(filled, image, hole > 0))
            if not found:
                raise SystemExit(f"no photograph has room for a square of factor {factor:g}; leave it out of --factors")
            means = {name: round(float(np.mean(values)), 4) for name, values in found.items()}
            rows.append({"factor": factor, "pictures": len(found["psnr_bicubic"])} | means)
            print(" ".join(f"{name} {value}" for name, value in rows[-1].items()), flush=True)
        write_record(options.out, environment(inpainter.bundle) | {"data": options.data.name, "rows": rows})
    return 0


if __name__ == "__main__":
    sys.exit(main())
