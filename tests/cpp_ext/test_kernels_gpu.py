"""The kernels on the GPU of this machine compute what the numpy specification says."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from cpp_ext.cases import (
    SearchOperands,
    check_match,
    check_replace,
    check_search,
    make_match_operands,
    make_replace_operands,
    make_search_operands,
)
from cpp_ext.kernel_library import LIBRARY_SOURCES, KernelLibrary, build_device

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(shutil.which("nvcc") is None, reason="needs nvcc, the CUDA toolkit's compiler"),
]

TYPES = pytest.mark.parametrize("dtype", ["float32", "float16"])


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> KernelLibrary:
    return KernelLibrary(build_device(tmp_path_factory.mktemp("device") / "kernels.so", LIBRARY_SOURCES))


def test_every_case_of_the_measurement_equals_the_specification(library: KernelLibrary) -> None:
    from cpp_ext.bench.kernel_bench import CHECKED_MATCH, CHECKED_REPLACE, CHECKED_SEARCH, check_all

    cases = len(CHECKED_SEARCH) + len(CHECKED_MATCH) + len(CHECKED_REPLACE)
    assert len(check_all(library)) > 8 * cases  # holes, types, exact and not


@TYPES
@pytest.mark.parametrize("best", [1, 4])
def test_a_captured_search_follows_the_holes(library: KernelLibrary, dtype: str, best: int) -> None:
    import torch

    from cpp_ext.bench.device import SearchCase

    def operands(holes: float) -> SearchOperands:
        return make_search_operands((2, 20, 25), 76, dtype, holes=holes, best=best)

    case = SearchCase.of(library, operands(0.1))
    case.enqueue()  # loads the kernels
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        case.enqueue()
    for holes in (0.1, 0.9, 0.0):
        given = operands(holes)
        for tensor, array in zip((case.q, case.hole, case.weight), given.arrays, strict=True):
            tensor.copy_(torch.from_numpy(array))
        graph.replay()
        check_search(given, *case.result())


@TYPES
def test_a_captured_match_follows_the_holes(library: KernelLibrary, dtype: str) -> None:
    import torch

    from cpp_ext.bench.device import MatchCase

    case = MatchCase.of(library, make_match_operands((2, 6, 5), 6, dtype, steps=(8, 4, 2, 1)))
    case.enqueue()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        case.enqueue()
    for holes in (0.1, 0.9, 0.0):
        given = make_match_operands((2, 6, 5), 6, dtype, holes=holes, steps=(8, 4, 2, 1))
        for tensor, array in zip((case.features, case.valid, case.offset, case.share), given.arrays, strict=True):
            tensor.copy_(torch.from_numpy(array))
        graph.replay()
        check_match(given, *case.result())


@TYPES
def test_a_captured_replacement_follows_the_holes(library: KernelLibrary, dtype: str) -> None:
    import torch

    from cpp_ext.bench.device import ReplaceCase

    case = ReplaceCase.of(library, make_replace_operands((2, 6, 5), 16, 4, dtype))
    case.enqueue()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        case.enqueue()
    for holes in (0.1, 0.9, 0.0):
        given = make_replace_operands((2, 6, 5), 16, 4, dtype, holes=holes)
        tensors = case.detail, case.inside, case.offset, case.share
        for tensor, array in zip(tensors, given.arrays, strict=True):
            tensor.copy_(torch.from_numpy(array))
        graph.replay()
        check_replace(given, *case.result())


@TYPES
@pytest.mark.parametrize("best", [1, 4])
def test_two_searches_are_equal(library: KernelLibrary, dtype: str, best: int) -> None:
    from cpp_ext.bench.device import SearchCase

    given = make_search_operands((1, 64, 64), 76, dtype, holes=0.05, best=best, exact=False)
    case = SearchCase.of(library, given)
    results = []
    for _ in range(3):
        case.offset.fill_(7)
        case.share.fill_(7)
        case.enqueue()
        results.append(case.result())
    for other in results[1:]:
        for first, second in zip(results[0], other, strict=True):
            np.testing.assert_array_equal(first, second)
