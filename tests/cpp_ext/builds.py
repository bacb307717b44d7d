"""What several files of tests need of nvcc or g++: built once, by the first process that needs it."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

INSTALL = Path(__file__).parents[2] / "cpp_ext" / "plugin" / "install.sh"


def built_once(factory: pytest.TempPathFactory, name: str, build: Callable[[Path], object]) -> Path:
    """The folder that ``build`` has filled, which all processes of a run of the tests share."""
    shared = factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    folder = shared / name
    with FileLock(shared / f"{name}.lock"):
        if not folder.exists():
            unfinished = Path(tempfile.mkdtemp(dir=shared))
            build(unfinished)
            unfinished.rename(folder)
    return folder


def run(*command: str | Path, **variables: str) -> str:
    words = [str(part) for part in command]
    done = subprocess.run(words, env=os.environ | variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def tensorrt_headers() -> Path:
    """The folder of NVIDIA's headers in the wheel kernel-lens, which is never imported."""
    try:
        distribution = importlib.metadata.distribution("kernel-lens")
    except importlib.metadata.PackageNotFoundError:
        pytest.fail("TensorRT's headers are missing: pip install --no-deps kernel-lens==2.0.1 (`make test` does)")
    return Path(str(distribution.locate_file("kernel_lens/include/tensorrt")))


def build_plugin(folder: Path) -> None:
    """Installs the plugin in ``folder``, as PTX alone."""
    for tool in ("nvcc", "cmake"):
        if shutil.which(tool) is None:
            pytest.skip(f"{tool} is not on PATH")
    options = "75-virtual", "-DCMAKE_CXX_FLAGS=-Werror", f"-DTENSORRT_INCLUDE_DIR={tensorrt_headers()}"
    run(INSTALL, *options, IIC_RT_CACHE=str(folder))
