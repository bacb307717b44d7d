"""The real bindings on a driver of our own making: how they look functions up and what they pass and bring back."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from iic_rt.cuda import driver

HERE = Path(__file__).parent
pytestmark = [
    pytest.mark.skipif(shutil.which("gcc") is None, reason="needs gcc"),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the stub takes the place of libcuda.so.1"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where libcuda.so.1 is the stub."""
    made = tmp_path_factory.mktemp("stub")
    command = ["gcc", "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-Wl,-soname,libcuda.so.1"]
    subprocess.run([*command, "-o", made / "libcuda.so.1", HERE / "stub_driver.c"], check=True)
    return made


def run(folder: Path) -> subprocess.CompletedProcess[str]:
    environ = os.environ | {"LD_LIBRARY_PATH": str(folder)}
    command = [sys.executable, "-m", "tests.cuda.stub_worker"]
    return subprocess.run(command, env=environ, cwd=HERE.parents[1], capture_output=True, text=True, check=False)


def test_the_driver_layer_through_the_real_bindings(folder: Path) -> None:
    done = run(folder)
    assert done.returncode == 0, done.stderr
    *lines, called = done.stdout.splitlines()
    device, memory, *graphs, mapped, large, capture, handle, inside, after = lines
    assert device == "Stub GPU 8.7 True 1048576 13.0"
    assert memory == f"memory {5 * 7 * 3 + 9 * 11 * 3}"
    assert graphs == ["graph 4.0"] * 3  # three pieces of work and the second event
    assert mapped == "mapped 1.5"
    for part in ("1024.0 MiB asked", "1.0 MiB free", "lower working_size"):
        assert part in large
    assert "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED" in capture
    assert "CUDA_ERROR_INVALID_HANDLE (another error)" in handle
    assert inside == "current 0 live True"
    assert after == "current 0 live 0"  # everything was given back
    used = set(re.findall(r"\b_?api\.(cu[A-Z]\w+)", Path(driver.__file__).read_text()))
    assert len(used) > 30
    assert used - set(called.split()) == {"cuInit"}  # by load_api, before anything is recorded


def test_a_library_that_is_no_driver(folder: Path, tmp_path: Path) -> None:
    """Such as a driver of long ago, which has no cuGetProcAddress."""
    (tmp_path / "empty.c").write_text("int nothing;\n")
    library = tmp_path / "libcuda.so.1"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, tmp_path / "empty.c"], check=True)
    done = run(tmp_path)
    assert done.returncode != 0
    assert "BackendError: the NVIDIA driver cannot be used" in done.stderr
