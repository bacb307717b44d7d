"""The kernels, compiled with g++ under the host shim, compute what the numpy specification says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from cpp_ext.cases import Operands, check, make_operands
from cpp_ext.kernel_library import LIBRARY_SOURCES, PatchReplaceLibrary, build_host, host_compiler_works

pytestmark = pytest.mark.skipif(not host_compiler_works(), reason="needs g++ 12 or newer (13 on Arm)")

INVALID_VALUE = 1  # cudaErrorInvalidValue
# (batch, patches, descriptor, width). The scalar kernel works under the shim in tiles of 8 rows, 8 patches, 8 values
# and 3 descriptor entries; the tensor-core kernel, float16 up to a descriptor of 128, in 64, 32, 192 and 16.
SCALAR = [(1, 1, 1, 1), (1, 7, 3, 5), (3, 50, 16, 40), (2, 33, 4, 9), (1, 64, 6, 8), (1, 120, 76, 24)]
TENSOR = [(1, 1, 1, 1), (1, 33, 3, 5), (2, 70, 16, 40), (1, 130, 76, 200), (1, 64, 80, 192), (1, 65, 81, 400)]
BOTH = [
    *[(sizes, "float32") for sizes in SCALAR],
    *[(sizes, "float16") for sizes in TENSOR],
    ((2, 40, 130, 11), "float16"),  # too long a descriptor for the tensor cores: the scalar kernel in float16
]


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> PatchReplaceLibrary:
    return PatchReplaceLibrary(build_host(tmp_path_factory.mktemp("host") / "kernels.so", LIBRARY_SOURCES))


def aligned(array: NDArray[np.generic]) -> NDArray[np.generic]:
    """A copy on a 16-byte boundary."""
    memory = np.empty(array.nbytes + 16, np.uint8)
    start = -memory.ctypes.data % 16
    copy = memory[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def run(
    library: PatchReplaceLibrary, given: Operands, *, garbage: int = 255
) -> tuple[NDArray[np.generic], NDArray[np.float32]]:
    """Runs the kernels with ``garbage`` in every byte of the workspace and of the outputs."""
    out = aligned(np.full(given.v.nbytes, garbage, np.uint8).view(given.v.dtype).reshape(given.v.shape))
    told = aligned(np.full(given.hole.nbytes, garbage, np.uint8).view(np.float32).reshape(given.hole.shape))
    size = library.workspace_bytes(given.sizes, half=given.half)
    assert size > 0
    workspace = aligned(np.full(size, garbage, np.uint8))
    arrays = [*map(aligned, given.arrays), out, told]
    status = library.enqueue(
        [a.ctypes.data for a in arrays],
        given.sizes,
        scale=given.scale,
        half=given.half,
        workspace=workspace.ctypes.data,
        workspace_bytes=size,
    )
    assert status == 0
    return out, told


@pytest.mark.parametrize(("sizes", "dtype"), BOTH)
@pytest.mark.parametrize("holes", [0.0, 0.3, 1.0])
def test_it_equals_the_specification(
    library: PatchReplaceLibrary, sizes: tuple[int, int, int, int], dtype: str, holes: float
) -> None:
    given = make_operands(sizes, dtype, holes=holes)
    check(given, *run(library, given))


@pytest.mark.parametrize("sizes_dtype", [((2, 300, 5, 4), "float32"), ((2, 300, 20, 10), "float16")])
def test_a_small_hole_is_shared_between_blocks(
    library: PatchReplaceLibrary, sizes_dtype: tuple[tuple[int, int, int, int], str]
) -> None:
    given = make_operands(*sizes_dtype, holes=0.01, valid=0.95)
    given.hole[:, 5] = 1
    given.v[np.isnan(given.v)] = 0
    check(given, *run(library, given))


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_the_scale_of_the_release(library: PatchReplaceLibrary, dtype: str) -> None:
    given = make_operands((1, 96, 76, 16), dtype, scale=180.0)
    check(given, *run(library, given))


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_a_picture_without_a_valid_patch_passes(library: PatchReplaceLibrary, dtype: str) -> None:
    given = make_operands((3, 40, 4, 6), dtype, holes=0.5)
    given.weight[1] = 0
    given.v[np.isnan(given.v)] = 0
    out, told = run(library, given)
    check(given, out, told)
    assert not told[1].any()
    assert told[0].any()
    assert told[2].any()


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("only", [0, 20, 39])
def test_the_only_valid_patch_is_copied(library: PatchReplaceLibrary, dtype: str, only: int) -> None:
    given = make_operands((1, 40, 5, 10), dtype, holes=1.0)
    given.weight[:] = 0
    given.weight[0, only] = 1e-30
    given.v[0, only] = np.arange(10) / 16
    out, _ = run(library, given)
    np.testing.assert_array_equal(out[0], np.broadcast_to(given.v[0, only], (40, 10)))


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_weights_count_as_multiples(library: PatchReplaceLibrary, dtype: str) -> None:
    given = make_operands((1, 34, 3, 2), dtype, holes=1.0)
    given.k[...] = given.k[:, :1]  # all alike: only the weights tell them apart
    given.weight[:] = 0
    given.weight[0, [3, 33]] = 3, 1
    given.v[0, 3] = 1
    given.v[0, 33] = 0
    out, _ = run(library, given)
    np.testing.assert_allclose(out.astype(np.float32), 0.75, atol=1e-3 if given.half else 1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_what_is_not_above_zero_is_no_hole_and_not_valid(library: PatchReplaceLibrary, dtype: str) -> None:
    given = make_operands((1, 40, 5, 10), dtype, holes=0.5)
    odd = replace(given, hole=given.hole.copy(), weight=given.weight.copy())
    odd.hole[given.hole == 0] = np.resize([-1, np.nan, -0.0], (given.hole == 0).sum())
    odd.weight[given.weight == 0] = np.resize([-1, np.nan, -0.0], (given.weight == 0).sum())
    for got, expected in zip(run(library, odd), run(library, given), strict=True):
        np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_passing_rows_keep_their_bits(library: PatchReplaceLibrary, dtype: str) -> None:
    given = make_operands((1, 20, 2, 8), dtype, holes=0.5)
    bits = given.v.view(np.uint16 if given.half else np.uint32)
    bits[given.hole == 0] = np.resize([0x7E01, 0x8000, 0x0001, 0x7C00], bits[given.hole == 0].shape)
    given.weight[given.hole == 0] = 0
    given.weight[0, np.flatnonzero(given.hole[0])[0]] = 1
    given.v[0, np.flatnonzero(given.hole[0])[0]] = 0.5
    check(given, *run(library, given))


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_two_runs_are_equal_whatever_the_workspace_held(library: PatchReplaceLibrary, dtype: str) -> None:
    given = make_operands((1, 300, 8, 12), dtype, holes=0.05)
    for first, second in zip(run(library, given), run(library, given, garbage=0), strict=True):
        np.testing.assert_array_equal(first, second)


def test_wrong_arguments_are_refused(library: PatchReplaceLibrary) -> None:
    sizes = (1, 8, 4, 8)
    size = library.workspace_bytes(sizes, half=False)
    memory = [aligned(np.full(256, 7, np.uint8)) for _ in range(7)]
    room = aligned(np.zeros(size + 16, np.uint8))
    workspace = room.ctypes.data
    good = [m.ctypes.data for m in memory]

    def status(pointers: list[int], sizes: tuple[int, ...] = sizes, at: int = workspace, bytes_: int = size) -> int:
        return library.enqueue(pointers, sizes, scale=1.0, half=False, workspace=at, workspace_bytes=bytes_)

    for i in range(7):
        assert status([*good[:i], 0, *good[i + 1 :]]) == INVALID_VALUE
        assert status([*good[:i], good[i] + 4, *good[i + 1 :]]) == INVALID_VALUE
    assert status(good, at=0) == INVALID_VALUE
    assert status(good, at=workspace + 4) == INVALID_VALUE
    assert status(good, bytes_=size - 1) == INVALID_VALUE
    for i in range(4):
        for bad in (0, -1):
            assert status(good, (*sizes[:i], bad, *sizes[i + 1 :])) == INVALID_VALUE
    for m in memory:
        assert (m == 7).all()
    for m in memory[:5]:
        m[:] = 0
    assert status(good) == 0


def test_sizes_that_no_launch_can_number_are_refused(library: PatchReplaceLibrary) -> None:
    assert library.workspace_bytes((1, 4096, 76, 576), half=True) > 0
    for sizes in [(65536, 1, 1, 1), (1, 1 << 20, 1, 1 << 12), (1, 1 << 20, 1 << 12, 1), (1, 1, 1, 1 << 28)]:
        assert library.workspace_bytes(sizes, half=True) == 0
    assert library._workspace(1, 8, 4, 8, 2) == 0  # a type that does not exist


def test_the_workspace_stays_small(library: PatchReplaceLibrary) -> None:
    # The N x N matrix of shares alone would be 32 MiB in float16.
    assert library.workspace_bytes((1, 4096, 76, 576), half=True) < 12 << 20


def test_the_library_stands_alone(tmp_path: Path) -> None:
    # A program that includes the header needs nothing of the kernels' headers.
    program = tmp_path / "user.cpp"
    program.write_text(
        '#include "patch_replace.h"\nint main() { return iic::DataType::kFloat32 != iic::DataType{}; }\n'
    )
    build_host(tmp_path / "user", [str(program)])
