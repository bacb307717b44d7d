"""Locks the development environment: the newest of everything that pyproject.toml allows, each with its hash.

``make lock`` writes the lock of the Python and the platform that it runs on. torch is not in it: its builds have one
version and several hashes, by where they are taken from.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NOT_LOCKED = {"iic-rt", "torch"}


def chosen(*arguments: str) -> dict[str, str]:
    """A line for each package that pip would install."""
    command = [sys.executable, "-m", "pip", "install", "--disable-pip-version-check", "--dry-run"]
    command += ["--ignore-installed", "--quiet", "--report", "-", *arguments]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    lines = {}
    for item in json.loads(done.stdout)["install"]:
        name, version = item["metadata"]["name"].lower().replace("_", "-"), item["metadata"]["version"]
        if name not in NOT_LOCKED:
            digest = item["download_info"]["archive_info"]["hashes"]["sha256"]
            lines[name] = f"{name}=={version} --hash=sha256:{digest}\n"
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("lock", type=Path)
    lock = parser.parse_args().lock
    lines = chosen(".[dev]") | chosen("--no-deps", "--requirement", "requirements/alone.txt")
    lock.write_text("# Written by `make lock`.\n" + "".join(lines[name] for name in sorted(lines)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
