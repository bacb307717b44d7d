"""The kernels on the GPU of this machine compute what the numpy specification says."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from cpp_ext.cases import check, make_operands
from cpp_ext.kernel_library import LIBRARY_SOURCES, SANITIZE_SOURCES, PatchReplaceLibrary, build_device

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(shutil.which("nvcc") is None, reason="needs nvcc, the CUDA toolkit's compiler"),
]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> PatchReplaceLibrary:
    return PatchReplaceLibrary(build_device(tmp_path_factory.mktemp("device") / "kernels.so", LIBRARY_SOURCES))


def test_every_case_of_the_measurement_equals_the_specification(library: PatchReplaceLibrary) -> None:
    from cpp_ext.bench.kernel_bench import CHECKED, check_all

    assert len(check_all(library)) == len(CHECKED) * 2 * 4


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_captured_call_follows_the_holes(library: PatchReplaceLibrary, dtype: str) -> None:
    import torch

    from cpp_ext.bench.device import DeviceCase

    first = make_operands((2, 500, 76, 96), dtype, holes=0.1)
    case = DeviceCase(library, first)
    case.enqueue()  # loads the kernels
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        case.enqueue()
    for holes in (0.1, 0.9, 0.0):
        given = make_operands((2, 500, 76, 96), dtype, holes=holes)
        for tensor, array in zip((case.q, case.k, case.v, case.hole, case.weight), given.arrays, strict=True):
            tensor.copy_(torch.from_numpy(array))
        graph.replay()
        check(given, *case.result())


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_two_runs_are_equal(library: PatchReplaceLibrary, dtype: str) -> None:
    from cpp_ext.bench.device import DeviceCase

    case = DeviceCase(library, make_operands((1, 4096, 76, 576), dtype, holes=0.05))
    results = []
    for _ in range(3):
        case.out.fill_(7)
        case.enqueue()
        results.append(case.result()[0])
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])


@pytest.mark.skipif(shutil.which("compute-sanitizer") is None, reason="needs compute-sanitizer of the CUDA toolkit")
@pytest.mark.parametrize("tool", ["memcheck", "racecheck", "initcheck", "synccheck"])
def test_compute_sanitizer_has_nothing_to_report(tmp_path: Path, tool: str) -> None:
    program = build_device(tmp_path / "sanitize", SANITIZE_SOURCES)
    command = ["compute-sanitizer", "--tool", tool, "--error-exitcode", "9", str(program)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "all cases ran" in done.stdout
