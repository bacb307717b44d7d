"""Scores the runs of ``training.compare``: the loop alone, T = 4 at 256 x 256, on pictures held out from training.

``python -m benchmarks.recipes --data FOLDER --runs runs/compare --out benchmarks/results/x86-2-cores/recipes.json``
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.metrics import hole_sharpness
from benchmarks.networks import fill, read_run, to_pixels
from benchmarks.perceptual import hole_mesh, perceptual_distance
from benchmarks.record import environment, write_record
from benchmarks.synthetic import line_score, make_lines
from iic_rt.bench.metrics import hole_psnr
from iic_rt.bundle.manifest import DEFAULT_BUNDLE, load_bundle
from training.compare import RECIPES
from training.data import Pictures, validation_plan
from training.masks import ObjectShapes
from training.model.network import Generator
from training.validate import batches

__all__ = ["main", "score"]

SIZE, COUNT, BATCH = 256, 128, 8


def score(generator: Generator, pictures: Pictures, shapes: ObjectShapes) -> dict[str, float]:
    """Mean scores on held-out photographs, and the share of drawn lines that go on where they belong."""
    scores: dict[str, list[float]] = defaultdict(list)
    plan = validation_plan(pictures, shapes, size=SIZE)
    for number, part in enumerate(batches(plan, BATCH)):
        if number * BATCH >= COUNT:
            break
        x, m = pictures.crops(part)
        once, last, _ = fill(generator, x, m)
        for truth, hole, first, image in zip(to_pixels(x), m[:, 0].numpy() > 0, once, last, strict=True):
            scores["psnr_t1"].append(hole_psnr(first, truth, hole))
            scores["psnr"].append(hole_psnr(image, truth, hole))
            scores["sharpness"].append(hole_sharpness(image, truth, hole))
            scores["distance_t1"].append(perceptual_distance(first, truth, hole))
            scores["distance"].append(perceptual_distance(image, truth, hole))
            for lag, value in (hole_mesh(image, hole) or {}).items():
                scores[f"mesh_{lag}"].append(value)
    for case in make_lines():
        x = torch.from_numpy(case.image).permute(2, 0, 1)[None].float() / 127.5 - 1
        image = fill(generator, x, torch.from_numpy(case.hole)[None, None].float())[1][0]
        scores["lines"].append(line_score(case, image))
    return {name: round(float(np.mean(values)), 4) for name, values in scores.items()}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recipes", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the shards")
    parser.add_argument("--runs", type=Path, required=True, help="the folder that `training.compare` wrote")
    parser.add_argument("--out", type=Path, required=True, help="JSON to write; rows that it has are kept")
    options = parser.parse_args(argv)
    rows: dict[str, Any] = json.loads(options.out.read_text())["recipes"] if options.out.exists() else {}
    pictures = Pictures(options.data, cache=options.runs.parent)
    shapes = ObjectShapes(options.data / "objects.npz")
    for name, arguments in RECIPES.items():
        # As `training.compare` tells the runs that are there.
        if (options.runs / name / "best.safetensors").exists() and name not in rows:
            generator, facts = read_run(options.runs / name)
            rows[name] = {"options": arguments} | facts | score(generator, pictures, shapes)
            print(name, rows[name], file=sys.stderr, flush=True)
            write_record(options.out, environment(load_bundle(DEFAULT_BUNDLE)) | {"recipes": rows})
    return 0


if __name__ == "__main__":
    sys.exit(main())
