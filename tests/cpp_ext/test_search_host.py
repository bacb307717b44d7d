"""The search kernels, compiled with g++ under the host shim, choose what the numpy specification says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cpp_ext.cases import SearchOperands, check_search, make_search_operands, sources_of
from cpp_ext.kernel_library import (
    KernelLibrary,
    SearchSizes,
    build_host,
    host_compiler_works,
)
from tests.cpp_ext.host_runs import INVALID_VALUE, aligned, run_search

pytestmark = pytest.mark.skipif(not host_compiler_works(), reason="needs g++ 12 or newer (13 on Arm)")

FLOAT32, FLOAT16 = 0, 1
# (batch, rows, columns), descriptor. The scalar kernel works under the shim in tiles of 8 hole patches, 8 valid ones
# and 3 descriptor entries; the tensor-core kernel, float16 up to a descriptor of 128, in 128, 64 and 16.
SCALAR = [((1, 1, 1), 1), ((1, 1, 7), 3), ((3, 5, 10), 16), ((2, 11, 3), 4), ((1, 8, 8), 6), ((1, 10, 12), 76)]
TENSOR = [((1, 1, 1), 1), ((1, 3, 11), 3), ((2, 7, 10), 16), ((1, 13, 20), 76), ((1, 8, 16), 80), ((1, 5, 13), 81)]
BOTH = [
    *[(*case, "float32") for case in SCALAR],
    *[(*case, "float16") for case in TENSOR],
    ((2, 5, 8), 130, "float16"),  # too long a descriptor for the tensor cores: the scalar kernel in float16
]
Case = tuple[tuple[int, int, int], int, str]
TYPES = pytest.mark.parametrize("dtype", ["float32", "float16"])


@pytest.mark.parametrize("case", BOTH)
@pytest.mark.parametrize("holes", [0.0, 0.3, 1.0])
def test_the_best_patch_is_that_of_the_specification(library: KernelLibrary, case: Case, holes: float) -> None:
    given = make_search_operands(*case, holes=holes)
    check_search(given, *run_search(library, given))


@pytest.mark.parametrize("case", [BOTH[4], BOTH[8], BOTH[11], BOTH[12]])
@pytest.mark.parametrize("best", [2, 3, 4])
def test_the_best_patches_are_those_of_the_specification(library: KernelLibrary, case: Case, best: int) -> None:
    given = make_search_operands(*case, best=best)
    check_search(given, *run_search(library, given))
    assert len(np.unique(run_search(library, given)[1])) > 3  # not all shares are 1, 0 or equal


@pytest.mark.parametrize("case", [((2, 9, 10), 76, "float32"), ((1, 12, 17), 76, "float16")])
@pytest.mark.parametrize("best", [1, 4])
def test_real_descriptors_at_the_scale_of_the_release(library: KernelLibrary, case: Case, best: int) -> None:
    given = make_search_operands(*case, best=best, exact=False)
    check_search(given, *run_search(library, given))


@pytest.mark.parametrize("case", [((2, 15, 20), 5, "float32"), ((2, 15, 20), 20, "float16")])
@pytest.mark.parametrize("best", [1, 4])
def test_a_small_hole_is_shared_between_blocks(library: KernelLibrary, case: Case, best: int) -> None:
    """All descriptors alike: across the blocks too, the lowest numbers are kept."""
    given = make_search_operands(*case, holes=0.01, valid=0.95, best=best)
    given.hole[:, 3, 5] = 1
    check_search(given, *run_search(library, given))
    given.q[...] = 1
    offset, share = run_search(library, given)
    check_search(given, offset, share)
    np.testing.assert_array_equal(sources_of(offset)[0, :, 3 * 20 + 5], np.flatnonzero(given.weight[0])[:best])


@TYPES
def test_an_image_without_a_valid_patch_stays_zero(library: KernelLibrary, dtype: str) -> None:
    given = make_search_operands((3, 5, 8), 4, dtype, holes=0.5)
    given.weight[1] = 0
    offset, share = run_search(library, given)
    check_search(given, offset, share)
    assert not offset[1].any()
    assert [bool(s.any()) for s in share] == [True, False, True]


@TYPES
@pytest.mark.parametrize("best", [1, 3])
@pytest.mark.parametrize("only", [0, 20, 39])
def test_the_only_valid_patch_is_chosen(library: KernelLibrary, dtype: str, best: int, only: int) -> None:
    given = make_search_operands((1, 5, 8), 5, dtype, holes=1.0, best=best)
    given.weight[:] = 0
    given.weight.reshape(-1)[only] = 1e-30
    offset, share = run_search(library, given)
    assert (sources_of(offset)[0, 0] == only).all()
    assert (share[0, 0] == 1).all()
    assert not offset[0, 1:].any()
    assert not share[0, 1:].any()


@TYPES
def test_weights_count_as_multiples(library: KernelLibrary, dtype: str) -> None:
    given = make_search_operands((1, 2, 17), 3, dtype, holes=1.0, best=2)
    given.q[...] = given.q[:, :1]  # all alike: only the weights tell them apart
    given.weight[:] = 0
    given.weight.reshape(-1)[[3, 33]] = 1, 3
    offset, share = run_search(library, given)
    assert (sources_of(offset)[0] == [[33], [3]]).all()
    np.testing.assert_allclose(share[0].reshape(2, -1), np.broadcast_to([[0.75], [0.25]], (2, 34)), atol=1e-6)


@TYPES
def test_what_is_not_above_zero_is_no_hole_and_not_valid(library: KernelLibrary, dtype: str) -> None:
    given = make_search_operands((1, 5, 8), 5, dtype, holes=0.5)
    odd = replace(given, hole=given.hole.copy(), weight=given.weight.copy())
    odd.hole[given.hole == 0] = np.resize([-1, np.nan, -0.0], (given.hole == 0).sum())
    odd.weight[given.weight == 0] = np.resize([-1, np.nan, -0.0], (given.weight == 0).sum())
    for got, expected in zip(run_search(library, odd), run_search(library, given), strict=True):
        np.testing.assert_array_equal(got, expected)


@TYPES
def test_descriptors_that_are_no_numbers_stay_in_range(library: KernelLibrary, dtype: str) -> None:
    given = make_search_operands((1, 5, 8), 5, dtype, holes=0.5)
    given.q[:, ::3] = np.nan
    offset, share = run_search(library, given)
    sources_of(offset)  # all of them are patches, or it raises
    assert np.isfinite(share).all()


@TYPES
@pytest.mark.parametrize("best", [1, 4])
def test_two_runs_are_equal_whatever_the_workspace_held(library: KernelLibrary, dtype: str, best: int) -> None:
    given = make_search_operands((1, 15, 20), 8, dtype, holes=0.05, best=best, exact=False)
    for first, second in zip(run_search(library, given), run_search(library, given, garbage=0), strict=True):
        np.testing.assert_array_equal(first, second)


def small() -> SearchOperands:
    return make_search_operands((1, 2, 4), 4, "float32")


def test_wrong_arguments_are_refused(library: KernelLibrary) -> None:
    given = small()
    size = library.search_workspace_bytes(given.sizes)
    memory = [aligned(np.full(256, 7, np.uint8)) for _ in range(5)]
    workspace = aligned(np.zeros(size + 16, np.uint8))
    good = [m.ctypes.data for m in memory]

    def status(pointers: list[int], *, at: int = workspace.ctypes.data, room: int = size, **sizes: int) -> int:
        changed = given.sizes
        for name, value in sizes.items():
            setattr(changed, name, value)
        return library.search(pointers, changed, scale=1.0, workspace=at, workspace_bytes=room)

    for i in range(5):
        assert status([*good[:i], 0, *good[i + 1 :]]) == INVALID_VALUE
        assert status([*good[:i], good[i] + 4, *good[i + 1 :]]) == INVALID_VALUE
    assert status(good, at=0) == INVALID_VALUE
    assert status(good, at=workspace.ctypes.data + 4) == INVALID_VALUE
    assert status(good, room=size - 1) == INVALID_VALUE
    for name in ("batch", "rows", "columns", "descriptor", "best"):
        for bad in (0, -1):
            assert status(good, **{name: bad}) == INVALID_VALUE
    for wrong in ({"best": 5}, {"best": 2, "rows": 1, "columns": 1}, {"type": 2}):
        assert status(good, room=1 << 20, **wrong) == INVALID_VALUE
    for m in memory:
        assert (m == 7).all()
    for m in memory[:3]:
        m[:] = 0
    assert status(good) == 0


def test_sizes_that_no_launch_can_number_are_refused(library: KernelLibrary) -> None:
    assert library.search_workspace_bytes(SearchSizes(1, 64, 64, 76, 1, FLOAT16)) > 0
    for sizes in [(65536, 1, 1, 1), (1, 1 << 10, 1 << 10, 1 << 12), (1, 1 << 15, 1 << 14, 1)]:
        assert library.search_workspace_bytes(SearchSizes(*sizes, 1, FLOAT16)) == 0


def test_the_workspace_stays_small_and_grows_with_every_size(library: KernelLibrary) -> None:
    # The N x N matrix of logits alone would be 64 MiB in float32.
    assert library.search_workspace_bytes(SearchSizes(1, 64, 64, 76, 1, FLOAT16)) < 1 << 20
    assert library.search_workspace_bytes(SearchSizes(1, 64, 64, 76, 4, FLOAT16)) < 3 << 20
    sizes = [1, 1, 1, 1, 1, FLOAT32]
    before = library.search_workspace_bytes(SearchSizes(*sizes))
    rng = np.random.default_rng(5)
    for _ in range(60):
        axis = int(rng.integers(6))
        sizes[axis] = {4: min(sizes[4] + 1, 4, sizes[1] * sizes[2]), 5: FLOAT16}.get(
            axis, sizes[axis] + sizes[axis] // 3 + 1
        )
        now = library.search_workspace_bytes(SearchSizes(*sizes))
        if now == 0:
            break
        assert now >= before
        before = now


def test_the_headers_stand_alone(tmp_path: Path) -> None:
    """A program that includes one needs nothing of the kernels' headers."""
    for operator in ("search", "match", "replace"):
        program = tmp_path / f"{operator}.cpp"
        program.write_text(
            f'#include "patch_{operator}.h"\nint main() {{ return iic::DataType::kFloat32 != iic::DataType{{}}; }}\n'
        )
        build_host(tmp_path / operator, [str(program)])
