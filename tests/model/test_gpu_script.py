"""The command for a GPU, with a Python that only prints what it is asked for."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "training" / "gpu.sh"

pytestmark = pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ([], "--stage 256:32:1.0 --learning-rate 7e-4 --decay 0.5 --perceptual-weight 0.5"),
        (["--milestone", "edge.safetensors"], "--perceptual-weight 0.5 --milestone edge.safetensors"),
        (["--perceptual-from", "500000"], "--perceptual-weight 0.5 --perceptual-from 500000"),
        (["--upsampler", "edge.safetensors"], "--stage 256:64:1.0 --upsampler edge.safetensors"),
    ],
)
def test_paths_are_those_of_the_caller(tmp_path: Path, options: list[str], expected: str) -> None:
    python = tmp_path / "bin" / "python3"
    python.parent.mkdir()
    python.write_text('#!/bin/sh\necho "$PYTHONPATH $PWD $*"\n')
    python.chmod(0o755)
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    variables |= {"PATH": f"{python.parent}:{os.environ['PATH']}"}
    command = ["bash", str(SCRIPT), "data", "out", "5", *options]
    done = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, check=True)
    started = f"{SCRIPT.parents[1]} {tmp_path} -m training.train --data data --out out --minutes 5 "
    assert done.stdout.startswith(started)
    assert expected in done.stdout


@pytest.mark.skipif(not shutil.which("timeout"), reason="needs timeout")
def test_the_training_hears_that_its_time_is_up(tmp_path: Path) -> None:
    python = tmp_path / "python3"
    python.write_text('#!/bin/bash\ntrap "echo saved; exit 0" TERM\nwhile true; do sleep 0.1; done\n')
    python.chmod(0o755)
    variables = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    command = ["timeout", "--preserve-status", "1", "bash", str(SCRIPT), "data", "out", "5"]
    done = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "saved\n")
