"""The paper's evaluation with its protocol, on the test images: Tables 1 and 2, Fig. 9 and 11.

``python -m training.compare --set paper --data FOLDER --out runs/paper --samples 6000``
``python -m benchmarks.paper --data eval-public.tar --runs runs/paper --out benchmarks/results/x86-2-cores/paper.json``

Networks "like" those before the paper, and its parts one by one, are trained here, each on the same number of pictures.
L1, PSNR and SSIM are over the whole image as in the paper; the other scores are over the hole.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.data import Case, load_cases, squared
from benchmarks.evaluate import confidence_scores
from benchmarks.methods import Method, classical_methods, exemplar_methods, fill_in_rings, square_methods
from benchmarks.metrics import hole_sharpness, image_l1, image_psnr, image_ssim
from benchmarks.networks import loop_method, read_run
from benchmarks.paper_cases import HOLES, by_kind, with_share
from benchmarks.perceptual import perceptual_distance
from benchmarks.record import environment, write_record
from iic_rt import Inpainter, InpaintOptions
from iic_rt.bench.metrics import hole_psnr
from iic_rt.bundle.manifest import DEFAULT_BUNDLE
from training.compare import LAMBDAS

__all__ = ["SECTIONS", "main", "scored"]

SHARES = (0.05, 0.125, 0.175, 0.225, 0.35)  # of the image, in the middle of the bins of Fig. 9
ITERATIONS = range(1, 9)
T = 4  # iterations, the paper's
LARGE = 512  # pixels, the paper's size where time is measured

Rows = dict[str, dict[str, float]]


def scored(cases: list[Case], methods: dict[str, Method]) -> Rows:
    """Mean scores of every method, and the median of its seconds after one call to warm up."""
    rows: Rows = {}
    for name, method in methods.items():
        found: dict[str, list[float]] = defaultdict(list)
        method(cases[0].image, cases[0].hole)
        for case in cases:
            start = time.perf_counter()
            image = method(case.image, case.hole)
            found["seconds"].append(time.perf_counter() - start)
            inside = case.hole > 0
            found["l1"].append(image_l1(image, case.image))
            found["psnr"].append(image_psnr(image, case.image))
            found["ssim"].append(image_ssim(image, case.image))
            found["hole_psnr"].append(hole_psnr(image, case.image, inside))
            found["distance"].append(perceptual_distance(image, case.image, inside))
            found["sharpness"].append(hole_sharpness(image, case.image, inside))
        seconds = float(np.median(found.pop("seconds")))
        medians = {"sharpness": float(np.median(found.pop("sharpness")))}  # of a ratio, which one flat image can rule
        rows[name] = {n: round(float(np.mean(v)), 4) for n, v in found.items()}
        rows[name] |= {n: round(v, 4) for n, v in (medians | {"seconds": seconds}).items()}
        print(name, rows[name], file=sys.stderr, flush=True)
    return rows


def network(runs: Path, name: str, iterations: int) -> Method:
    return loop_method(read_run(runs / name)[0], iterations)


def ours(inpainter: Inpainter) -> dict[str, Method]:
    """The shipped network at the image's own size, and at half of it with guided upsampling."""
    loop = InpaintOptions(iterations=T, upsample=False, grow=0, context=16.0)
    whole = InpaintOptions(iterations=T, grow=0, context=16.0)
    return {
        "Ours*": lambda image, hole: inpainter.inpaint(image, hole, options=loop).image,
        "Ours": lambda image, hole: inpainter.inpaint(image, hole, options=whole).image,
    }


def holes(cases: list[Case], runs: Path, inpainter: Inpainter) -> dict[str, Rows]:
    """Table 1."""
    methods = classical_methods() | exemplar_methods()
    methods["Global&Local-like"] = network(runs, "global-local-like", 1)
    methods["GConv-like"] = network(runs, "gated-like", 1)
    methods["Ours*, trained as briefly"] = network(runs, "realistic", T)
    methods |= ours(inpainter)
    return {kind: scored(by_kind(cases, kind), methods) for kind in HOLES}


def sizes(cases: list[Case], runs: Path, inpainter: Inpainter) -> dict[str, Rows]:
    """Fig. 9, on the same images for every size of the hole."""
    methods = classical_methods()
    methods["GConv-like"] = network(runs, "gated-like", 1)
    methods |= ours(inpainter)
    fitting = [{case.name for case in with_share(cases, share)} for share in SHARES]
    common = [case for case in cases if all(case.name in names for names in fitting)]
    return {f"{share:g}": scored(with_share(common, share), methods) for share in SHARES}


def parts(cases: list[Case], runs: Path, inpainter: Inpainter) -> Rows:
    """Table 2, the parts that are trained: networks of one budget at 256x256."""
    once = network(runs, "no-confidence", 1)
    methods: dict[str, Method] = {
        "one pass": once,
        "IT": lambda image, hole: fill_in_rings(once, image, hole),
        "IT, CF": network(runs, "confidence", T),
        "IT, CF, RT": network(runs, "realistic", T),
    }
    return scored(by_kind(cases, "object"), methods)


def upsampling(cases: list[Case], runs: Path, inpainter: Inpainter) -> Rows:
    """Table 2, the rows that differ in what runs: the shipped network at 512x512, with times."""
    options = InpaintOptions(iterations=1, upsample=False, grow=0, context=16.0)
    methods: dict[str, Method] = {
        "one pass": lambda image, hole: inpainter.inpaint(image, hole, options=options).image,
        "IT": lambda image, hole: fill_in_rings(
            lambda *given: inpainter.inpaint(*given, options=options).image, image, hole
        ),
    }
    shipped = square_methods(inpainter)
    methods["IT, CF, RT"] = shipped["Ours*: loop at full size"]
    methods["IT, CF, RT, GU"] = shipped["Ours: loop at 256, upsampled"]
    return scored([squared(case, LARGE) for case in cases], methods)


def confidence(cases: list[Case], runs: Path, inpainter: Inpainter) -> dict[str, float]:
    """Table 2, the last two rows."""
    return confidence_scores(by_kind(cases, "object"), inpainter)


def lambdas(cases: list[Case], runs: Path, inpainter: Inpainter) -> Rows:
    """Fig. 11 (a): confidence decoders of one budget behind one network."""
    methods = {f"{v:g}": network(runs, f"lambda-{v:g}", T) for v in LAMBDAS}
    return scored(by_kind(cases, "object"), methods)


def iterations(cases: list[Case], runs: Path, inpainter: Inpainter) -> Rows:
    """Fig. 11 (b)."""

    def loop(t: int) -> Method:
        options = InpaintOptions(iterations=t, upsample=False, grow=0, context=16.0)
        return lambda image, hole: inpainter.inpaint(image, hole, options=options).image

    return scored(by_kind(cases, "object"), {str(t): loop(t) for t in ITERATIONS})


SECTIONS: dict[str, Callable[[list[Case], Path, Inpainter], Any]] = {
    "holes": holes,
    "sizes": sizes,
    "parts": parts,
    "upsampling": upsampling,
    "confidence": confidence,
    "lambdas": lambdas,
    "iterations": iterations,
}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.paper", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="tar with images/, masks/ and meta.jsonl")
    parser.add_argument("--runs", type=Path, required=True, help="folder of `training.compare --set paper`")
    parser.add_argument("--out", type=Path, required=True, help="JSON to write")
    parser.add_argument("--limit", type=int, default=60, help="first N images (default %(default)s)")
    options = parser.parse_args(argv)
    cases = load_cases(options.data, limit=options.limit)
    with Inpainter(DEFAULT_BUNDLE, backend="onnxruntime") as inpainter:
        trained = {run.name: read_run(run)[1] for run in sorted(options.runs.iterdir()) if run.is_dir()}
        record = environment(inpainter.bundle) | {"data": options.data.name, "images": len(cases), "runs": trained}
        for name, section in SECTIONS.items():
            record[name] = section(cases, options.runs, inpainter)
            write_record(options.out, record)
    return 0


if __name__ == "__main__":
    sys.exit(main())
