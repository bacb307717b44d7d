"""Checks and times the kernels on a GPU: ``python -m cpp_ext.bench.kernel_bench --out kernels.json``.

Needs torch with CUDA and nvcc. First the kernels are compared with the specification: one that is wrong is not timed.
Then search, match and replacement are timed apart, at the sizes of the runtime, beside plain torch versions, and set
against the roofline of peaks measured in the same run. The JSON file is written after every case.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from cpp_ext.bench.counts import Peaks, count_match, count_replace, count_search
from cpp_ext.bench.device import MatchCase, ReplaceCase, SearchCase
from cpp_ext.bench.timing import copies_needed, measure_peaks, milliseconds
from cpp_ext.bench.torch_peers import (
    match_all,
    match_gathered,
    replace_all,
    replace_gathered,
    search_all,
    search_gathered,
)
from cpp_ext.cases import (
    MatchOperands,
    SearchOperands,
    check_match,
    check_replace,
    check_search,
    make_match_operands,
    make_replace_operands,
    make_search_operands,
)
from cpp_ext.kernel_library import LIBRARY_SOURCES, KernelLibrary, build_device
from iic_rt.bench.environment import commit
from iic_rt.files import write_bytes
from iic_rt.patches import MATCH_STEPS, match_places
from iic_rt.reference.patch_match import PATCH

__all__ = ["CHECKED_MATCH", "CHECKED_REPLACE", "CHECKED_SEARCH", "check_all", "main", "run_steps"]

GRID, DESCRIPTOR, CHANNELS = (1, 64, 64), 76, 3  # of the upsampling network, and of detail
FEATURES = 6  # channels that are compared: the image, and the image blurred
PATCHES = GRID[1] * GRID[2]
HOLES = (0.01, 0.05, 0.15, 0.3, 0.6)
SIDES = (256, 384, 512, 896, 1024, 2048)  # of a region in pixels
TYPES = ("float16", "float32")
PEER_REPEATS = 5
# (batch, rows, columns), descriptor, best: around the borders of tiles and instances of the kernels.
CHECKED_SEARCH = [
    ((1, 1, 1), 1, 1),
    ((1, 3, 11), 3, 1),
    ((3, 10, 13), 16, 3),
    ((2, 8, 16), 80, 4),
    ((1, 5, 13), 81, 1),
    ((2, 16, 17), 128, 2),
    ((1, 15, 20), 129, 1),
    (GRID, DESCRIPTOR, 1),
    (GRID, DESCRIPTOR, 4),
]
# (batch, rows, columns), channels, steps. The specification takes a second for the last one.
CHECKED_MATCH = [
    ((1, 1, 1), 1, (1,)),
    ((3, 5, 7), 3, (2, 1)),
    ((1, 9, 12), FEATURES, MATCH_STEPS),
]
# (batch, rows, columns), channels, pixels of a patch, best.
CHECKED_REPLACE = [
    ((1, 1, 1), 1, 2, 1),
    ((3, 5, 3), 9, 3, 2),
    ((2, 3, 7), 17, 7, 4),
    ((1, 4, 4), CHANNELS, 16, 1),
    (GRID, CHANNELS, 2, 1),
]
CHECKED_HOLES = (0.0, 0.02, 0.3, 1.0)
LARGE_HOLES = (0.15,)  # of the runtime's grid, for which the specification takes a second


class Step(NamedTuple):
    """A measurement: the list of the record that its result goes to, what it is of, and how it is made."""

    into: str
    of: str
    run: Callable[[], dict[str, Any]]


def check_all(library: KernelLibrary) -> list[dict[str, Any]]:
    """Compares every case with the specification, and real descriptors at the scale of the release.

    Raises:
        AssertionError: one is wrong.
    """
    done: list[dict[str, Any]] = []
    for dtype in TYPES:
        for grid, descriptor, best in CHECKED_SEARCH:
            for holes in LARGE_HOLES if grid == GRID else CHECKED_HOLES:
                for exact in (True, False):
                    given = make_search_operands(grid, descriptor, dtype, holes=holes, best=best, exact=exact)
                    search = SearchCase.of(library, given)
                    search.enqueue()
                    error = check_search(given, *search.result())
                    done.append({"search": [*grid, descriptor, best], "type": dtype, "max_error": error})
        for grid, channels, steps in CHECKED_MATCH:
            for holes in CHECKED_HOLES:
                for exact in (True, False):
                    to_match = make_match_operands(grid, channels, dtype, holes=holes, steps=steps, exact=exact)
                    match = MatchCase.of(library, to_match)
                    match.enqueue()
                    error = check_match(to_match, *match.result())
                    done.append({"match": [*grid, channels, list(steps)], "type": dtype, "max_error": error})
        for grid, channels, p, best in CHECKED_REPLACE:
            for holes in LARGE_HOLES if grid == GRID else CHECKED_HOLES:
                operands = make_replace_operands(grid, channels, p, dtype, holes=holes, best=best)
                case = ReplaceCase.of(library, operands)
                case.enqueue()
                error = check_replace(operands, *case.result())
                done.append({"replace": [*grid, channels, p, best], "type": dtype, "max_error": error})
    return done


def image(holes: float, dtype: str) -> SearchOperands:
    """As in the runtime: one hole, descriptors of a smooth field, and each patch is a hole or valid with weight 1."""
    given = make_search_operands(GRID, DESCRIPTOR, dtype, exact=False)
    side = round(GRID[1] * holes**0.5)
    first = (GRID[1] - side) // 2
    given.hole[:] = 0
    given.hole[:, first : first + side, first : first + side] = 1
    given.weight[:] = 1 - given.hole
    return given


def time_search(library: KernelLibrary, holes: float, dtype: str, peaks: Peaks, repeats: int) -> dict[str, Any]:
    given = image(holes, dtype)
    case = SearchCase.of(library, given)
    copies = [case.copy() for _ in range(copies_needed(case.moved_bytes, cache_bytes()))]
    rows = int(given.hole.sum())
    work = count_search(PATCHES, DESCRIPTOR, rows=rows, valid=PATCHES - rows, best=given.best, half=dtype == "float16")
    options = {"best": given.best, "scale": given.scale}

    def peer(search: Callable[..., object]) -> list[Callable[[], object]]:
        return [lambda c=c: search(c.q[0], c.hole[0], c.weight[0], **options) for c in copies[:8]]

    kernel = milliseconds([copy.enqueue for copy in copies], repeats=repeats, graph=True)
    return {
        **{"type": dtype, "holes": holes, "rows": rows},
        **{"flops": work.flops, "bytes": work.bytes, "roofline_ms": work.roofline_ms(peaks)},
        "kernel_ms": kernel,
        "kernel_launched_ms": milliseconds([copy.enqueue for copy in copies], repeats=repeats, graph=False),
        "torch_graph_ms": milliseconds(peer(search_all), repeats=PEER_REPEATS, graph=True),
        "torch_ms": milliseconds(peer(search_gathered), repeats=PEER_REPEATS, graph=False),
    }


def places(holes: float, dtype: str, offset: torch.Tensor, share: torch.Tensor) -> MatchOperands:
    """As in the runtime: the hole of :func:`image` moves what the search found, to patches of known pixels."""
    given = make_match_operands(GRID, FEATURES, dtype, steps=MATCH_STEPS, exact=False)
    known = np.kron(1 - image(holes, dtype).hole[0], np.ones((PATCH, PATCH), np.uint8)).astype(np.uint8)
    valid = match_places(known, known.shape[0])[None]
    return replace(given, valid=valid, offset=offset.cpu().numpy(), share=share.cpu().numpy())


def time_match(library: KernelLibrary, holes: float, dtype: str, peaks: Peaks, repeats: int) -> dict[str, Any]:
    """The sweeps of the runtime over what the search found.

    Raises:
        AssertionError: the kernel and the torch version differ.
    """
    search = SearchCase.of(library, image(holes, dtype))
    search.enqueue()
    case = MatchCase.of(library, places(holes, dtype, search.offset, search.share))
    case.enqueue()

    def peer(match: Callable[..., Any], c: MatchCase) -> Any:
        return match(c.features[0], c.valid[0], c.offset[0, 0], c.share[0, 0], steps=MATCH_STEPS)

    # Where two costs are nearly equal the offsets may differ, and with them what follows; all in all it is the same.
    expected = peer(match_all, case)[1].sum()
    torch.testing.assert_close(case.cost.sum(), expected, rtol=1e-3, atol=1e-3)
    copies = [case.copy() for _ in range(copies_needed(case.moved_bytes, cache_bytes()))]
    count = int((case.share > 0).sum())
    work = count_match(PATCHES, FEATURES, holes=count, sweeps=len(MATCH_STEPS), half=dtype == "float16")

    def peers(match: Callable[..., object]) -> list[Callable[[], object]]:
        return [lambda c=c: peer(match, c) for c in copies[:8]]

    kernel = milliseconds([copy.enqueue for copy in copies], repeats=repeats, graph=True)
    return {
        **{"type": dtype, "holes": holes, "patches": count, "steps": list(MATCH_STEPS)},
        **{"flops": work.flops, "bytes": work.bytes, "roofline_ms": work.roofline_ms(peaks)},
        "kernel_ms": kernel,
        "kernel_launched_ms": milliseconds([copy.enqueue for copy in copies], repeats=repeats, graph=False),
        "torch_graph_ms": milliseconds(peers(match_all), repeats=PEER_REPEATS, graph=True),
        "torch_ms": milliseconds(peers(match_gathered), repeats=PEER_REPEATS, graph=False),
    }


def time_replace(
    library: KernelLibrary, side: int, holes: float, dtype: str, peaks: Peaks, repeats: int
) -> dict[str, Any]:
    """A map of ``side`` pixels whose hole copies what the search found.

    Raises:
        AssertionError: the kernel and the torch version differ.
    """
    search = SearchCase.of(library, image(holes, dtype))
    search.enqueue()
    p = side // GRID[1]
    torch_type = getattr(torch, dtype)
    inside = torch.kron(search.hole, torch.ones(1, p, p, device=search.hole.device))[:, None].to(torch_type)
    detail = torch.rand(1, CHANNELS, *inside.shape[2:], device=inside.device).to(torch_type)
    case = ReplaceCase.from_tensors(library, detail, inside, search.offset, search.share)
    case.enqueue()
    tolerance = 1e-3 if dtype == "float16" else 1e-5
    for got, expected in zip((case.mixed[0], case.missing[0, 0]), replace_all(*one_image(case)), strict=True):
        torch.testing.assert_close(got, expected, atol=tolerance, rtol=0)
    copies = [case.copy() for _ in range(copies_needed(case.moved_bytes, cache_bytes()))]
    count = int((inside > 0).sum())
    work = count_replace(inside.numel(), CHANNELS, inside=count, patches=PATCHES, best=1, half=dtype == "float16")

    def peer(replace: Callable[..., object]) -> list[Callable[[], object]]:
        return [lambda c=c: replace(*one_image(c)) for c in copies[:8]]

    kernel = milliseconds([copy.enqueue for copy in copies], repeats=repeats, graph=True)
    return {
        **{"type": dtype, "side": side, "holes": holes, "inside": count},
        **{"missing": int((case.missing > 0).sum()), "flops": work.flops, "bytes": work.bytes},
        "roofline_ms": work.roofline_ms(peaks),
        "kernel_ms": kernel,
        "kernel_launched_ms": milliseconds([copy.enqueue for copy in copies], repeats=repeats, graph=False),
        "torch_graph_ms": milliseconds(peer(replace_all), repeats=PEER_REPEATS, graph=True),
        "torch_ms": milliseconds(peer(replace_gathered), repeats=PEER_REPEATS, graph=False),
    }


def one_image(case: ReplaceCase) -> tuple[torch.Tensor, ...]:
    return case.detail[0], case.inside[0, 0], case.offset[0], case.share[0]


def cache_bytes() -> int:
    return int(torch.cuda.get_device_properties(0).L2_cache_size)


def run_steps(steps: Sequence[Step], record: dict[str, Any], save: Callable[[], None], *, deadline: float) -> None:
    """Runs the steps in order until ``deadline`` (of ``time.monotonic``) and saves after each; names those left out.

    What a step returns goes to the end of ``record[step.into]``.
    """
    left_out = record.setdefault("left_out", [])
    for step in steps:
        if time.monotonic() >= deadline:
            left_out.append(step.of)
            continue
        result = step.run()
        record.setdefault(step.into, []).append(result)
        save()
        numbers = {name: value["p50"] for name, value in result.items() if isinstance(value, dict)}
        times = ", ".join(f"{name.removesuffix('_ms')} {value:.4f}" for name, value in numbers.items())
        print(f"{step.of}: {times} ms; roofline {result.get('roofline_ms', 0):.4f}", flush=True)
    save()


def make_steps(library: KernelLibrary, peaks: dict[str, Peaks], repeats: int) -> list[Step]:
    """What tells most comes first: float16, which the runtime takes on a GPU but for the match, and smaller regions."""
    steps = []
    for dtype in TYPES:
        for holes in HOLES:
            steps.append(
                Step(
                    "search",
                    f"search {dtype} holes {holes:.0%}",
                    lambda a=(holes, dtype): time_search(library, *a, peaks[a[1]], repeats),
                )
            )
            steps.append(
                Step(
                    "match",
                    f"match {dtype} holes {holes:.0%}",
                    lambda a=(holes, dtype): time_match(library, *a, peaks[a[1]], repeats),
                )
            )
        for side in SIDES:
            for holes in HOLES:
                steps.append(
                    Step(
                        "replace",
                        f"replace {dtype} side {side} holes {holes:.0%}",
                        lambda a=(side, holes, dtype): time_replace(library, *a, peaks[a[2]], repeats),
                    )
                )
    return steps


def environment() -> dict[str, Any]:
    query = ["nvidia-smi", "--query-gpu=name,driver_version,clocks.max.sm,power.limit", "--format=csv,noheader"]
    nvcc = subprocess.run(["nvcc", "--version"], capture_output=True, text=True, check=True).stdout
    return {
        "device": torch.cuda.get_device_name(),
        "compute_capability": list(torch.cuda.get_device_capability()),
        "l2_bytes": cache_bytes(),
        "nvidia_smi": _output_or_unknown(query),
        "torch": torch.__version__,
        "torch_cuda": torch.version.cuda,
        "nvcc": nvcc.strip().splitlines()[-1],
        "commit": commit(),
    }


def _output_or_unknown(command: list[str]) -> str:
    """A Jetson may have no nvidia-smi."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "unknown"
    return done.stdout.strip() or "unknown"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m cpp_ext.bench.kernel_bench", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--repeats", type=int, default=30, help="timed runs through all copies (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=120, help="after these no case is begun (default %(default)s)")
    args = parser.parse_args()
    if not torch.cuda.is_available():
        parser.error("this torch sees no GPU; install one with CUDA on a machine that has a GPU")
    deadline = time.monotonic() + args.seconds
    torch.backends.cuda.matmul.allow_tf32 = False
    with tempfile.TemporaryDirectory() as folder:
        library = KernelLibrary(build_device(Path(folder) / "kernels.so", LIBRARY_SOURCES))
        record: dict[str, Any] = {"schema": 3, **environment(), "checked": check_all(library), "peaks": {}}

        def save() -> None:
            write_bytes(args.out, (json.dumps(record, indent=1) + "\n").encode())

        save()
        print(f"{len(record['checked'])} cases equal the specification")
        peaks = {dtype: measure_peaks(getattr(torch, dtype), args.repeats) for dtype in TYPES}
        for dtype, peak in peaks.items():
            record["peaks"][dtype] = {"flops": peak.flops, "bytes": peak.bytes}
            print(f"{dtype}: {peak.flops / 1e12:.1f} TFLOP/s, {peak.bytes / 1e9:.0f} GB/s")
        run_steps(make_steps(library, peaks, args.repeats), record, save, deadline=deadline)


if __name__ == "__main__":
    main()
