"""Quality on a folder of pictures with holes and known truth.

``python -m benchmarks.evaluate --data eval-public.tar --out benchmarks/results/x86-2-cores/eval-public.json``
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
from benchmarks.methods import classical_methods, our_methods
from benchmarks.metrics import hole_l1, hole_psnr, hole_ssim
from benchmarks.record import environment, write_record
from iic_rt import Inpainter, InpaintOptions
from iic_rt.bundle import DEFAULT_BUNDLE

__all__ = ["evaluate", "main"]

ITERATIONS = (1, 2, 4, 6)


def evaluate(
    cases: list[Case], inpainter: Inpainter, *, classical: bool, pictures: Path | None = None
) -> dict[str, Any]:
    """Mean scores of every method, PSNR by kind of mask, and of confident against other pixels.

    Args:
        cases: pictures with holes.
        inpainter: the network under test.
        classical: compare with the classical methods too.
        pictures: folder for one sheet a case (input, results, truth), or None.
    """
    methods = (classical_methods() if classical else {}) | our_methods(inpainter, ITERATIONS)
    scores: dict[str, dict[str, list[float]]] = {name: defaultdict(list) for name in methods}
    for i, case in enumerate(cases):
        inside = case.hole > 0
        results = {}
        for name, method in methods.items():
            filled = results[name] = method(case.image, case.hole)
            for metric, score in (("psnr", hole_psnr), ("l1", hole_l1), ("ssim", hole_ssim)):
                value = score(filled, case.image, inside)
                scores[name][metric].append(value)
                if metric == "psnr":
                    scores[name][f"psnr_{case.meta.get('mask_type', 'any')}"].append(value)
        if pictures is not None:
            _write_sheet(pictures / f"{case.name}.jpg", case, list(results.values()))
        print(f"\r{i + 1}/{len(cases)}", end="", file=sys.stderr)
    print(file=sys.stderr)
    rows = {n: {m: round(float(np.mean(v)), 4) for m, v in by_metric.items()} for n, by_metric in scores.items()}
    return {"pictures": len(cases), "methods": rows, "confidence": _confidence(cases, inpainter)}


def _confidence(cases: list[Case], inpainter: Inpainter) -> dict[str, float]:
    """PSNR over all pixels with confidence above 0.5 and over the rest, after one and after four iterations."""
    found: dict[str, float] = {}
    for t in (1, 4):
        errors: dict[bool, list[NDArray[np.float64]]] = {True: [], False: []}
        for case in cases:
            result = inpainter.inpaint(case.image, case.hole, options=InpaintOptions(iterations=t))
            squared = ((result.image.astype(np.float64) - case.image) ** 2).mean(2)
            for sure in errors:
                errors[sure].append(squared[(case.hole > 0) & ((result.confidence > 0.5) == sure)])
        joined = {sure: np.concatenate(parts) for sure, parts in errors.items()}
        for sure, name in ((True, "sure"), (False, "unsure")):
            if joined[sure].size:
                found[f"psnr_{name}_t{t}"] = round(float(10 * np.log10(255**2 / joined[sure].mean())), 3)
        found[f"share_sure_t{t}"] = round(joined[True].size / (joined[True].size + joined[False].size), 4)
    return found


def _write_sheet(path: Path, case: Case, results: list[NDArray[np.uint8]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    marked = case.image.copy()
    marked[case.hole > 0] = (80, 120, 255)
    sheet = np.concatenate([marked, *results, case.image], axis=1)
    cv2.imwrite(str(path), cv2.cvtColor(sheet, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 92])


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.evaluate", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="tar with images/, masks/ and meta.jsonl")
    parser.add_argument("--out", type=Path, required=True, help="JSON to write")
    parser.add_argument("--bundle", default=DEFAULT_BUNDLE)
    parser.add_argument("--limit", type=int, help="first N pictures only")
    parser.add_argument("--no-classical", action="store_true", help="leave the classical methods out")
    parser.add_argument("--pictures", type=Path, help="folder for one sheet of results a picture")
    options = parser.parse_args(argv)
    cases = load_cases(options.data, limit=options.limit)
    with Inpainter(options.bundle) as inpainter:
        found = evaluate(cases, inpainter, classical=not options.no_classical, pictures=options.pictures)
        write_record(options.out, environment(inpainter.bundle) | {"data": options.data.name} | found)
    print(f"{'method':<24}{'PSNR dB':>9}{'L1':>8}{'SSIM':>8}")
    for name, row in found["methods"].items():
        print(f"{name:<24}{row['psnr']:>9.2f}{row['l1']:>8.4f}{row['ssim']:>8.4f}")
    print(", ".join(f"{name} {value}" for name, value in found["confidence"].items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
