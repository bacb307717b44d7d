"""Thin wires across whole photographs: what cutting a long hole into regions of its own scale gains.

``python -m benchmarks.wires --data hires.tar --out benchmarks/results/x86-2-cores/wires.json``
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.data import load_cases
from benchmarks.methods import RADIUS
from benchmarks.metrics import hole_sharpness
from benchmarks.record import environment, write_record
from iic_rt import Inpainter, InpaintOptions
from iic_rt.bench.metrics import hole_psnr
from iic_rt.bundle.manifest import DEFAULT_BUNDLE

__all__ = ["draw_wires", "main"]

WIRES = 3
LONGEST = 1600  # pixels of the longer side; OpenCV takes minutes for more


def draw_wires(rng: np.random.Generator, height: int, width: int) -> NDArray[np.uint8]:
    """Sagging lines from edge to edge, a 300th of the width thick: uint8 [height, width] in {0, 1}."""
    hole = np.zeros((height, width), np.uint8)
    x = np.arange(0, width + 8, 8)
    for _ in range(WIRES):
        left, right = rng.uniform(0.1, 0.9, 2) * height
        sag = rng.uniform(0, 0.1) * height
        y = np.interp(x, (0, width), (left, right)) + sag * (1 - (2 * x / width - 1) ** 2)
        points = np.stack((x, y), 1).astype(np.int32)
        cv2.polylines(hole, [points], isClosed=False, color=1, thickness=max(2, width // 300))
    return hole


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.wires", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="tar with images/, masks/ and meta.jsonl")
    parser.add_argument("--out", type=Path, required=True, help="JSON to write")
    options = parser.parse_args(argv)
    found: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    rng, exact = np.random.default_rng(11), InpaintOptions(grow=0)
    with Inpainter(DEFAULT_BUNDLE, backend="onnxruntime") as inpainter:
        for case in load_cases(options.data):
            scale = min(1.0, LONGEST / max(case.hole.shape))
            image = np.asarray(cv2.resize(case.image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
            hole = draw_wires(rng, *image.shape[:2])
            results = {
                "OpenCV Telea": np.asarray(cv2.inpaint(image, hole, RADIUS, cv2.INPAINT_TELEA), np.uint8),
                "iic-rt": inpainter.inpaint(image, hole, options=exact).image,
            }
            for name, result in results.items():
                found[name]["psnr"].append(hole_psnr(result, image, hole > 0))
                found[name]["sharpness"].append(hole_sharpness(result, image, hole > 0))
        rows = {n: {m: round(float(np.mean(v)), 3) for m, v in by.items()} for n, by in found.items()}
        record = environment(inpainter.bundle) | {"data": options.data.name, "methods": rows}
        write_record(options.out, record)
    for name, row in rows.items():
        print(f"{name:<24}PSNR {row['psnr']:.2f} dB  sharpness {row['sharpness']:.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
