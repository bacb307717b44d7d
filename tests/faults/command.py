"""The command on a small image, in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.kill.scenarios import FILL

__all__ = ["PYTHON", "ROOT", "ended_well", "ended_with_one_line", "one_image", "run"]

ROOT = Path(__file__).parents[2]
PYTHON = (sys.executable, "-m", "iic_rt")


def one_image(folder: Path, out: Path) -> list[str]:
    """Arguments that fill the first of :func:`tests.kill.scenarios.images`."""
    return ["remove", *FILL, f"{folder}/images/a.png", f"{folder}/masks/a.png", "-o", str(out)]


def run(arguments: Sequence[str], *before: str, **settings: Any) -> subprocess.CompletedProcess[str]:
    """Runs the command.

    Args:
        arguments: of it.
        before: what starts it, such as ``("nice",)``.
        settings: of :func:`subprocess.run`; ``env`` is added to the environment.
    """
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | settings.pop("env", {})
    return subprocess.run(
        [*before, *PYTHON, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        **{"cwd": ROOT} | settings,
    )


def ended_well(done: subprocess.CompletedProcess[str]) -> bool:
    return done.returncode == 0 and done.stderr == ""


def ended_with_one_line(done: subprocess.CompletedProcess[str]) -> bool:
    lines = done.stderr.splitlines()
    return done.returncode == 1 and len(lines) == 1 and lines[0].startswith("iic-rt: error: ")
