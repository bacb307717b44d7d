"""Draws the logs of a run and of those it began from: ``python -m training.plot runs/edge/log.jsonl --out log.png``."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot as plt

__all__ = ["main"]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m training.plot", description=__doc__)
    parser.add_argument("logs", type=Path, nargs="+", metavar="LOG", help="log.jsonl of a run, in their order")
    parser.add_argument("--out", type=Path, required=True, help="picture to write")
    options = parser.parse_args(argv)
    rows = [json.loads(line) for log in options.logs for line in log.read_text().splitlines()]
    figure, axes = plt.subplots(1, 4, figsize=(20, 4), constrained_layout=True)
    panels = (
        ("losses", ("l1_1", "l1_2", "confidence_1", "confidence_2", "hinge_1", "discriminator_1")),
        ("validation, hole PSNR in dB", ("psnr_t1", "psnr_t4", "psnr_sure", "psnr_unsure")),
        ("validation, perceptual distance", ("distance",)),
        ("share of the hole left", ("hole_left_1", "hole_left_2")),
    )
    for axis, (title, names) in zip(axes, panels, strict=True):
        for name in names:
            points = [(row["samples"] / 1e3, row[name]) for row in rows if name in row]
            if points:
                axis.plot(*zip(*points, strict=True), label=name, linewidth=1)
        axis.set(title=title, xlabel="thousands of images")
        axis.grid(alpha=0.3)
        axis.legend()
    figure.savefig(options.out, dpi=100)
    return 0


if __name__ == "__main__":
    sys.exit(main())
