"""A program of somebody else sees the types of the installed wheel, by mypy and by pyright."""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PROGRAM = ROOT / "tests" / "typed_program.py"
PYRIGHT = ROOT / ".venv" / "dev" / "npm" / "node_modules" / ".bin" / "pyright"
WRONG = """
import iic_rt
iic_rt.InpaintOptions(grow="some")
iic_rt.Inpainter(working_sise=64)
print(iic_rt.InpaintResult.imag)
"""


@pytest.fixture(scope="module")
def program(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the program and an environment that has the wheel, and its dependencies of the one here."""
    folder = tmp_path_factory.mktemp("elsewhere")
    venv.create(folder / "env", with_pip=False)
    (site,) = (folder / "env").rglob("site-packages")
    zipfile.ZipFile(wheel).extractall(site)
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    shutil.copy(PROGRAM, folder / "program.py")
    (folder / "wrong.py").write_text(WRONG)
    return folder


def mypy(folder: Path, name: str) -> subprocess.CompletedProcess[str]:
    python = folder / "env" / "bin" / "python"
    command = [sys.executable, "-m", "mypy", "--strict", "--python-executable", str(python), name]
    environment = {**os.environ, "MYPY_CACHE_DIR": str(ROOT / ".mypy_cache" / "program")}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_mypy(program: Path) -> None:
    done = mypy(program, "program.py")
    assert done.returncode == 0, done.stdout
    done = mypy(program, "wrong.py")
    assert done.stdout.count("error:") == 3, done.stdout


@pytest.mark.skipif(not PYRIGHT.exists(), reason="pyright is missing: npm installs it in `make test`")
def test_pyright(program: Path) -> None:
    settings = {"typeCheckingMode": "strict", "venvPath": str(program), "venv": "env", "include": ["*.py"]}
    (program / "pyrightconfig.json").write_text(json.dumps(settings))
    command = [str(PYRIGHT), "--outputjson"]
    done = subprocess.run(command, cwd=program, capture_output=True, text=True, check=False)
    errors = [found for found in json.loads(done.stdout)["generalDiagnostics"] if found["severity"] == "error"]
    assert {Path(found["file"]).name for found in errors} == {"wrong.py"}, errors
    assert len(errors) >= 3, errors


@pytest.mark.parametrize("module", ["iic_rt", "iic_rt.video", "iic_rt.result"])
def test_the_program_uses_every_public_name(module: str) -> None:
    text = PROGRAM.read_text()
    assert [name for name in importlib.import_module(module).__all__ if name not in text] == []
