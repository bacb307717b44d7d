"""The wheel holds the runtime with its bundle and nothing else."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from iic_rt import __version__

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    source = tmp_path_factory.mktemp("source") / "checkout"  # a build leaves folders behind
    listing = ["git", "-C", str(ROOT), "ls-files", "-co", "--exclude-standard"]
    files = subprocess.run(listing, capture_output=True, text=True, check=True)
    for name in files.stdout.splitlines():
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    build = [sys.executable, "-m", "build", "--wheel", "--outdir", str(out), str(source)]
    subprocess.run(build, check=True, capture_output=True)
    return next(out.glob("*.whl"))


def test_contents(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.split("/")[0] for name in names} == {"iic_rt", f"iic_rt-{__version__}.dist-info"}
    for name in ("bundles/edge/step.onnx", "bundles/edge/manifest.json", "py.typed", "cli/main.py"):
        assert f"iic_rt/{name}" in names
    page = {str(p.relative_to(ROOT)) for p in (ROOT / "iic_rt/server/page").iterdir()}
    assert page
    assert page <= set(names)
    modules = {str(p.relative_to(ROOT)) for p in (ROOT / "iic_rt").rglob("*.py")}
    assert modules <= set(names)


def test_metadata(wheel: Path) -> None:
    text = zipfile.ZipFile(wheel).read(f"iic_rt-{__version__}.dist-info/METADATA").decode()
    assert "Name: iic-rt" in text
    base = [line for line in text.splitlines() if line.startswith("Requires-Dist") and "extra" not in line]
    assert {line.split()[1].split(">")[0] for line in base} == {"numpy", "onnxruntime", "opencv-python-headless"}
    assert "torch==2.13.0" in text
