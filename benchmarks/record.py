"""What a result was measured on and with: without it a number is no result."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime

from iic_rt import __version__
from iic_rt.bundle import Bundle
from iic_rt.images import write_bytes

__all__ = ["environment", "write_record"]

SCHEMA = 1


def environment(bundle: Bundle) -> dict[str, Any]:
    """Versions, processor, commit and the hash of the weights (the model card in a bundle may quote the results)."""
    return {
        "schema": SCHEMA,
        "iic_rt": __version__,
        "commit": _commit(),
        "bundle": {
            "name": bundle.name,
            "precision": bundle.precision,
            "weights_sha256": bundle.weights_sha256,
        },
        "device": f"{_processor()}, {os.cpu_count()} threads",
        "python": platform.python_version(),
        "numpy": np.__version__,
        "opencv": cv2.__version__,
        "onnxruntime": onnxruntime.__version__,
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def _commit() -> str:
    git = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty", "--abbrev=12"]
    done = subprocess.run(git, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def write_record(path: Path, record: dict[str, Any]) -> None:
    """Writes a result as JSON, atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, (json.dumps(record, indent=1) + "\n").encode())
