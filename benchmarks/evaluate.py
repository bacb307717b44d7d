"""Quality on pictures with holes and known truth.

``python -m benchmarks.evaluate --data eval-public.tar --out benchmarks/results/x86-2-cores/eval-public.json``
``python -m benchmarks.evaluate --data eval-public.tar --side 512 --out benchmarks/results/x86-2-cores/eval-512.json``
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

from benchmarks.data import Case, load_cases, squared
from benchmarks.methods import Method, classical_methods, our_methods, square_methods
from benchmarks.metrics import hole_l1, hole_ssim, mean_laplacian
from benchmarks.perceptual import hole_mesh, perceptual_distance
from benchmarks.record import environment, write_record
from iic_rt import Inpainter, InpaintOptions
from iic_rt.bench.metrics import hole_psnr, psnr
from iic_rt.bundle.manifest import DEFAULT_BUNDLE

__all__ = ["confidence_scores", "evaluate", "main"]

ITERATIONS = (1, 2, 4, 6)
SCORES = {"psnr": hole_psnr, "distance": perceptual_distance, "l1": hole_l1, "ssim": hole_ssim}


def evaluate(cases: list[Case], methods: dict[str, Method], *, pictures: Path | None = None) -> dict[str, Any]:
    """Mean scores of every method, and PSNR by kind of mask.

    Args:
        cases: pictures with holes.
        methods: what is compared.
        pictures: folder for one sheet a case (input, results, truth), or None.
    """
    scores: dict[str, dict[str, list[float]]] = {name: defaultdict(list) for name in methods}
    truth_laplacian: list[float] = []
    for i, case in enumerate(cases):
        inside = case.hole > 0
        truth_laplacian.append(mean_laplacian(case.image, inside))
        results = {}
        for name, method in methods.items():
            filled = results[name] = method(case.image, case.hole)
            scores[name]["sharpness"].append(mean_laplacian(filled, inside))
            for metric, score in SCORES.items():
                value = score(filled, case.image, inside)
                scores[name][metric].append(value)
                if metric == "psnr":
                    scores[name][f"psnr_{case.meta.get('mask_type', 'any')}"].append(value)
            for lag, value in (hole_mesh(filled, inside) or {}).items():
                scores[name][f"mesh_{lag}"].append(value)
        if pictures is not None:
            _write_sheet(pictures / f"{case.name}.jpg", case, list(results.values()))
        print(f"\r{i + 1}/{len(cases)}", end="", file=sys.stderr)
    print(file=sys.stderr)
    rows = {n: {m: round(float(np.mean(v)), 4) for m, v in by_metric.items()} for n, by_metric in scores.items()}
    for row in rows.values():  # of the means, since the ratio of one flat picture says little
        row["sharpness"] = round(row["sharpness"] / float(np.mean(truth_laplacian)), 4)
    return {"pictures": len(cases), "methods": rows}


def confidence_scores(cases: list[Case], inpainter: Inpainter) -> dict[str, float]:
    """PSNR over all pixels with confidence above 0.5 and over the rest, after one and after four iterations."""
    found: dict[str, float] = {}
    for t in (1, 4):
        errors: dict[bool, list[NDArray[np.float64]]] = {True: [], False: []}
        options = InpaintOptions(iterations=t, upsample=False, grow=0, outputs=("confidence",))
        for case in cases:
            result = inpainter.inpaint(case.image, case.hole, options=options)
            error = ((result.image.astype(np.float64) - case.image) ** 2).mean(2)
            for sure in errors:
                errors[sure].append(error[(case.hole > 0) & ((result.confidence > 0.5) == sure)])
        joined = {sure: np.concatenate(parts) for sure, parts in errors.items()}
        for sure, name in ((True, "sure"), (False, "unsure")):
            if joined[sure].size:
                found[f"psnr_{name}_t{t}"] = round(psnr(float(joined[sure].mean())), 3)
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
    parser.add_argument("--backend", default="onnxruntime", help="what fills the holes (default %(default)s)")
    parser.add_argument("--limit", type=int, help="first N pictures only")
    parser.add_argument("--side", type=int, help="cut squares of so many pixels: Ours and Ours* of the paper's Table 1")
    parser.add_argument("--no-classical", action="store_true", help="leave the classical methods out")
    parser.add_argument("--pictures", type=Path, help="folder for one sheet of results a picture")
    options = parser.parse_args(argv)
    cases = load_cases(options.data, limit=options.limit)
    with Inpainter(options.bundle, backend=options.backend) as inpainter:
        methods = {} if options.no_classical else classical_methods()
        if options.side:
            cases = [squared(case, options.side) for case in cases]
            found = evaluate(cases, methods | square_methods(inpainter), pictures=options.pictures)
            found["side"] = options.side
        else:
            found = evaluate(cases, methods | our_methods(inpainter, ITERATIONS), pictures=options.pictures)
            found["confidence"] = confidence_scores(cases, inpainter)
        facts = {"data": options.data.name, "backend": inpainter.backend_name, "precision": inpainter.precision}
        write_record(options.out, environment(inpainter.bundle) | facts | found)
    columns = {"psnr": 2, "distance": 4, "l1": 4, "ssim": 4, "sharpness": 2, "mesh_4": 3, "mesh_8": 3}
    print(f"{'method':<36}" + "".join(f"{name:>11}" for name in columns))
    for name, row in found["methods"].items():
        print(f"{name:<36}" + "".join(f"{row[column]:>11.{digits}f}" for column, digits in columns.items()))
    print(", ".join(f"{name} {value}" for name, value in found.get("confidence", {}).items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
