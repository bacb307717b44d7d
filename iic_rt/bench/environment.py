"""What a result was measured on and with: without it a number is no result."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from iic_rt._version import __version__
from iic_rt.backends.registry import backend_versions
from iic_rt.bench.jetson import power_mode
from iic_rt.bench.nvml import gpu_facts
from iic_rt.bench.sensor import Absent, or_absent
from iic_rt.bundle.manifest import Bundle
from iic_rt.pool import usable_threads

__all__ = ["commit", "environment", "machine", "peak_mib", "processor"]

PACKAGE = Path(__file__).parents[1]


def environment(bundle: Bundle) -> dict[str, Any]:
    """Versions, processor, commit and the hashes of the weights."""
    return {
        "iic_rt": __version__,
        "commit": commit(),
        "bundle": {
            "name": bundle.name,
            "precision": bundle.precision,
            "weights_sha256": dict(bundle.weights_sha256),
        },
        "device": f"{processor()}, {os.cpu_count()} threads",
        "python": platform.python_version(),
        "numpy": np.__version__,
        "opencv": cv2.__version__,
    }


def machine(bundle: str) -> dict[str, Any]:
    """What else decides how fast this machine is; what it does not have is absent with the reason."""
    return {
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "backends": backend_versions(),
        "usable_threads": usable_threads(),
        "load_average": or_absent(_load_average),
        "governor": or_absent(_governor),
        "board": or_absent(_board),
        "power_mode": or_absent(power_mode),
        "gpu": or_absent(gpu_facts),
    }


def processor() -> str:
    """Name of the CPU."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def commit() -> str:
    """The checkout's commit, ``-dirty`` when it was changed; ``unknown`` for an installed package."""
    git = ["git", "-C", str(PACKAGE)]
    try:
        # An installed package may lie in somebody else's checkout, whose commit would be no answer.
        subprocess.run([*git, "ls-files", "--error-unmatch", "__init__.py"], capture_output=True, check=True)
        describe = [*git, "describe", "--always", "--dirty", "--abbrev=12"]
        return subprocess.run(describe, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def peak_mib() -> int:
    """Most memory this process has held, in MiB; from /proc, since ``getrusage`` counts the parent's before a fork."""
    status = Path("/proc/self/status")
    if status.exists():
        return (
            next(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM")) // 1024
        )
    import resource

    unit = 2**20 if sys.platform == "darwin" else 2**10  # bytes there, KiB elsewhere
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // unit


def _load_average() -> list[float]:
    try:
        return [round(value, 2) for value in os.getloadavg()]
    except (AttributeError, OSError) as error:
        raise Absent("this system has no load average") from error


def _governor() -> str:
    return _read(Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"))


def _board() -> str:
    return _read(Path("/proc/device-tree/model")).rstrip("\0")


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError as error:
        raise Absent(f"{path}: {error.strerror}") from error
