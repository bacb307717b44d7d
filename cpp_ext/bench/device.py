"""The operators on a GPU with torch's memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cpp_ext.cases import MatchOperands, ReplaceOperands, SearchOperands
from cpp_ext.kernel_library import KernelLibrary, MatchSizes, ReplaceSizes, SearchSizes

__all__ = ["MatchCase", "ReplaceCase", "SearchCase"]

DEVICE = "cuda"


def _pointers(tensors: Sequence[Tensor]) -> list[int]:
    return [t.data_ptr() for t in tensors]


def _stream() -> int:
    return int(torch.cuda.current_stream().cuda_stream)


def _garbage(shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    """Bytes that are no result, so that one that is not written does not go unnoticed."""
    return torch.full(tuple(shape), -1, dtype=dtype, device=DEVICE)


def _garbage_like(array: NDArray[np.generic]) -> Tensor:
    return _garbage(array.shape, torch.from_numpy(array).dtype)


def _expect_success(status: int, sizes: SearchSizes | MatchSizes | ReplaceSizes) -> None:
    if status != 0:
        raise RuntimeError(f"the launch failed with CUDA error {status} (see cudaError_t) for {sizes}")


@dataclass(frozen=True)
class SearchCase:
    """Operands on the GPU with room for the result. Numbers and sizes are fixed, the contents may be changed."""

    kernels: KernelLibrary
    q: Tensor
    hole: Tensor
    weight: Tensor
    offset: Tensor
    share: Tensor
    workspace: Tensor
    scale: float

    @classmethod
    def of(cls, library: KernelLibrary, given: SearchOperands) -> SearchCase:
        q, hole, weight = (torch.from_numpy(a).to(DEVICE) for a in given.arrays)
        workspace = _garbage([library.search_workspace_bytes(given.sizes)], torch.int8)
        offset, share = (_garbage_like(a) for a in given.outputs)
        return cls(library, q, hole, weight, offset, share, workspace, given.scale)

    def copy(self) -> SearchCase:
        """The same in memory of its own."""
        return SearchCase(self.kernels, *(t.clone() for t in self._tensors), self.workspace.clone(), self.scale)

    @property
    def _tensors(self) -> tuple[Tensor, ...]:
        return self.q, self.hole, self.weight, self.offset, self.share

    @property
    def moved_bytes(self) -> int:
        return sum(t.nbytes for t in self._tensors)

    def enqueue(self) -> None:
        """Enqueues one call on torch's current stream.

        Raises:
            RuntimeError: the launch failed.
        """
        half = int(self.q.dtype == torch.float16)
        sizes = SearchSizes(*self.hole.shape, self.q.shape[2], self.share.shape[1], half)
        status = self.kernels.search(
            _pointers(self._tensors),
            sizes,
            scale=self.scale,
            workspace=self.workspace.data_ptr(),
            workspace_bytes=self.workspace.nbytes,
            stream=_stream(),
        )
        _expect_success(status, sizes)

    def result(self) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Waits and returns ``offset`` and ``share``."""
        torch.cuda.synchronize()
        return self.offset.cpu().numpy(), self.share.cpu().numpy()


@dataclass(frozen=True)
class MatchCase:
    """Operands on the GPU with room for the result. Steps and sizes are fixed, the contents may be changed."""

    kernels: KernelLibrary
    features: Tensor
    valid: Tensor
    offset: Tensor
    share: Tensor
    matched: Tensor
    cost: Tensor
    workspace: Tensor
    steps: tuple[int, ...]

    @classmethod
    def of(cls, library: KernelLibrary, given: MatchOperands) -> MatchCase:
        tensors = (torch.from_numpy(a).to(DEVICE) for a in given.arrays)
        workspace = _garbage([library.match_workspace_bytes(given.sizes)], torch.int8)
        return cls(library, *tensors, *(_garbage_like(a) for a in given.outputs), workspace, given.steps)

    def copy(self) -> MatchCase:
        """The same in memory of its own."""
        return MatchCase(self.kernels, *(t.clone() for t in self._tensors), self.workspace.clone(), self.steps)

    @property
    def _tensors(self) -> tuple[Tensor, ...]:
        return self.features, self.valid, self.offset, self.share, self.matched, self.cost

    @property
    def moved_bytes(self) -> int:
        return sum(t.nbytes for t in self._tensors)

    def enqueue(self) -> None:
        """Enqueues one call on torch's current stream.

        Raises:
            RuntimeError: the launch failed.
        """
        batch, _, rows, columns = self.share.shape
        sizes = MatchSizes(batch, self.features.shape[1], rows, columns, int(self.features.dtype == torch.float16))
        status = self.kernels.match(
            _pointers(self._tensors),
            sizes,
            steps=self.steps,
            workspace=self.workspace.data_ptr(),
            workspace_bytes=self.workspace.nbytes,
            stream=_stream(),
        )
        _expect_success(status, sizes)

    def result(self) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Waits and returns ``matched`` and ``cost``."""
        torch.cuda.synchronize()
        return self.matched.cpu().numpy(), self.cost.cpu().numpy()


@dataclass(frozen=True)
class ReplaceCase:
    """Operands on the GPU with room for the result. Sizes are fixed, the contents may be changed."""

    kernels: KernelLibrary
    detail: Tensor
    inside: Tensor
    offset: Tensor
    share: Tensor
    mixed: Tensor
    missing: Tensor

    @classmethod
    def of(cls, library: KernelLibrary, given: ReplaceOperands) -> ReplaceCase:
        return cls.from_tensors(library, *(torch.from_numpy(a).to(DEVICE) for a in given.arrays))

    @classmethod
    def from_tensors(
        cls, library: KernelLibrary, detail: Tensor, inside: Tensor, offset: Tensor, share: Tensor
    ) -> ReplaceCase:
        mixed, missing = _garbage(detail.shape, detail.dtype), _garbage(inside.shape, inside.dtype)
        return cls(library, detail, inside, offset, share, mixed, missing)

    def copy(self) -> ReplaceCase:
        """The same in memory of its own."""
        return ReplaceCase(self.kernels, *(t.clone() for t in self._tensors))

    @property
    def _tensors(self) -> tuple[Tensor, ...]:
        return self.detail, self.inside, self.offset, self.share, self.mixed, self.missing

    @property
    def moved_bytes(self) -> int:
        return sum(t.nbytes for t in self._tensors)

    def enqueue(self) -> None:
        """Enqueues one call on torch's current stream.

        Raises:
            RuntimeError: the launch failed.
        """
        _, best, rows, columns = self.share.shape
        sizes = ReplaceSizes(*self.detail.shape, rows, columns, best, int(self.detail.dtype == torch.float16))
        _expect_success(self.kernels.replace(_pointers(self._tensors), sizes, stream=_stream()), sizes)

    def result(self) -> tuple[NDArray[np.generic], NDArray[np.generic]]:
        """Waits and returns ``mixed`` and ``missing``."""
        torch.cuda.synchronize()
        return self.mixed.cpu().numpy(), self.missing.cpu().numpy()
