"""Short runs of equal time, each with one part of the recipe changed: the table in the model card.

``python -m training.compare --data FOLDER --out runs/compare --minutes 25``

A run that is there already is not trained again, so that names can be added one by one. Rows are scored by
``benchmarks.recipes``.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

__all__ = ["RECIPES", "main"]

RECIPES: dict[str, list[str]] = {
    "nothing": ["--preset", "edge-plain", "--drawn", "0"],
    "prefill": ["--preset", "edge-no-attention", "--drawn", "0"],
    "attention": ["--preset", "edge-no-prefill", "--drawn", "0"],
    "drawn": ["--preset", "edge-plain"],
    "all": [],
    "all-seed-1": ["--seed", "1"],
    "no-prefill": ["--preset", "edge-no-prefill"],
    "no-attention": ["--preset", "edge-no-attention"],
    "no-drawn": ["--drawn", "0"],
    "small-first": ["--stage", "64:32:0.5", "--stage", "128:16:1.0"],
    "large-batch": ["--stage", "128:32:1.0"],
    "perceptual": ["--perceptual-weight", "0.5", "--perceptual-from", "3000"],
}


def train(name: str, data: Path, out: Path, minutes: float, threads: int) -> None:
    """One run in a process of its own; its log is ``out/name.log``."""
    options = RECIPES[name]
    stage = [] if "--stage" in options else ["--stage", "128:16:1.0"]
    command = [sys.executable, "-m", "training.train", "--data", str(data), "--out", str(out / name)]
    command += ["--minutes", str(minutes), "--workers", "0", *stage, *options]
    variables = os.environ | {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "passive"}
    start = time.monotonic()
    with (out / f"{name}.log").open("w") as log:
        subprocess.run(command, check=True, stdout=log, stderr=subprocess.STDOUT, env=variables)
    print(f"{name}: {(time.monotonic() - start) / 60:.0f} minutes", flush=True)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m training.compare", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the shards")
    parser.add_argument("--out", type=Path, required=True, help="folder; each run has one of its own in it")
    parser.add_argument("--minutes", type=float, default=25, help="of training each (default %(default)s)")
    parser.add_argument("--at-once", type=int, default=os.cpu_count() or 1, help="runs side by side")
    parser.add_argument("--recipes", nargs="+", choices=sorted(RECIPES), default=list(RECIPES), metavar="NAME")
    options = parser.parse_args(argv)
    options.out.mkdir(parents=True, exist_ok=True)
    threads = max(1, (os.cpu_count() or 1) // options.at_once)
    missing = [name for name in options.recipes if not (options.out / name / "best.safetensors").exists()]
    with ThreadPoolExecutor(options.at_once) as pool:
        runs = [pool.submit(train, name, options.data, options.out, options.minutes, threads) for name in missing]
        for run in runs:
            run.result()
    return 0


if __name__ == "__main__":
    sys.exit(main())
