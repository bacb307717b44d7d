"""Builds the wheel of this checkout: the same files give the same bytes, in any folder, at any time and by anybody.

``python packaging/wheel.py dist`` needs ``build`` and ``setuptools``, whose version is written into the wheel: with
another one the bytes differ.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def build_wheel(folder: Path) -> Path:
    """Builds it from the files that git knows or does not ignore, and returns its path.

    Times in the wheel are that of the last commit. Files are read by everybody and written by their owner, whatever
    they are in the checkout, and those that a build left there play no part.
    """
    listing = ["git", "-C", str(ROOT), "ls-files", "-co", "--exclude-standard", "-z"]
    names = subprocess.run(listing, capture_output=True, text=True, check=True).stdout.split("\0")
    when = ["git", "-C", str(ROOT), "log", "-1", "--format=%ct"]
    epoch = subprocess.run(when, capture_output=True, text=True, check=True).stdout.strip()
    before = os.umask(0o022)
    try:
        with tempfile.TemporaryDirectory() as parent:
            source, built = Path(parent) / "source", Path(parent) / "built"
            for name in names:
                if (ROOT / name).is_file():
                    (source / name).parent.mkdir(parents=True, exist_ok=True)
                    (source / name).write_bytes((ROOT / name).read_bytes())
            command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(built), str(source)]
            environment = {**os.environ, "SOURCE_DATE_EPOCH": epoch}
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
            if done.returncode:
                sys.exit(done.stdout + done.stderr)
            (wheel,) = built.iterdir()
            folder.mkdir(parents=True, exist_ok=True)
            (folder / wheel.name).write_bytes(wheel.read_bytes())
            return folder / wheel.name
    finally:
        os.umask(before)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, nargs="?", default=Path("dist"), help="for the wheel (default dist)")
    print(build_wheel(parser.parse_args().folder))
    return 0


if __name__ == "__main__":
    sys.exit(main())
