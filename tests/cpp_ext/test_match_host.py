"""The match's kernel, compiled with g++ under the host shim, chooses what the numpy specification says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from cpp_ext.cases import MatchOperands, check_match, make_match_operands
from cpp_ext.kernel_library import (
    MOST_SWEEPS,
    KernelLibrary,
    MatchSizes,
    host_compiler_works,
)
from tests.cpp_ext.host_runs import INVALID_VALUE, aligned, run_match

pytestmark = pytest.mark.skipif(not host_compiler_works(), reason="needs g++ 12 or newer (13 on Arm)")

FLOAT16 = 1
TYPES = pytest.mark.parametrize("dtype", ["float32", "float16"])
# (batch, rows, columns), channels. Two lanes of a warp share a pixel and take every second channel.
SIZES = [((1, 1, 1), 1), ((2, 3, 5), 2), ((1, 4, 3), 3), ((1, 1, 7), 6), ((1, 5, 2), 7)]


@TYPES
@pytest.mark.parametrize("sizes", SIZES)
@pytest.mark.parametrize(("holes", "steps"), [(0.0, (1,)), (0.5, (1,)), (0.5, (2, 1)), (1.0, (3, 2, 1))])
def test_it_equals_the_specification(
    library: KernelLibrary,
    sizes: tuple[tuple[int, int, int], int],
    dtype: str,
    holes: float,
    steps: tuple[int, ...],
) -> None:
    given = make_match_operands(*sizes, dtype, holes=holes, steps=steps)
    check_match(given, *run_match(library, given))


@TYPES
def test_the_cases_above_take_offsets_of_every_kind(library: KernelLibrary, dtype: str) -> None:
    """Own ones, those of neighbours, moved ones, and own ones that lead out of the image."""
    given = make_match_operands((2, 3, 5), 2, dtype, holes=1.0, steps=(1,))
    matched, _ = run_match(library, given)
    kinds = set()
    for b, _, r, c in np.argwhere(given.share > 0):
        was, now = (o[b, 0, :, r, c] for o in (given.offset, matched))
        y, x = 4 * r + now[0], 4 * c + now[1]
        beyond = not (0 <= y <= 8 and 0 <= x <= 16)
        kinds.add("own" if (was == now).all() else "moved" if np.abs(was - now).max() == 1 else "of a neighbour")
        kinds.add("beyond" if beyond else "inside")
    assert kinds == {"own", "moved", "of a neighbour", "beyond", "inside"}


@TYPES
@pytest.mark.parametrize("holes", [0.3, 1.0])
def test_features_of_a_picture(library: KernelLibrary, dtype: str, holes: float) -> None:
    given = make_match_operands((1, 5, 6), 3, dtype, holes=holes, steps=(8, 4, 2, 1), exact=False)
    matched, cost = run_match(library, given)
    check_match(given, matched, cost)
    before = run_match(library, replace(given, valid=np.zeros_like(given.valid)))[1]
    assert cost.sum() < 0.8 * before.sum()  # the sweeps found better ones


@TYPES
@pytest.mark.parametrize("sweeps", [1, 2, MOST_SWEEPS])
def test_any_number_of_sweeps_ends_in_the_result(library: KernelLibrary, dtype: str, sweeps: int) -> None:
    """The offsets go to and fro between two memories."""
    given = make_match_operands((1, 3, 2), 2, dtype, holes=0.6, steps=(1,) * sweeps)
    check_match(given, *run_match(library, given))


@TYPES
@pytest.mark.parametrize("step", [5, 60, 2**31 - 1])
def test_steps_larger_than_the_image_leave_the_own_offset(library: KernelLibrary, dtype: str, step: int) -> None:
    given = make_match_operands((1, 3, 4), 2, dtype, holes=0.8, steps=(step,))
    matched, cost = run_match(library, given)
    check_match(given, matched, cost)
    if step > 5:  # five patches are beyond the grid, but five pixels are not
        np.testing.assert_array_equal(matched, given.offset)


@TYPES
def test_of_equal_costs_the_first_wins(library: KernelLibrary, dtype: str) -> None:
    """Features that are all alike: the own offset stays, whatever the neighbours have."""
    given = make_match_operands((1, 4, 5), 3, dtype, holes=1.0, valid=1.0)
    given.features[:] = 1
    matched, cost = run_match(library, given)
    np.testing.assert_array_equal(matched, given.offset)
    assert not cost.any()


@TYPES
def test_a_better_offset_spreads_over_the_hole(library: KernelLibrary, dtype: str) -> None:
    """One patch knows the only one that is right, and tells its neighbours, a patch a sweep."""
    given = make_match_operands((1, 1, 9), 3, dtype, holes=0.0, valid=1.0, steps=(1, 1))
    given.share[0, 0, 0, :4] = 1
    given.features[0, :, :, 16:] = 0
    given.features[0, :, :, 20:] = given.features[0, :, :, :16]
    given.offset[:] = 0
    given.offset[0, 0, 1, 0, :4] = 8, 8, 8, 20
    matched, cost = run_match(library, given)
    check_match(given, matched, cost)
    assert (matched[0, 0, 1, 0, 1:4] == 20).all()
    assert matched[0, 0, 1, 0, 0] != 20  # three patches away


@TYPES
def test_what_is_not_above_zero_is_no_hole_and_not_valid(library: KernelLibrary, dtype: str) -> None:
    given = make_match_operands((1, 3, 5), 2, dtype, holes=0.5)
    odd = replace(given, share=given.share.copy(), valid=given.valid.copy())
    odd.share[given.share == 0] = np.resize([-1, np.nan, -0.0], (given.share == 0).sum())
    odd.share[given.share > 0] = 0.25
    odd.valid[given.valid == 0] = np.resize([-1, np.nan, -0.0], (given.valid == 0).sum())
    for got, expected in zip(run_match(library, odd), run_match(library, given), strict=True):
        np.testing.assert_array_equal(got, expected)


@TYPES
def test_offsets_of_any_number_are_read_at_the_border(library: KernelLibrary, dtype: str) -> None:
    given = make_match_operands((1, 3, 4), 2, dtype, holes=0.7, steps=(2**31 - 1, 1))
    far = replace(given, offset=np.resize(np.int32([-(2**31), 2**31 - 1, 2**30, -1, 2**31 - 1]), given.offset.shape))
    check_match(far, *run_match(library, far))


@TYPES
def test_features_that_are_no_numbers_never_win(library: KernelLibrary, dtype: str) -> None:
    given = make_match_operands((1, 3, 4), 2, dtype, holes=0.5)
    given.features[:, :, :4] = np.nan
    with np.errstate(invalid="ignore"):
        check_match(given, *run_match(library, given))


@TYPES
def test_two_runs_are_equal_whatever_the_workspace_held(library: KernelLibrary, dtype: str) -> None:
    given = make_match_operands((2, 3, 4), 3, dtype, steps=(3, 2, 1), exact=False)
    for first, second in zip(run_match(library, given), run_match(library, given, garbage=0), strict=True):
        np.testing.assert_array_equal(first, second)


def small() -> MatchOperands:
    return make_match_operands((1, 1, 2), 1, "float32")


def test_wrong_arguments_are_refused(library: KernelLibrary) -> None:
    given = small()
    size = library.match_workspace_bytes(given.sizes)
    memory = [aligned(np.full(256, 7, np.uint8)) for _ in range(6)]
    workspace = aligned(np.zeros(size + 16, np.uint8))
    good = [m.ctypes.data for m in memory]

    def status(
        pointers: list[int],
        *,
        at: int = workspace.ctypes.data,
        room: int = size,
        steps: tuple[int, ...] = (1,),
        **sizes: int,
    ) -> int:
        changed = given.sizes
        for name, value in sizes.items():
            setattr(changed, name, value)
        return library.match(pointers, changed, steps=steps, workspace=at, workspace_bytes=room)

    for i in range(6):
        assert status([*good[:i], 0, *good[i + 1 :]]) == INVALID_VALUE
        assert status([*good[:i], good[i] + 4, *good[i + 1 :]]) == INVALID_VALUE
    assert status(good, at=0) == INVALID_VALUE
    assert status(good, at=workspace.ctypes.data + 4) == INVALID_VALUE
    assert status(good, room=size - 1) == INVALID_VALUE
    for steps in ((), (0,), (1, -1), (1,) * (MOST_SWEEPS + 1)):
        assert status(good, steps=steps) == INVALID_VALUE, steps
    for name in ("batch", "channels", "rows", "columns"):
        for bad in (0, -1):
            assert status(good, **{name: bad}) == INVALID_VALUE
    assert status(good, type=2) == INVALID_VALUE
    for m in memory:
        assert (m == 7).all()
    for m in memory[:4]:
        m[:] = 0
    assert status(good) == 0


def test_sizes_that_no_launch_can_number_are_refused(library: KernelLibrary) -> None:
    assert library.match_workspace_bytes(MatchSizes(2, 6, 64, 32, FLOAT16)) == 2 * 2 * 64 * 32 * 4
    for sizes in [(65536, 1, 1, 1), (1, 1, 1 << 14, 1 << 13)]:
        assert library.match_workspace_bytes(MatchSizes(*sizes, FLOAT16)) == 0
