"""Runs the kernels under the host shim on numpy arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from cpp_ext.cases import Array, MatchOperands, ReplaceOperands, SearchOperands
from cpp_ext.kernel_library import KernelLibrary

INVALID_VALUE = 1  # cudaErrorInvalidValue


def aligned(array: Array) -> Array:
    """A copy on a 16-byte boundary."""
    memory = np.empty(array.nbytes + 16, np.uint8)
    start = -memory.ctypes.data % 16
    copy = memory[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def _outputs(given: SearchOperands | MatchOperands | ReplaceOperands, garbage: int) -> list[Array]:
    return [aligned(np.full(o.nbytes, garbage, np.uint8).view(o.dtype).reshape(o.shape)) for o in given.outputs]


def _pointers(arrays: Sequence[Array]) -> list[int]:
    return [a.ctypes.data for a in arrays]


def run_search(
    library: KernelLibrary, given: SearchOperands, *, garbage: int = 255
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """``offset`` and ``share``, with ``garbage`` in every byte of the workspace and of the outputs before."""
    offset, share = _outputs(given, garbage)
    size = library.search_workspace_bytes(given.sizes)
    assert size > 0
    workspace = aligned(np.full(size, garbage, np.uint8))
    arrays = [*map(aligned, given.arrays), offset, share]
    status = library.search(
        _pointers(arrays),
        given.sizes,
        scale=given.scale,
        workspace=workspace.ctypes.data,
        workspace_bytes=size,
    )
    assert status == 0
    return offset, share


def run_match(
    library: KernelLibrary, given: MatchOperands, *, garbage: int = 255
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """``matched`` and ``cost``, with ``garbage`` in every byte of the workspace and of the outputs before."""
    matched, cost = _outputs(given, garbage)
    size = library.match_workspace_bytes(given.sizes)
    assert size > 0
    workspace = aligned(np.full(size, garbage, np.uint8))
    arrays = [*map(aligned, given.arrays), matched, cost]
    status = library.match(
        _pointers(arrays), given.sizes, steps=given.steps, workspace=workspace.ctypes.data, workspace_bytes=size
    )
    assert status == 0
    return matched, cost


def run_replace(library: KernelLibrary, given: ReplaceOperands, *, garbage: int = 255) -> tuple[Array, Array]:
    """``mixed`` and ``missing``, with ``garbage`` in every byte of them before."""
    mixed, missing = _outputs(given, garbage)
    arrays = [*map(aligned, given.arrays), mixed, missing]
    assert library.replace(_pointers(arrays), given.sizes) == 0
    return mixed, missing
