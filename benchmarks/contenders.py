"""One call on one scene, by this project and by the same networks in torch, and how they take turns."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from iic_rt import Inpainter, InpaintOptions
from iic_rt.masks import Masks
from iic_rt.pipeline.regions import crop, find_regions

__all__ = ["ITERATIONS", "SIZE", "WEIGHTS", "Contender", "measure", "scene", "summary", "torch_call"]

SIZE, ITERATIONS = 512, 4
WEIGHTS = Path(__file__).parents[1] / "training" / "weights"
Contender = Callable[[], object]


def scene() -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A 512 x 512 picture of smooth patches and one round object of 15 % of it."""
    rng = np.random.default_rng(0)
    image = np.kron(rng.integers(0, 256, (16, 16, 3), np.uint8), np.ones((32, 32, 1), np.uint8))
    yy, xx = np.mgrid[:SIZE, :SIZE]
    hole = ((yy - 260) ** 2 + (xx - 240) ** 2 < 112**2).astype(np.uint8)
    return image, hole


def torch_call(
    inpainter: Inpainter, iterations: int, *, threads: int | None = None, device: str = "cpu", compiled: bool = False
) -> Contender:
    """The call of :func:`scene` with the networks in torch: crop to pasted picture. Its value is milliseconds.

    Args:
        inpainter: whose working size and region are taken.
        iterations: exactly so many.
        threads: of the CPU.
        device: ``"cpu"`` computes in FP32, ``"cuda"`` in FP16 (autocast).
        compiled: through ``torch.compile`` with CUDA graphs.
    """
    import torch

    from training.model.step import Step
    from training.model.weights import load_generator, load_upsampler

    if threads is not None:
        torch.set_num_threads(threads)
    layout = {"device": device, "memory_format": torch.channels_last}
    step: Callable[..., object] = Step(load_generator(WEIGHTS / "edge.safetensors")[0]).to(**layout)
    upsampler: Callable[..., object] = load_upsampler(WEIGHTS / "upsampler.safetensors")[0].to(**layout)
    if compiled:
        step, upsampler = (torch.compile(network, mode="reduce-overhead") for network in (step, upsampler))
    image, hole = scene()
    (region,) = find_regions(Masks(hole), working_size=inpainter.working_size, context=InpaintOptions().context)
    size = (inpainter.working_size, inpainter.working_size)
    first = [torch.full((1,), float(t == 0), device=device) for t in range(iterations)]

    @torch.inference_mode()
    def run() -> float:
        started = time.perf_counter()
        pixels = torch.from_numpy(np.ascontiguousarray(crop(image, region))).to(device)
        full_m = torch.from_numpy(np.ascontiguousarray(crop(hole, region))).to(device)[None, None].float()
        with torch.autocast(device, torch.float16, enabled=device == "cuda"):
            x = pixels.permute(2, 0, 1)[None].float() / 127.5 - 1
            y = torch.nn.functional.interpolate(x, size, mode="area").contiguous(memory_format=torch.channels_last)
            m = first_m = torch.nn.functional.adaptive_max_pool2d(full_m, size)
            c = m
            for flag in first:
                y, m, c = (t.float().clone() for t in step(y, m, c, flag))  # type: ignore[attr-defined]
            made = upsampler(x, full_m, y.clamp(-1, 1), first_m).image  # type: ignore[attr-defined]
            detail = (made[0] * 127.5 + 127.5).clamp(0, 255).round().to(torch.uint8).permute(1, 2, 0).cpu().numpy()
        filled, box = image.copy(), region.box.slices
        inside = hole[box] > 0
        filled[box][inside] = detail[region.box_inside.slices][inside]
        return (time.perf_counter() - started) * 1e3

    return run


def measure(contenders: dict[str, Contender], *, repeats: int) -> dict[str, list[float]]:
    """Milliseconds of each contender, one value a round; the order turns with every round."""
    for run in contenders.values():
        for _ in range(3):
            run()
    found: dict[str, list[float]] = {name: [] for name in contenders}
    names = list(contenders)
    for i in range(repeats):
        for name in names[i % len(names) :] + names[: i % len(names)]:
            started = time.perf_counter()
            own = contenders[name]()
            found[name].append(own if isinstance(own, float) else (time.perf_counter() - started) * 1e3)
    return found


def summary(values: list[float]) -> dict[str, float]:
    """Percentiles 50, 90 and 99, rounded."""
    return {f"p{q}": round(float(np.percentile(values, q)), 2) for q in (50, 90, 99)}
