"""The process that measures one case or pair: ``python -m iic_rt.bench.worker FOLDER``.

A process of its own gives every case its own peak of memory, and a backend that ends the process ends no other case.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import traceback
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from iic_rt.bench.cases import Case, Scene
from iic_rt.bench.check import Reference
from iic_rt.bench.measure import run_case, run_pair
from iic_rt.errors import IICError

__all__ = ["main", "measure", "measure_apart"]


def measure(job: Sequence[Case], scene: Scene, expected: Reference) -> dict[str, Any]:
    """The row of a case, or of a pair when there are two; a row with ``failed`` when it could not be measured."""
    asked = [asdict(case) for case in job]
    row: dict[str, Any] = {"asked": asked if len(job) == 2 else asked[0]}
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            found = run_pair(job, scene, expected) if len(job) == 2 else run_case(job[0], scene, expected)
    except IICError as error:
        return row | {"failed": str(error)}
    except Exception as error:  # whatever an engine raises is a result: this backend does not work
        traceback.print_exc()
        return row | {"failed": f"{type(error).__name__}: {error}"}
    return row | {"warnings": sorted({str(w.message) for w in caught})} | found


def measure_apart(job: Sequence[Case], scene: Scene, expected: Reference) -> dict[str, Any]:
    """:func:`measure` in a new process, whose end by a signal is a failure like any other."""
    with tempfile.TemporaryDirectory(prefix="iic-rt-bench-") as name:
        folder = Path(name)
        asked = [asdict(case) for case in job]
        (folder / "job.json").write_text(json.dumps(asked))
        np.savez(
            folder / "scene.npz",
            image=scene.image,
            hole=scene.hole,
            expected=expected.image,
            confidence=expected.confidence,
        )
        command = [sys.executable, "-m", "iic_rt.bench.worker", name]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        said = done.stdout.decode(errors="replace")
        sys.stderr.write(said)  # engines print what they have to say on either
        result = folder / "result.json"
        if done.returncode == 0 and result.exists():
            found: dict[str, Any] = json.loads(result.read_text())
            return found
        last = " / ".join(said.strip().splitlines()[-3:]) or "it said nothing"
        how = f"signal {-done.returncode}" if done.returncode < 0 else f"status {done.returncode}"
        return {"asked": asked if len(job) == 2 else asked[0], "failed": f"the process ended with {how}: {last}"}


def main(argv: Sequence[str] | None = None) -> int:
    """Measures the job in the folder and writes its ``result.json``."""
    (folder,) = map(Path, argv if argv is not None else sys.argv[1:])
    job = [Case(**asked) for asked in json.loads((folder / "job.json").read_text())]
    with np.load(folder / "scene.npz") as arrays:
        scene = Scene(arrays["image"], arrays["hole"])
        expected = Reference(arrays["expected"], arrays["confidence"])
    row = measure(job, scene, expected)
    (folder / "result.json").write_text(json.dumps(row, allow_nan=False))
    return 0


if __name__ == "__main__":
    sys.exit(main())
