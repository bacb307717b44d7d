"""nvcc builds the kernels for every device that the project names, into the machine code that they are meant to be."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from cpp_ext.resources import (
    LIBRARY,
    KernelResources,
    build_verbosely,
    count_instructions,
    find_disassembler,
    known_architectures,
    parse_ptxas,
)

KERNELS = {
    "compactKernel",
    "searchScalarKernel",
    "searchTensorKernel",
    "mergeKernel",
    "matchPatchesKernel",
    "copyPatchesKernel",
}
SHARED_BYTES = 48 * 1024  # what a kernel gets on every device without asking

needs_nvcc = pytest.mark.skipif(
    shutil.which("nvcc") is None or shutil.which("cmake") is None, reason="needs cmake and nvcc, the CUDA compiler"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("build")


@pytest.fixture(scope="module")
def log(folder: Path) -> str:
    return build_verbosely(folder)


@needs_nvcc
def test_every_kernel_is_built_for_every_device(log: str) -> None:
    built = {(found.kernel, found.arch) for found in parse_ptxas(log)}
    assert built == {(kernel, arch) for kernel in KERNELS for arch in known_architectures()}


@needs_nvcc
def test_all_is_in_registers_and_shared_memory_fits_everywhere(log: str) -> None:
    kernels = parse_ptxas(log)
    assert not [k for k in kernels if k.local_bytes > 0]
    assert 0 < max(k.shared_bytes for k in kernels) <= SHARED_BYTES


@needs_nvcc
def test_ptx_is_for_the_newest_device(log: str) -> None:
    assert set(re.findall(r"code=\[?compute_(\d+)", log)) == {str(max(known_architectures()))}


@needs_nvcc
@pytest.mark.parametrize("arch", [75, 87, 90])
def test_each_load_of_valid_patches_feeds_four_products(log: str, folder: Path, arch: int) -> None:
    tools = find_disassembler()
    if tools is None:
        pytest.skip("needs cuobjdump and nvdisasm: pip install nvidia-cuda-cuobjdump nvidia-cuda-nvdisasm")
    if arch not in known_architectures():
        pytest.skip(f"this nvcc does not build for sm_{arch}")
    counts = count_instructions(folder / LIBRARY, arch, tools)
    assert {kernel for kernel, _ in counts} == KERNELS
    assert not [name for name, count in counts.items() if count["LDL"] or count["STL"]]
    tensor = {instance: count for (kernel, instance), count in counts.items() if kernel == "searchTensorKernel"}
    assert len(tensor) == 4
    for instance, count in tensor.items():
        steps = 5 if "Li5" in instance else 8
        # 32 valid patches at a time: 2 loads a step, and as many once for the hole patches; sm_75 has half the depth.
        assert count["LDSM"] == 2 * steps + 2 * steps
        assert count["HMMA"] == 4 * 2 * steps * (2 if arch == 75 else 1)


def test_a_spill_would_be_seen() -> None:
    said = (
        "ptxas info    : Compiling entry function '_ZN3iic18searchTensorKernelILi5ELi1EEEvNS_18PatchE' for 'sm_75'\n"
        "ptxas info    : Function properties for _ZN3iic18searchTensorKernelILi5ELi1EEEvNS_18PatchE\n"
        "    16 bytes stack frame, 48 bytes spill stores, 32 bytes spill loads\n"
        "ptxas info    : Used 168 registers, used 1 barriers, 36864 bytes smem\n"
    )
    (found,) = parse_ptxas(said)
    assert found == KernelResources("searchTensorKernel", "Li5ELi1", 75, 168, 36864, 96)


def test_the_list_of_devices_is_that_of_cmake() -> None:
    from cpp_ext.resources import ARCHITECTURES, ROOT

    listed = re.search(r"foreach\(arch ([\d ]+)\)", (Path(ROOT) / "CMakeLists.txt").read_text())
    assert listed is not None
    assert tuple(map(int, listed[1].split())) == ARCHITECTURES
