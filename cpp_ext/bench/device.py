"""Both operators on a GPU with torch's memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cpp_ext.cases import ReplaceOperands, SearchOperands
from cpp_ext.kernel_library import KernelLibrary, ReplaceSizes, SearchSizes

__all__ = ["ReplaceCase", "SearchCase"]

DEVICE = "cuda"


def _pointers(tensors: Sequence[Tensor]) -> list[int]:
    return [t.data_ptr() for t in tensors]


def _stream() -> int:
    return int(torch.cuda.current_stream().cuda_stream)


def _garbage(shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    """Bytes that are no result, so that one that is not written does not go unnoticed."""
    return torch.full(tuple(shape), -1, dtype=dtype, device=DEVICE)


def _expect_success(status: int, sizes: SearchSizes | ReplaceSizes) -> None:
    if status != 0:
        raise RuntimeError(f"the launch failed with CUDA error {status} (see cudaError_t) for {sizes}")


@dataclass(frozen=True)
class SearchCase:
    """Operands on the GPU with room for the result. Numbers and sizes are fixed, the contents may be changed."""

    kernels: KernelLibrary
    q: Tensor
    hole: Tensor
    weight: Tensor
    source: Tensor
    share: Tensor
    workspace: Tensor
    scale: float
    coherence: float
    sweeps: int

    @classmethod
    def of(cls, library: KernelLibrary, given: SearchOperands) -> SearchCase:
        q, hole, weight = (torch.from_numpy(a).to(DEVICE) for a in given.arrays)
        shape = given.outputs[0].shape
        workspace = _garbage([library.workspace_bytes(given.sizes)], torch.int8)
        source, share = _garbage(shape, torch.int32), _garbage(shape, torch.float32)
        return cls(library, q, hole, weight, source, share, workspace, given.scale, given.coherence, given.sweeps)

    def copy(self, *, sweeps: int | None = None) -> SearchCase:
        """The same in memory of its own."""
        tensors = (t.clone() for t in (self.q, self.hole, self.weight, self.source, self.share, self.workspace))
        return SearchCase(self.kernels, *tensors, self.scale, self.coherence, self.sweeps if sweeps is None else sweeps)

    @property
    def moved_bytes(self) -> int:
        return sum(t.nbytes for t in (self.q, self.hole, self.weight, self.source, self.share))

    def enqueue(self) -> None:
        """Enqueues one call on torch's current stream.

        Raises:
            RuntimeError: the launch failed.
        """
        half = int(self.q.dtype == torch.float16)
        sizes = SearchSizes(*self.hole.shape, self.q.shape[2], self.source.shape[1], half)
        status = self.kernels.search(
            _pointers((self.q, self.hole, self.weight, self.source, self.share)),
            sizes,
            scale=self.scale,
            coherence=self.coherence,
            sweeps=self.sweeps,
            workspace=self.workspace.data_ptr(),
            workspace_bytes=self.workspace.nbytes,
            stream=_stream(),
        )
        _expect_success(status, sizes)

    def result(self) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Waits and returns ``source`` and ``share``."""
        torch.cuda.synchronize()
        return self.source.cpu().numpy(), self.share.cpu().numpy()


@dataclass(frozen=True)
class ReplaceCase:
    """Operands on the GPU with room for the result. Sizes are fixed, the contents may be changed."""

    kernels: KernelLibrary
    detail: Tensor
    inside: Tensor
    source: Tensor
    share: Tensor
    mixed: Tensor
    missing: Tensor

    @classmethod
    def of(cls, library: KernelLibrary, given: ReplaceOperands) -> ReplaceCase:
        return cls.from_tensors(library, *(torch.from_numpy(a).to(DEVICE) for a in given.arrays))

    @classmethod
    def from_tensors(
        cls, library: KernelLibrary, detail: Tensor, inside: Tensor, source: Tensor, share: Tensor
    ) -> ReplaceCase:
        mixed, missing = _garbage(detail.shape, detail.dtype), _garbage(inside.shape, inside.dtype)
        return cls(library, detail, inside, source, share, mixed, missing)

    def copy(self) -> ReplaceCase:
        """The same in memory of its own."""
        return ReplaceCase(self.kernels, *(t.clone() for t in self._tensors))

    @property
    def _tensors(self) -> tuple[Tensor, ...]:
        return self.detail, self.inside, self.source, self.share, self.mixed, self.missing

    @property
    def moved_bytes(self) -> int:
        return sum(t.nbytes for t in self._tensors)

    def enqueue(self) -> None:
        """Enqueues one call on torch's current stream.

        Raises:
            RuntimeError: the launch failed.
        """
        _, best, rows, columns = self.source.shape
        sizes = ReplaceSizes(*self.detail.shape, rows, columns, best, int(self.detail.dtype == torch.float16))
        _expect_success(self.kernels.replace(_pointers(self._tensors), sizes, stream=_stream()), sizes)

    def result(self) -> tuple[NDArray[np.generic], NDArray[np.generic]]:
        """Waits and returns ``mixed`` and ``missing``."""
        torch.cuda.synchronize()
        return self.mixed.cpu().numpy(), self.missing.cpu().numpy()
