"""How time and memory grow with the photograph, and patch replacement with the hole.

``python -m benchmarks.scaling --out benchmarks/results/x86-2-cores/scaling.json --plot docs/scaling.png``

Every size runs in a process of its own, so that its peak memory is its own. The picture is an example photo enlarged:
time and memory do not depend on what it shows.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from benchmarks.record import environment, write_record
from benchmarks.timed import TimedBackend, timed_inpainter
from iic_rt.bench.environment import peak_mib
from iic_rt.bundle.manifest import DEFAULT_BUNDLE, load_bundle
from iic_rt.bundle.shapes import DESCRIPTOR
from iic_rt.image_io import read_image
from iic_rt.patches import match_places, refine, replace_patches, search_patches
from iic_rt.resampling import BASE_REACH, PATCH

__all__ = ["in_new_process", "main", "measure_call", "measure_replace", "plot"]

PICTURE = Path(__file__).parents[1] / "examples" / "dune.jpg"
SIDES = (512, 768, 1024, 1536, 2048, 3072, 4096)
PHOTO = (3000, 4000)  # 12 megapixels
SHARES = (0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7)


def measure_call(height: int, width: int, share: float, *, repeats: int) -> dict[str, Any]:
    """Seconds of one call (median), of its graphs in the last one, and this process's peak memory.

    Args:
        height: of the picture in pixels.
        width: of the picture in pixels.
        share: of the picture that a box in its middle takes.
        repeats: calls after one that warms up.
    """
    image = cv2.resize(read_image(PICTURE), (width, height), interpolation=cv2.INTER_CUBIC)
    hole = np.zeros((height, width), np.uint8)
    rows, columns = (round(n * share**0.5 / 2) for n in (height, width))
    hole[height // 2 - rows : height // 2 + rows, width // 2 - columns : width // 2 + columns] = 1
    seconds = []
    with timed_inpainter() as inpainter:
        for _ in range(1 + repeats):
            TimedBackend.seconds.clear()
            started = time.perf_counter()
            result = inpainter.inpaint(image, hole)
            seconds.append(time.perf_counter() - started)
    t = result.timings
    return {
        "height": height,
        "width": width,
        "megapixels": round(height * width / 1e6, 2),
        "hole": share,
        "seconds": round(float(np.median(seconds[1:] or seconds)), 3),
        "upsample_seconds": round(t.upsample_ms / 1e3, 3),
        "loop_seconds": round((t.prepare_ms + sum(t.iterations_ms)) / 1e3, 3),
        "graphs": {name: round(value, 3) for name, value in TimedBackend.seconds.items()},
        "peak_mib": peak_mib(),
    }


def measure_replace(*, repeats: int) -> list[dict[str, float]]:
    """Milliseconds of ``search``, ``refine`` and ``replace`` at 512 x 512 for several shares of hole patches."""
    options = load_bundle(DEFAULT_BUNDLE).search
    rng = np.random.default_rng(0)
    groups, p = 64, 8
    q = rng.normal(size=(groups**2, DESCRIPTOR)).astype(np.float32)
    q /= np.linalg.norm(q, axis=1, keepdims=True)
    detail = rng.normal(size=(3, groups * p, groups * p)).astype(np.float32)
    low = rng.normal(size=(3, *2 * [groups * PATCH + 2 * BASE_REACH])).astype(np.float32)
    found: dict[float, list[float]] = defaultdict(list)
    for i in range(repeats + 1):
        for part in SHARES:
            hole = (np.arange(groups**2) < part * groups**2).astype(np.float32).reshape(groups, groups)
            inside, filled = (np.kron(hole, np.ones((side, side), np.float32)) for side in (p, PATCH))
            valid = match_places((filled == 0).astype(np.uint8), groups * PATCH)
            started = time.perf_counter()
            offset, share = search_patches(q, hole, 1 - hole, options)
            _, matched = refine(low, filled, valid, offset[0], share[0])
            replace_patches(detail, inside, matched[None], share)
            if i:
                found[part].append((time.perf_counter() - started) * 1e3)
    return [{"hole": part, "p50_ms": round(float(np.median(values)), 2)} for part, values in found.items()]


def in_new_process(height: int, width: int, share: float, repeats: int) -> dict[str, Any]:
    """:func:`measure_call` in a process of its own."""
    arguments = ["--one", str(height), str(width), str(share), "--repeats", str(repeats)]
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.scaling", *arguments], check=True, capture_output=True, text=True
    )
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def plot(record: dict[str, Any], path: Path) -> None:
    """Time over megapixels and patch replacement over the hole's share, side by side."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(10, 3.6), constrained_layout=True)
    rows = record["squares"]
    sizes = [row["megapixels"] for row in rows]
    left.plot(sizes, [row["seconds"] for row in rows], "o-", label="whole call")
    left.plot(sizes, [row["upsample_seconds"] for row in rows], "o-", label="guided upsampling")
    left.plot(sizes, [row["loop_seconds"] for row in rows], "o-", label="loop")
    left.set(xlabel="crop (megapixels)", ylabel="seconds", title="hole of a quarter, T = 4")
    left.legend()
    right.plot([100 * r["hole"] for r in record["replace"]], [r["p50_ms"] for r in record["replace"]], "o-")
    right.set(xlabel="hole patches (% of 4096)", ylabel="ms", title="replace graph at 512×512", ylim=(0, None))
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__)
    parser.add_argument("--out", type=Path, help="JSON to write")
    parser.add_argument("--plot", type=Path, help="picture to draw")
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--sides", type=int, nargs="+", default=SIDES)
    parser.add_argument("--one", nargs=3, metavar=("HEIGHT", "WIDTH", "HOLE"), help=argparse.SUPPRESS)
    options = parser.parse_args(argv)
    if options.one:
        height, width, share = int(options.one[0]), int(options.one[1]), float(options.one[2])
        print(json.dumps(measure_call(height, width, share, repeats=options.repeats)))
        return 0
    if options.out is None:
        parser.error("name the JSON to write with --out")
    squares = [in_new_process(side, side, 0.25, options.repeats) for side in options.sides]
    photos = [in_new_process(*PHOTO, share, options.repeats) for share in (0.02, 0.15, 0.6)]
    record = environment(load_bundle(DEFAULT_BUNDLE)) | {"squares": squares, "photos": photos}
    record["replace"] = measure_replace(repeats=5 * options.repeats)
    write_record(options.out, record)
    for row in squares + photos:
        print(
            f"{row['width']}x{row['height']} hole {100 * row['hole']:.0f} %: {row['seconds']:.2f} s, "
            f"peak {row['peak_mib']} MiB"
        )
    if options.plot:
        plot(record, options.plot)
    return 0


if __name__ == "__main__":
    sys.exit(main())
