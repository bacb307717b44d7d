"""nvcc builds the kernels for every device that the project names, and none of them spills registers."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMED = {75, 80, 86, 87, 89, 90, 100, 110, 120}
KERNELS = {"compactKernel", "attendScalarKernel", "attendTensorKernel", "finishKernel"}
SHARED_BYTES = 48 * 1024  # what a kernel gets on every device without asking
BLOCK = re.compile(
    r"Compiling entry function '\w*?(?P<kernel>compactKernel|attendScalarKernel|attendTensorKernel|finishKernel)\w*' "
    r"for 'sm_(?P<arch>\d+)'.*?(?P<stores>\d+) bytes spill stores, (?P<loads>\d+) bytes spill loads"
    r".*?Used (?P<registers>\d+) registers(?:[^\n]*?(?P<shared>\d+) bytes smem)?",
    re.DOTALL,
)

pytestmark = [
    pytest.mark.skipif(shutil.which("nvcc") is None, reason="needs nvcc, the CUDA toolkit's compiler"),
    pytest.mark.skipif(shutil.which("cmake") is None, reason="needs cmake"),
]


@pytest.fixture(scope="module")
def build_log(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the compilers say while CMake builds the library for every device."""
    folder = tmp_path_factory.mktemp("build")
    configure = ["cmake", "-S", str(ROOT / "cpp_ext"), "-B", str(folder), "-DCMAKE_BUILD_TYPE=Release"]
    subprocess.run([*configure, "-DCMAKE_CUDA_FLAGS=-Xptxas=-v"], check=True, capture_output=True)
    build = ["cmake", "--build", str(folder), "--target", "iic_patch_replace", "--verbose"]
    done = subprocess.run(build, check=True, capture_output=True, text=True)
    return done.stdout + done.stderr


@pytest.fixture(scope="module")
def report(build_log: str) -> list[re.Match[str]]:
    """What ptxas says of each kernel for each device."""
    return list(BLOCK.finditer(build_log))


def named_by_toolkit() -> set[int]:
    listed = subprocess.run(["nvcc", "--list-gpu-arch"], check=True, capture_output=True, text=True).stdout
    return NAMED & {int(arch) for arch in re.findall(r"compute_(\d+)", listed)}


def test_every_kernel_is_built_for_every_device(report: list[re.Match[str]]) -> None:
    built = {(found["kernel"], int(found["arch"])) for found in report}
    assert built >= {(kernel, arch) for kernel in KERNELS for arch in named_by_toolkit()}


def test_nothing_spills_and_shared_memory_fits_everywhere(report: list[re.Match[str]]) -> None:
    assert report
    spilling = [(r["kernel"], r["arch"]) for r in report if (r["stores"], r["loads"]) != ("0", "0")]
    assert not spilling
    attend = [int(r["shared"]) for r in report if r["kernel"].startswith("attend")]
    assert 0 < max(attend) <= SHARED_BYTES


def test_a_spill_would_be_seen() -> None:
    text = (
        "ptxas info    : Compiling entry function '_ZN3iic18attendTensorKernelILi5EEEvNS_' for 'sm_75'\n"
        "ptxas info    : Function properties for _ZN3iic18attendTensorKernelILi5EEEvNS_\n"
        "    16 bytes stack frame, 48 bytes spill stores, 32 bytes spill loads\n"
        "ptxas info    : Used 168 registers, used 1 barriers, 36864 bytes smem\n"
    )
    found = BLOCK.search(text)
    assert found is not None
    assert (found["kernel"], found["arch"], found["stores"], found["shared"]) == (
        "attendTensorKernel",
        "75",
        "48",
        "36864",
    )


def test_ptx_is_for_the_newest_device(build_log: str) -> None:
    assert set(re.findall(r"code=\[?compute_(\d+)", build_log)) == {str(max(named_by_toolkit()))}
