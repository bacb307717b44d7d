"""Short runs of equal length, each with one part changed: how the tables of the model card and of the paper's parts
are made.

``python -m training.compare --data FOLDER --out runs/compare --minutes 25``, of CPU time
``python -m training.compare --set paper --data FOLDER --out runs/paper --samples 6000``

A run that is finished is not trained again, so that names can be added one by one; one that was stopped goes on. Rows
are scored by ``benchmarks.recipes`` and ``benchmarks.paper``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

__all__ = ["PAPER", "RECIPES", "SETS", "main"]

# What makes the shipped network better, at equal time.
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
    "perceptual": ["--perceptual-weight", "0.5", "--perceptual-from", "1500"],
}

# What the paper compares, at an equal number of pictures: networks as they were before it, its parts one by one
# (Table 2), and lambda (Fig. 11).
BEFORE = ["--drawn", "0", "--holes", "classic", "--iterations", "1", "--confidence-weight", "0"]
ADVERSARIAL = ["--adversarial-weight", "0.01"]
PAPER: dict[str, list[str]] = {
    "realistic": ["--drawn", "0"],
    "confidence": ["--drawn", "0", "--holes", "classic"],
    "no-confidence": BEFORE,
    "gated-like": ["--preset", "gated-like", *BEFORE, *ADVERSARIAL],
    "global-local-like": ["--preset", "global-local-like", *BEFORE, *ADVERSARIAL],
}
FINISHED = Path(__file__).parent / "weights" / "campaign.safetensors"
LAMBDAS = (0.05, 0.07, 0.1, 0.13, 0.2)
PAPER |= {f"lambda-{v:g}": ["--confidence-only", "--drawn", "0", "--lambda", f"{v:g}"] for v in LAMBDAS}

SETS = {"recipes": RECIPES, "paper": PAPER}


def train(name: str, recipe: list[str], data: Path, out: Path, clock: list[str], threads: int) -> None:
    """One run in a process of its own; its log is ``out/name.log``."""
    stage = [] if "--stage" in recipe else ["--stage", "128:16:1.0"]
    command = [sys.executable, "-m", "training.train", "--data", str(data), "--out", str(out / name)]
    command += ["--workers", "0", *clock, *stage, *recipe]
    variables = os.environ | {"OMP_NUM_THREADS": str(threads), "OMP_WAIT_POLICY": "passive"}
    start = time.monotonic()
    with (out / f"{name}.log").open("w") as log:
        subprocess.run(command, check=True, stdout=log, stderr=subprocess.STDOUT, env=variables)
    print(f"{name}: {(time.monotonic() - start) / 60:.0f} minutes", flush=True)


def is_finished(run: Path) -> bool:
    """Whether a run was trained to its end: the last line of its log is the validation there."""
    log = run / "log.jsonl"
    last = json.loads(log.read_text().splitlines()[-1]) if log.exists() else {}
    return "best" in last and last["progress"] >= 1


def clock_of(recipe: list[str], options: argparse.Namespace) -> list[str]:
    """A decoder behind a finished network needs a quarter as many pictures; a discriminator joins halfway."""
    if options.samples is None:
        return ["--own-minutes", str(options.minutes)]
    if "--adversarial-weight" in recipe:
        return ["--samples", str(options.samples), "--adversarial-from", str(options.samples // 2)]
    if "--confidence-only" not in recipe:
        return ["--samples", str(options.samples)]
    return ["--milestone", str(FINISHED), "--samples", str(options.samples // 4), "--ema-decay", "0.99"]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m training.compare", description=__doc__)
    parser.add_argument("--set", choices=SETS, default="recipes", help="of runs (default %(default)s)")
    parser.add_argument("--data", type=Path, required=True, help="folder of the shards")
    parser.add_argument("--out", type=Path, required=True, help="folder; each run has one of its own in it")
    clock = parser.add_mutually_exclusive_group()
    clock.add_argument("--minutes", type=float, default=25, help="of CPU time each (default %(default)s)")
    clock.add_argument("--samples", type=int, help="pictures each, whatever the time")
    parser.add_argument("--at-once", type=int, default=os.cpu_count() or 1, help="runs side by side")
    parser.add_argument("--recipes", nargs="+", metavar="NAME", help="of the set; all of it by default")
    options = parser.parse_args(argv)
    runs = SETS[options.set]
    if unknown := set(options.recipes or ()) - runs.keys():
        parser.error(f"no recipe {', '.join(sorted(unknown))}; there are {', '.join(runs)}")
    options.out.mkdir(parents=True, exist_ok=True)
    threads = max(1, (os.cpu_count() or 1) // options.at_once)
    missing = [name for name in options.recipes or runs if not is_finished(options.out / name)]
    with ThreadPoolExecutor(options.at_once) as pool:
        trained = [
            pool.submit(train, name, runs[name], options.data, options.out, clock_of(runs[name], options), threads)
            for name in missing
        ]
        for run in trained:
            run.result()
    return 0


if __name__ == "__main__":
    sys.exit(main())
