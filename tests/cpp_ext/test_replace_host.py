"""The replacement's kernel, compiled with g++ under the host shim, copies what the numpy specification says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cpp_ext.cases import check_replace, make_replace_operands
from cpp_ext.kernel_library import KernelLibrary, host_compiler_works
from tests.cpp_ext.host_runs import INVALID_VALUE, aligned, run_replace

pytestmark = pytest.mark.skipif(not host_compiler_works(), reason="needs g++ 12 or newer (13 on Arm)")

TYPES = pytest.mark.parametrize("dtype", ["float32", "float16"])
# (batch, rows, columns), channels, pixels of a patch. Threads take two pixels where the width is even, and 4 channels.
SIZES = [
    ((1, 1, 1), 1, 2),
    ((1, 1, 1), 3, 5),
    ((1, 4, 3), 16, 2),
    ((2, 3, 5), 8, 3),
    ((1, 3, 4), 9, 4),
    ((3, 2, 2), 2, 7),
    ((1, 2, 3), 17, 8),
    ((1, 2, 1), 1, 16),
]


@TYPES
@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize(("holes", "best"), [(0.0, 1), (0.3, 1), (0.6, 3), (1.0, 1)])
def test_it_equals_the_specification(
    library: KernelLibrary, sizes: tuple[tuple[int, int, int], int, int], dtype: str, holes: float, best: int
) -> None:
    given = make_replace_operands(*sizes, dtype, holes=holes, best=best)
    mixed, missing = run_replace(library, given)
    check_replace(given, mixed, missing)
    if holes == 1:  # all is unknown: nothing can be copied
        np.testing.assert_array_equal(missing, given.inside)


@TYPES
def test_the_cases_above_copy_and_miss_pixels(library: KernelLibrary, dtype: str) -> None:
    given = make_replace_operands(*SIZES[5], dtype, holes=0.3)
    _, missing = run_replace(library, given)
    assert 0 < missing.sum() < given.inside.sum()


@TYPES
def test_a_hole_patch_copies_the_patch_that_it_is_told(library: KernelLibrary, dtype: str) -> None:
    given = make_replace_operands((1, 4, 4), 3, 5, dtype, holes=0.0)
    given.inside[:] = 0
    given.inside[0, 0, 5:10, 5:10] = 1  # the patch of row 1 and column 1
    given.offset[:] = 8  # to the patch of row 3 and column 3
    given.share[:] = 1
    mixed, missing = run_replace(library, given)
    assert not missing.any()
    # Its middle, which is in nobody's margin: there its neighbours copy beyond the border, and so the nearest pixels.
    np.testing.assert_array_equal(mixed[0, :, 7, 7], given.detail[0, :, 17, 17])


@TYPES
def test_pixels_that_pass_keep_their_bits(library: KernelLibrary, dtype: str) -> None:
    given = make_replace_operands((1, 3, 4), 4, 4, dtype, holes=0.3)
    given.share[:] = 0  # nothing is copied: the hole passes as well
    bits = given.detail.view(np.uint16 if dtype == "float16" else np.uint32)
    bits[...] = np.resize([0x7E01, 0x8000, 0x0001, 0x7C00, 0xFC00], bits.shape)
    mixed, missing = run_replace(library, given)
    np.testing.assert_array_equal(mixed.view(bits.dtype), bits)
    np.testing.assert_array_equal(missing, given.inside)


@TYPES
def test_what_is_not_above_zero_is_outside(library: KernelLibrary, dtype: str) -> None:
    given = make_replace_operands((1, 3, 4), 4, 4, dtype, holes=0.3)
    given.detail[np.isnan(given.detail)] = 0.5
    odd = replace(given, inside=given.inside.copy())
    odd.inside[given.inside == 0] = np.resize([-1, np.nan, -0.0], (given.inside == 0).sum())
    for got, expected in zip(run_replace(library, odd), run_replace(library, given), strict=True):
        np.testing.assert_array_equal(got, expected)


@TYPES
@pytest.mark.parametrize("p", [2, 3, 5, 8])
def test_offsets_are_rounded_to_pixels(library: KernelLibrary, dtype: str, p: int) -> None:
    """One hole pixel in the middle of the map copies along its row, by every number of quarters that stays in it."""
    given = make_replace_operands((1, 1, 9), 1, p, dtype, holes=0.0)
    column = 4 * p + p // 2
    given.detail[0, 0] = np.arange(9 * p)
    given.inside[0, 0, 0, column] = 1
    given.share[:] = 1
    for quarters in (q for q in range(-13, 14) if q):
        given.offset[:, :, 0], given.offset[:, :, 1] = 0, quarters
        moved = int(np.floor((quarters * p + 2) / 4))
        mixed, missing = run_replace(library, given)
        check_replace(given, mixed, missing)
        if moved:
            assert mixed[0, 0, 0, column] == column + moved
        else:
            assert missing[0, 0, 0, column] == 1  # it would copy itself


@TYPES
def test_offsets_of_any_number_stay_in_the_map(library: KernelLibrary, dtype: str) -> None:
    given = make_replace_operands((1, 3, 4), 2, 4, dtype)
    wild = replace(given, offset=np.resize(np.int32([-(2**31), 2**31 - 1, -(2**29), 2**28]), given.offset.shape))
    near = replace(given, offset=np.clip(wild.offset, -16, 16))  # the whole map
    for got, expected in zip(run_replace(library, wild), run_replace(library, near), strict=True):
        np.testing.assert_array_equal(got, expected)


def test_wrong_arguments_are_refused(library: KernelLibrary) -> None:
    given = make_replace_operands((1, 2, 2), 1, 2, "float32")
    memory = [aligned(np.full(256, 7, np.uint8)) for _ in range(6)]
    good = [m.ctypes.data for m in memory]

    def status(pointers: list[int], **sizes: int) -> int:
        changed = given.sizes
        for name, value in sizes.items():
            setattr(changed, name, value)
        return library.replace(pointers, changed)

    for i in range(6):
        assert status([*good[:i], 0, *good[i + 1 :]]) == INVALID_VALUE
        assert status([*good[:i], good[i] + 4, *good[i + 1 :]]) == INVALID_VALUE
    for name in ("batch", "channels", "height", "width", "rows", "columns", "best"):
        for bad in (0, -1):
            assert status(good, **{name: bad}) == INVALID_VALUE
    for wrong in (
        {"type": 2},
        {"height": 5},
        {"height": 2, "width": 2},  # a pixel a patch
        {"height": 6},  # three pixels a patch against two
        {"rows": 1},
        {"batch": 65536},
        {"height": 1 << 16, "width": 1 << 16, "rows": 2, "columns": 2},
        {"best": 1 << 30},
    ):
        assert status(good, **wrong) == INVALID_VALUE, wrong
    for m in memory:
        assert (m == 7).all()
    for m in memory:
        m[:] = 0
    assert status(good) == 0
