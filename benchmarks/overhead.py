"""What a call costs: beside its graphs alone, the same networks in torch eager, and PyPatchMatch.

``python -m benchmarks.overhead --out benchmarks/results/x86-2-cores/overhead.json``

All contenders take turns in one process after a warm-up, so that a busy machine slows them alike; compare ratios, not
milliseconds. The torch contender needs the ``train`` extra and the released weights, PyPatchMatch the ``peers`` extra.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.methods import classical_methods
from benchmarks.record import environment, write_record
from benchmarks.timed import TimedBackend, timed_inpainter
from iic_rt import Inpainter, InpaintOptions
from iic_rt.loop import State
from iic_rt.paste import paste
from iic_rt.regions import crop, find_regions

__all__ = ["main", "measure"]

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


def sessions_alone(inpainter: Inpainter) -> Contender:
    """Milliseconds that the graphs alone take in a call of a timed inpainter: no runtime around them can be faster."""
    image, hole = scene()

    def run() -> float:
        TimedBackend.seconds.clear()
        inpainter.inpaint(image, hole)
        return 1e3 * sum(TimedBackend.seconds.values())

    return run


def torch_eager(inpainter: Inpainter, threads: int, iterations: int) -> Contender:
    """The same call with the networks in torch eager, FP32, channels last: crop to pasted picture."""
    import torch

    from training.model.step import Step
    from training.model.weights import load_generator, load_upsampler

    torch.set_num_threads(threads)
    step = Step(load_generator(WEIGHTS / "edge.safetensors")[0]).to(memory_format=torch.channels_last)
    upsampler = load_upsampler(WEIGHTS / "upsampler.safetensors")[0].to(memory_format=torch.channels_last)
    image, hole = scene()
    (region,) = find_regions(hole, working_size=inpainter.working_size, context=InpaintOptions().context)
    pixels = torch.from_numpy(np.ascontiguousarray(crop(image, region)))
    mask = torch.from_numpy(np.ascontiguousarray(crop(hole, region)))
    size = (inpainter.working_size, inpainter.working_size)

    @torch.inference_mode()
    def run() -> float:
        started = time.perf_counter()
        x = pixels.permute(2, 0, 1)[None].float() / 127.5 - 1
        full_m = mask[None, None].float()
        y = torch.nn.functional.interpolate(x, size, mode="area").contiguous(memory_format=torch.channels_last)
        m = first_m = torch.nn.functional.adaptive_max_pool2d(full_m, size)
        c = m
        for t in range(iterations):
            y, m, c = step(y, m, c, torch.full((1,), float(t == 0)))
        made = upsampler(x, full_m, y.clamp(-1, 1), first_m).image
        detail = (made[0] * 127.5 + 127.5).clamp(0, 255).round().to(torch.uint8).permute(1, 2, 0).numpy()
        state = State(y[0].numpy(), m[0, 0].numpy(), c[0, 0].numpy())
        confidence, left = np.ones(hole.shape, np.float32), np.zeros(hole.shape, np.uint8)
        feather = InpaintOptions().feather
        paste(image.copy(), confidence, left, hole, region, state, feather=feather, detail=detail)
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


def import_seconds(repeats: int) -> dict[str, float]:
    """Medians of a new process that imports the base packages, without and with ``iic_rt``, in turn."""
    codes = {"base": "import numpy, onnxruntime", "with_iic_rt": "import numpy, onnxruntime, iic_rt"}
    found: dict[str, list[float]] = {name: [] for name in codes}
    for _ in range(repeats):
        for name, code in codes.items():
            started = time.perf_counter()
            subprocess.run([sys.executable, "-c", code], check=True)
            found[name].append(time.perf_counter() - started)
    return {name: round(float(np.median(values)), 4) for name, values in found.items()}


def summary(values: list[float]) -> dict[str, float]:
    return {f"p{q}": round(float(np.percentile(values, q)), 2) for q in (50, 90, 99)}


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.overhead", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="JSON to write")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=40)
    parser.add_argument("--no-torch", action="store_true", help="leave the torch contender out")
    options = parser.parse_args(argv)
    image, hole = scene()
    settings = {"threads": options.threads, "options": InpaintOptions(iterations=ITERATIONS)}
    with Inpainter(backend="onnxruntime", **settings) as inpainter, timed_inpainter(**settings) as timed:
        iterations = inpainter.inpaint(image, hole).iterations
        contenders: dict[str, Contender] = {
            "iic_rt": lambda: inpainter.inpaint(image, hole),
            "sessions": sessions_alone(timed),
        }
        if "PyPatchMatch" in (methods := classical_methods()):
            contenders["patchmatch"] = lambda: methods["PyPatchMatch"](image, hole)
        if not options.no_torch:
            contenders["torch_eager"] = torch_eager(inpainter, options.threads, iterations)
        found = measure(contenders, repeats=options.repeats)
        ratios = {
            f"iic_rt / {name}": summary(list(np.array(found["iic_rt"]) / np.array(found[name])))
            for name in contenders
            if name != "iic_rt"
        }
        record: dict[str, Any] = environment(inpainter.bundle) | {
            "size": SIZE,
            "iterations": iterations,
            "threads": options.threads,
            "repeats": options.repeats,
            "ms": {name: summary(values) for name, values in found.items()},
            "ratios": ratios,
            "import_seconds": import_seconds(max(3, options.repeats // 4)),
        }
    write_record(options.out, record)
    for name, row in (record["ms"] | ratios).items():
        print(f"{name:<24}p50 {row['p50']:>8.2f}  p90 {row['p90']:>8.2f}  p99 {row['p99']:>8.2f}")
    seconds = record["import_seconds"]
    print(f"import iic_rt adds {seconds['with_iic_rt'] - seconds['base']:.3f} s to numpy and onnxruntime")
    return 0


if __name__ == "__main__":
    sys.exit(main())
