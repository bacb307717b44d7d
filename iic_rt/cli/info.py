"""``iic-rt info``."""

from __future__ import annotations

import argparse
import platform
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from iic_rt._version import __version__
from iic_rt.backends.registry import backend_versions
from iic_rt.bundle.manifest import load_bundle
from iic_rt.cli.json_text import json_text
from iic_rt.errors import BundleError

__all__ = ["run_info"]


def collect(bundle_name: str) -> dict[str, Any]:
    """Versions, backends (version, or the reason why one is missing) and the bundle (or why it does not load)."""
    report: dict[str, Any] = {
        "iic_rt": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "opencv": cv2.__version__,
        "machine": f"{platform.system()} {platform.machine()}",
        "backends": backend_versions(),
    }
    try:
        bundle = load_bundle(bundle_name)
    except BundleError as error:
        return report | {"bundle": {"name": bundle_name, "error": str(error)}}
    facts = ("name", "preset", "working_size", "sha256", "card")
    described = {"folder": str(bundle.folder), "precisions": list(bundle.precisions)}
    return report | {"bundle": described | {fact: getattr(bundle, fact) for fact in facts}}


def run_info(arguments: argparse.Namespace) -> int:
    report = collect(arguments.bundle)
    bundle = report["bundle"]
    if arguments.json:
        print(json_text(report))
        return int("error" in bundle)
    for name in ("iic_rt", "python", "numpy", "opencv", "machine"):
        print(f"{name:<10}{report[name]}")
    print("\nbackends")
    for name, state in report["backends"].items():
        print(f"  {name:<14}{state['version'] if 'version' in state else 'missing: ' + state['missing']}")
    if "error" in bundle:
        print(f"\nbundle {bundle['name']}: {bundle['error']}")
        return 1
    precisions = " and ".join(bundle["precisions"])
    print(f"\nbundle {bundle['name']}  ({bundle['folder']}, {precisions}, sha256 {bundle['sha256'][:16]})")
    print(f"model card: {Path(bundle['folder']) / 'card.md'}")
    return 0
