"""The sanitizers of g++ watch the kernels run, and report the faults that are planted to prove it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from cpp_ext.kernel_library import SANITIZE_SOURCES, build_host, host_compiler_works

pytestmark = pytest.mark.skipif(not host_compiler_works(), reason="needs g++ 12 or newer (13 on Arm)")

DONE = "all cases ran"


def run_under(sanitizer: str, folder: Path, *flags: str) -> subprocess.CompletedProcess[str]:
    program = build_host(folder / sanitizer, SANITIZE_SOURCES, f"-fsanitize={sanitizer}", *flags)
    # The thread sanitizer of g++ 12 does not start where the kernel scatters addresses more widely than it expects.
    fixed = ["setarch", "-R"]
    scattered = shutil.which("setarch") is None or subprocess.run([*fixed, "true"], capture_output=True).returncode
    command = [str(program)] if scattered else [*fixed, str(program)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("sanitizer", ["thread", "address", "undefined"])
def test_it_has_nothing_to_report(tmp_path: Path, sanitizer: str) -> None:
    done = run_under(sanitizer, tmp_path, "-fno-sanitize-recover=all")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip() == DONE


def test_a_missing_barrier_is_a_data_race(tmp_path: Path) -> None:
    done = run_under("thread", tmp_path, "-DIIC_PLANT_MISSING_BARRIER")
    assert done.returncode != 0
    assert "ThreadSanitizer: data race" in done.stderr
    assert "searchScalarKernel" in done.stderr


def test_one_step_too_many_is_an_overflow(tmp_path: Path) -> None:
    done = run_under("address", tmp_path, "-DIIC_PLANT_OFF_BY_ONE")
    assert done.returncode != 0
    assert "AddressSanitizer: heap-buffer-overflow" in done.stderr
    assert "searchScalarKernel" in done.stderr
