"""nvcc builds the kernels for every device that the project names, and none of them spills registers."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from cpp_ext.resources import KernelResources, build_verbosely, known_architectures, parse_ptxas

KERNELS = {"compactKernel", "attendScalarKernel", "attendTensorKernel", "finishKernel"}
SHARED_BYTES = 48 * 1024  # what a kernel gets on every device without asking

needs_nvcc = pytest.mark.skipif(
    shutil.which("nvcc") is None or shutil.which("cmake") is None, reason="needs cmake and nvcc, the CUDA compiler"
)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> str:
    return build_verbosely(tmp_path_factory.mktemp("build"))


@needs_nvcc
def test_every_kernel_is_built_for_every_device(log: str) -> None:
    built = {(found.kernel, found.arch) for found in parse_ptxas(log)}
    assert built == {(kernel, arch) for kernel in KERNELS for arch in known_architectures()}


@needs_nvcc
def test_nothing_spills_and_shared_memory_fits_everywhere(log: str) -> None:
    kernels = parse_ptxas(log)
    assert not [k for k in kernels if k.spill_bytes > 0]
    assert 0 < max(k.shared_bytes for k in kernels) <= SHARED_BYTES


@needs_nvcc
def test_ptx_is_for_the_newest_device(log: str) -> None:
    assert set(re.findall(r"code=\[?compute_(\d+)", log)) == {str(max(known_architectures()))}


def test_a_spill_would_be_seen() -> None:
    said = (
        "ptxas info    : Compiling entry function '_ZN3iic18attendTensorKernelILi5EEEvNS_18PatchE' for 'sm_75'\n"
        "ptxas info    : Function properties for _ZN3iic18attendTensorKernelILi5EEEvNS_18PatchE\n"
        "    16 bytes stack frame, 48 bytes spill stores, 32 bytes spill loads\n"
        "ptxas info    : Used 168 registers, used 1 barriers, 36864 bytes smem\n"
    )
    (found,) = parse_ptxas(said)
    assert found == KernelResources("attendTensorKernel", "Li5", 75, 168, 36864, 80)


def test_the_list_of_devices_is_that_of_cmake() -> None:
    from cpp_ext.resources import ARCHITECTURES, ROOT

    listed = re.search(r"foreach\(arch ([\d ]+)\)", (Path(ROOT) / "CMakeLists.txt").read_text())
    assert listed is not None
    assert tuple(map(int, listed[1].split())) == ARCHITECTURES
