"""The operator on a GPU with torch's memory, beside two torch versions of it."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from cpp_ext.cases import Operands
from cpp_ext.kernel_library import PatchReplaceLibrary

__all__ = ["DeviceCase", "milliseconds"]


class DeviceCase:
    """Operands on the GPU with room for the result. ``scale`` and sizes are fixed, the contents may be changed."""

    def __init__(self, library: PatchReplaceLibrary, given: Operands) -> None:
        self._library = library
        self._given = given
        self.q, self.k, self.v, self.hole, self.weight = (torch.from_numpy(a).cuda() for a in given.arrays)
        self.out = torch.full_like(self.v, float("nan"))
        self.replaced = torch.full_like(self.hole, float("nan"))
        size = library.workspace_bytes(given.sizes, half=given.half)
        self._workspace = torch.full((size,), 255, dtype=torch.uint8, device="cuda")

    def enqueue(self) -> None:
        """Enqueues one call on torch's current stream.

        Raises:
            RuntimeError: the launch failed.
        """
        tensors = (self.q, self.k, self.v, self.hole, self.weight, self.out, self.replaced)
        status = self._library.enqueue(
            [t.data_ptr() for t in tensors],
            self._given.sizes,
            scale=self._given.scale,
            half=self._given.half,
            workspace=self._workspace.data_ptr(),
            workspace_bytes=self._workspace.numel(),
            stream=torch.cuda.current_stream().cuda_stream,
        )
        if status != 0:
            raise RuntimeError(f"the launch failed with CUDA error {status} (see cudaError_t) for {self._given.sizes}")

    def result(self) -> tuple[NDArray[np.generic], NDArray[np.float32]]:
        """Waits and returns ``out`` and ``replaced``."""
        torch.cuda.synchronize()
        return self.out.cpu().numpy(), self.replaced.cpu().numpy()

    def unfused(self) -> Tensor:
        """One picture in plain torch, with the compaction that the kernel does too; waits for the host twice."""
        rows = (self.hole[0] > 0).nonzero()[:, 0]
        cols = (self.weight[0] > 0).nonzero()[:, 0]
        logits = (self.q[0, rows] @ self.k[0, cols].T).float() * self._given.scale + self.weight[0, cols].log()
        share = torch.softmax(logits, 1).to(self.v.dtype)
        out = self.v.clone()
        out[0, rows] = share @ self.v[0, cols]
        return out

    def attention(self) -> Callable[[], Tensor]:
        """torch's attention alone, on rows gathered beforehand and without the weights: less than the operator does.

        Only comparable where every weight above 0 is 1. The descriptor is padded to a multiple of 8, as its faster
        kernels ask.
        """
        rows = (self.hole[0] > 0).nonzero()[:, 0]
        cols = (self.weight[0] > 0).nonzero()[:, 0]
        pad = (0, -self.q.shape[2] % 8)
        q = torch.nn.functional.pad(self.q[:, rows], pad)[None].contiguous()
        k = torch.nn.functional.pad(self.k[:, cols], pad)[None].contiguous()
        v = self.v[:, cols][None].contiguous()
        scale = self._given.scale
        return lambda: torch.nn.functional.scaled_dot_product_attention(q, k, v, scale=scale)


def milliseconds(call: Callable[[], object], *, repeats: int, graph: bool) -> dict[str, float]:
    """Times ``call`` with CUDA events after a warm-up; ``graph``: as a replayed CUDA graph, without launch costs."""
    side = torch.cuda.Stream()
    with torch.cuda.stream(side):
        for _ in range(5):
            call()
    torch.cuda.synchronize()
    run: Callable[[], object] = call
    if graph:
        captured = torch.cuda.CUDAGraph()
        with torch.cuda.graph(captured):
            call()
        run = captured.replay
    for _ in range(5):
        run()
    marks = [(torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)) for _ in range(repeats)]
    for begin, end in marks:
        begin.record()
        run()
        end.record()
    torch.cuda.synchronize()
    times = np.array([begin.elapsed_time(end) for begin, end in marks])
    p10, p50, p90 = np.percentile(times, [10, 50, 90])
    return {"p10": float(p10), "p50": float(p50), "p90": float(p90)}
