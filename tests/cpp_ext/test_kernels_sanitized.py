"""Sanitizers watch the kernels run: those of g++, which report the faults that are planted to prove it, and on a GPU
compute-sanitizer."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from cpp_ext.kernel_library import SANITIZE_SOURCES, build_device, build_host, host_compiler_works

needs_host_compiler = pytest.mark.skipif(not host_compiler_works(), reason="needs g++ 12 or newer (13 on Arm)")

DONE = "all cases ran"


def run_under(sanitizer: str, folder: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    program = build_host(folder / sanitizer, SANITIZE_SOURCES, f"-fsanitize={sanitizer}", *flags)
    # The thread sanitizer of g++ 12 does not start where the kernel scatters addresses more widely than it expects.
    fixed = ["setarch", "-R"]
    scattered = shutil.which("setarch") is None or subprocess.run([*fixed, "true"], capture_output=True).returncode
    command = [str(program)] if scattered else [*fixed, str(program)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@needs_host_compiler
@pytest.mark.parametrize("sanitizer", ["thread", "address,undefined"])
def test_it_has_nothing_to_report(tmp_path: Path, sanitizer: str) -> None:
    done = run_under(sanitizer, tmp_path, "-fno-sanitize-recover=all")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip() == DONE


@needs_host_compiler
def test_a_missing_barrier_is_a_data_race(tmp_path: Path) -> None:
    done = run_under("thread", tmp_path, "-DIIC_PLANT_MISSING_BARRIER")
    assert done.returncode != 0
    assert "ThreadSanitizer: data race" in done.stderr
    assert "searchScalarKernel" in done.stderr


@needs_host_compiler
def test_one_step_too_many_is_an_overflow(tmp_path: Path) -> None:
    done = run_under("address", tmp_path, "-DIIC_PLANT_OFF_BY_ONE")
    assert done.returncode != 0
    assert "AddressSanitizer: heap-buffer-overflow" in done.stderr
    assert "searchScalarKernel" in done.stderr


@pytest.mark.gpu
@pytest.mark.skipif(shutil.which("nvcc") is None, reason="needs nvcc, the CUDA toolkit's compiler")
@pytest.mark.skipif(shutil.which("compute-sanitizer") is None, reason="needs compute-sanitizer of the CUDA toolkit")
@pytest.mark.parametrize("tool", ["memcheck", "racecheck", "initcheck", "synccheck"])
def test_compute_sanitizer_has_nothing_to_report(tmp_path: Path, tool: str) -> None:
    program = build_device(tmp_path / "sanitize", SANITIZE_SOURCES)
    command = ["compute-sanitizer", "--tool", tool, "--error-exitcode", "9", str(program)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert DONE in done.stdout
