"""Memory that runs out: the command ends with one line and status 1, or it has been enough."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.faults.command import ROOT, ended_well, ended_with_one_line, one_image, run

LIMITS = (60, 150, 250, 400, 600, 4000)  # MiB of addresses
OPENBLAS = "OpenBLAS error: Memory allocation still failed after 10 retries, giving up."  # it ends the program itself


def test_any_limit(folder: Path, right: bytes, tmp_path: Path) -> None:
    def limited(mib: int) -> str:
        out = tmp_path / str(mib)
        out.mkdir()

        def limit() -> None:
            resource.setrlimit(resource.RLIMIT_AS, (mib << 20, mib << 20))

        done = run(one_image(folder, out / "o.png"), preexec_fn=limit, env={"OPENBLAS_NUM_THREADS": "1"})
        there = [path.read_bytes() for path in out.iterdir()]
        if ended_well(done) and there == [right]:
            return "done"
        is_told = ended_with_one_line(done) or (done.returncode, done.stderr.strip()) == (1, OPENBLAS)
        if is_told and there == []:
            return "failed"
        return f"{mib} MiB: {done.returncode}, {len(there)} files, {done.stderr[-1500:]}"

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        found = dict(zip(LIMITS, pool.map(limited, LIMITS), strict=True))
    assert found[LIMITS[0]] == "failed"
    assert found[LIMITS[-1]] == "done"
    assert set(found.values()) == {"failed", "done"}


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_an_inpainter_says_what_was_too_large_and_goes_on(backend: str) -> None:
    """Wherever it runs out: in numpy, in OpenCV, in the engine."""
    pytest.importorskip(backend)
    limits = ["1", "4", "8", "16", "2000"]  # MiB; one float32 copy of the image takes 17
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.little_memory", backend, *limits],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    said = "memory ran out while an image of 1200x1200 pixels was filled; give smaller images, fill fewer at once"
    found = json.loads(done.stdout)
    assert found.pop("2000") == "filled"
    assert list(found.values()) == [f"{said}, or close other programs"] * 4
