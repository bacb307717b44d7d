"""The call of :func:`benchmarks.contenders.scene` with the same networks in torch."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from benchmarks.contenders import scene
from iic_rt import Inpainter, InpaintOptions
from iic_rt.masks import Masks
from iic_rt.pipeline.regions import crop, find_regions
from training.model.step import Step
from training.model.weights import load_generator, load_upsampler

__all__ = ["TorchCall"]

WEIGHTS = Path(__file__).parents[1] / "training" / "weights"
WARM_UP = 3  # calls before a capture: torch compiles, chooses algorithms and takes memory in them


class TorchCall:
    """From the crop to the picture with the hole filled; a call gives its milliseconds.

    Args:
        inpainter: whose working size and region are taken.
        iterations: exactly so many.
        threads: of the CPU; None for torch's default.
        device: ``"cpu"`` or ``"cuda"``.
        precision: ``"fp32"``; ``"autocast"``, FP16 where torch thinks fit; ``"fp16"``, the same with weights in FP16.
        compiled: the networks go through ``torch.compile``.
        captured: all of a call but the copies to and from the host is one CUDA graph, the whole loop included.

    Attributes:
        picture: uint8 [H, W, 3], the last result.
    """

    def __init__(
        self,
        inpainter: Inpainter,
        iterations: int,
        *,
        threads: int | None = None,
        device: str = "cpu",
        precision: str = "fp32",
        compiled: bool = False,
        captured: bool = False,
    ) -> None:
        if threads is not None:
            torch.set_num_threads(threads)
        self._device, self._autocast = device, precision != "fp32"
        layout: dict[str, Any] = {"device": device, "memory_format": torch.channels_last}
        layout |= {"dtype": torch.float16} if precision == "fp16" else {}
        self._step: Callable[..., Any] = Step(load_generator(WEIGHTS / "edge.safetensors")[0]).to(**layout)
        self._upsampler: Callable[..., Any] = load_upsampler(WEIGHTS / "upsampler.safetensors")[0].to(**layout)
        if compiled:
            self._step, self._upsampler = (torch.compile(n, dynamic=False) for n in (self._step, self._upsampler))
        self._image, self._hole = scene()
        (self._region,) = find_regions(
            Masks(self._hole), working_size=inpainter.working_size, context=InpaintOptions().context
        )
        self._size = (inpainter.working_size, inpainter.working_size)
        self._first = [torch.full((1,), float(t == 0), device=device) for t in range(iterations)]
        side, pinned = self._region.side, device == "cuda"
        # Pinned memory on the host, and the same place on the device in every call.
        self._host = [
            torch.empty(shape, dtype=torch.uint8, pin_memory=pinned) for shape in ((side, side, 3), (side, side))
        ]
        self._given = [torch.zeros_like(tensor, device=device) for tensor in self._host]
        self._result = torch.empty_like(self._host[0])
        self._replay = self._capture() if captured else self._fill

    @torch.inference_mode()
    def __call__(self) -> float:
        started = time.perf_counter()
        for host, device, array in zip(self._host, self._given, (self._image, self._hole), strict=True):
            host.numpy()[:] = crop(array, self._region)
            device.copy_(host, non_blocking=True)
        self._result.copy_(self._replay(), non_blocking=True)
        if self._device == "cuda":
            torch.cuda.synchronize()
        self.picture: NDArray[np.uint8] = self._image.copy()
        box = self._region.box.slices
        inside = self._hole[box] > 0
        self.picture[box][inside] = self._result.numpy()[self._region.box_inside.slices][inside]
        return (time.perf_counter() - started) * 1e3

    def _fill(self) -> Tensor:
        """All of it on the device: uint8 [side, side, 3]."""
        pixels, hole = self._given
        full_m = hole[None, None].float()
        with torch.autocast(self._device, torch.float16, enabled=self._autocast):
            x = pixels.permute(2, 0, 1)[None].float() / 127.5 - 1
            y = F.interpolate(x, self._size, mode="area").contiguous(memory_format=torch.channels_last)
            m = first_m = F.adaptive_max_pool2d(full_m, self._size)
            c = m
            for flag in self._first:
                y, m, c = (t.float() for t in self._step(y, m, c, flag))
            made = self._upsampler(x, full_m, y.clamp(-1, 1), first_m).image
        return (made[0].float() * 127.5 + 127.5).clamp(0, 255).round().to(torch.uint8).permute(1, 2, 0).contiguous()

    @torch.inference_mode()
    def _capture(self) -> Callable[[], Tensor]:
        """:meth:`_fill` as one CUDA graph, whose result is the same tensor every time."""
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP):
                self._fill()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            result = self._fill()

        def replay() -> Tensor:
            graph.replay()
            return result

        return replay
