"""Time and peak memory of whole calls against another commit, in turn on this machine.

``python -m benchmarks.against --commit f9233ad --out benchmarks/results/x86-2-cores/against.json``

Each case runs in a new process in a checkout of either commit, round by round, with the environment of this one. Other
work on the machine falls on both alike: compare the ratios.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.record import environment, write_record
from iic_rt.bundle.manifest import DEFAULT_BUNDLE, load_bundle

__all__ = ["CASES", "compare", "main"]

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "examples" / "dune.jpg"
CASES = {  # backend, height and width in pixels, share of the image that a box in its middle takes
    "512x512, onnxruntime": ("onnxruntime", 512, 512, 0.15),
    "512x512, openvino": ("openvino", 512, 512, 0.15),
    "12 MP, hole of 2 %": ("onnxruntime", 3000, 4000, 0.02),
    "12 MP, hole of 15 %": ("onnxruntime", 3000, 4000, 0.15),
    "12 MP, hole of 60 %": ("onnxruntime", 3000, 4000, 0.6),
}
# What both commits understand: the public class and two arrays.
CALL = """
import json, resource, sys, time
import cv2, numpy as np
from iic_rt import Inpainter
backend, picture, height, width, share, calls = sys.argv[1], sys.argv[2], *map(float, sys.argv[3:])
size = int(width), int(height)
image = cv2.resize(cv2.cvtColor(cv2.imread(picture), cv2.COLOR_BGR2RGB), size, interpolation=cv2.INTER_CUBIC)
mask = np.zeros(image.shape[:2], np.uint8)
rows, columns = (round(n * share**0.5 / 2) for n in mask.shape)
mask[size[1] // 2 - rows : size[1] // 2 + rows, size[0] // 2 - columns : size[0] // 2 + columns] = 1
seconds = []
with Inpainter(backend=backend) as inpainter:
    for _ in range(int(calls)):
        started = time.perf_counter()
        inpainter.inpaint(image, mask)
        seconds.append(time.perf_counter() - started)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"seconds": seconds[1:], "peak_mib": round(peak)}))
"""


def call(tree: Path, case: tuple[str, int, int, float], calls: int) -> dict[str, Any]:
    """Seconds of every call after the first, and peak memory, with the package in ``tree``."""
    backend, *numbers = case
    arguments = [backend, str(PICTURE), *map(str, numbers), str(calls)]
    environ = os.environ | {"PYTHONPATH": str(tree), "OMP_WAIT_POLICY": "passive"}
    command = [sys.executable, "-c", CALL, *arguments]
    done = subprocess.run(command, cwd=tree, env=environ, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]


def compare(trees: dict[str, Path], cases: dict[str, Any], *, rounds: int) -> dict[str, Any]:
    """For every case: median seconds and peak memory in each tree, and the ratios of the first tree to the last.

    Args:
        trees: checkouts by name, ours first.
        cases: of ``CASES``.
        rounds: processes of each tree, one after the other in turn.
    """
    found: dict[str, Any] = {}
    for name, case in cases.items():
        calls = 9 if case[1] < 1000 else 3
        runs: dict[str, list[dict[str, Any]]] = {tree: [] for tree in trees}
        for _ in range(rounds):
            for tree, path in trees.items():
                runs[tree].append(call(path, case, calls))
        medians = {tree: [float(np.median(run["seconds"])) for run in made] for tree, made in runs.items()}
        ours, theirs = medians.values()
        ratios = np.array(ours) / np.array(theirs)
        found[name] = {
            "seconds": {tree: round(float(np.median(values)), 3) for tree, values in medians.items()},
            "peak_mib": {tree: max(run["peak_mib"] for run in made) for tree, made in runs.items()},
            "ratio": {"p50": round(float(np.median(ratios)), 3), "least": round(float(ratios.min()), 3)}
            | {"most": round(float(ratios.max()), 3)},
        }
        print(name, found[name], flush=True)
    return found


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.against", description=__doc__)
    parser.add_argument("--commit", required=True, help="that this one is compared with")
    parser.add_argument("--out", type=Path, required=True, help="JSON to write")
    parser.add_argument("--rounds", type=int, default=3, help="processes of each commit (default %(default)s)")
    parser.add_argument("--only", nargs="+", choices=list(CASES), metavar="CASE", help=f"of: {'; '.join(CASES)}")
    options = parser.parse_args(argv)
    cases = {name: case for name, case in CASES.items() if not options.only or name in options.only}
    with tempfile.TemporaryDirectory() as folder:
        other = Path(folder) / "tree"
        add = ["git", "-C", str(ROOT), "worktree", "add", "--quiet", "--detach", str(other), options.commit]
        subprocess.run(add, check=True)
        try:
            found = compare({"this": ROOT, options.commit: other}, cases, rounds=options.rounds)
        finally:
            subprocess.run(["git", "-C", str(ROOT), "worktree", "remove", "--force", str(other)], check=True)
    facts = {"against": options.commit, "rounds": options.rounds, "cases": found}
    write_record(options.out, environment(load_bundle(DEFAULT_BUNDLE)) | facts)
    return 0


if __name__ == "__main__":
    sys.exit(main())
