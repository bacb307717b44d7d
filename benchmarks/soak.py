"""Whether one inpainter serves for months: memory, open files, threads and times over images of all kinds.

``python -m benchmarks.soak --frames 100000 --backend onnxruntime`` fills images of changing sizes, channels, masks and
options, wrong ones among them, with one inpainter, which has met regions of every kind before. After every 1000 a line
of JSON goes to ``--out``; what was stopped goes on there. At the end, and when it is stopped, it prints a summary of
all lines. The exit status is 1 where memory grew by more than 16 MiB after the warm-up, a file or a thread was left
over, a known pixel changed, or a wrong call was not refused.

Videos have :mod:`benchmarks.long_run`.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.process import open_files, resident_mib, threads
from iic_rt import Inpainter, InpaintOptions
from iic_rt.errors import InputError
from iic_rt.geometry import ladder_side
from iic_rt.options import Output

__all__ = ["draw", "every_kind", "main", "soak", "summary"]

WARM = 0.1  # share of a process's frames after which memory is compared
MOST_GROWTH = 16.0  # MiB
SMALLEST = 16  # side of an image
WRONG_EVERY = 20  # one call in so many has a mask of another size
SEED = 13
OUTPUTS: tuple[Output, ...] = ("confidence", "hole_left", "history")
LEAST_CONTEXT = 1.25  # with which a hole of the whole image still leads to a region larger than the image

Pixels = NDArray[np.uint8]
Window = dict[str, Any]


def draw(number: int, longest: int) -> tuple[dict[str, Any], bool]:
    """The arguments of call ``number``, always the same, and whether they are wrong.

    Args:
        number: from 0.
        longest: side of the largest image, in pixels.
    """
    rng = np.random.default_rng((SEED, number))
    height, width = (int(side) for side in rng.integers(SMALLEST, longest + 1, 2))
    channels = (0, 1, 3, 4)[rng.integers(4)]
    coarse = rng.integers(0, 256, (4, 5, max(1, channels)), np.uint8)
    image = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    image = image.reshape((height, width, channels) if channels else (height, width))
    if rng.random() < 0.2:
        image = image[::-1]  # strides of another kind
    is_wrong = number % WRONG_EVERY == WRONG_EVERY - 1
    call: dict[str, Any] = {"image": image, "mask": _mask(rng, height + is_wrong, width)}
    if rng.random() < 0.1:
        call["avoid"] = _half(height, width)
    if rng.random() < 0.1:
        call["prefer"] = _half(height, width)[:, ::-1]
    call["options"] = InpaintOptions(
        iterations=int(rng.integers(1, 5)),
        budget_ms=20.0 if rng.random() < 0.1 else None,
        grow=("auto", 0, 4)[rng.integers(3)],  # type: ignore[arg-type]
        channel_order=("rgb", "bgr")[rng.integers(2)],  # type: ignore[arg-type]
        context=(LEAST_CONTEXT, 2.0, 4.0)[rng.integers(3)],
        upsample=bool(rng.random() < 0.8),
        outputs=OUTPUTS[: rng.integers(4)],
    )
    return call, is_wrong


def _half(height: int, width: int) -> Pixels:
    half = np.zeros((height, width), np.uint8)
    half[:, : width // 2] = 255
    return half


def _mask(rng: np.random.Generator, height: int, width: int) -> Pixels:
    """Nothing, specks, or up to three ellipses that leave something of the image."""
    mask = np.zeros((height, width), np.uint8)
    kind = rng.random()
    if kind < 0.05:
        return mask
    if kind < 0.2:
        mask[rng.integers(0, height, 6), rng.integers(0, width, 6)] = 255
        return mask
    for _ in range(rng.integers(1, 4)):
        axes = int(rng.integers(2, 3 + width // 5)), int(rng.integers(2, 3 + height // 5))
        cv2.ellipse(mask, (int(rng.integers(width)), int(rng.integers(height))), axes, 0, 0, 360, 255, -1)
    return mask


def every_kind(longest: int, working_size: int) -> Iterator[dict[str, Any]]:
    """The arguments of calls that fill a region of every kind that :func:`draw` may lead to.

    What a region needs is kept, and the largest are met once in 100,000 calls: the memory they take then is no leak.
    """
    context = InpaintOptions().context
    side, last = working_size, ladder_side(math.ceil(LEAST_CONTEXT * longest), working_size)
    while side <= last:
        middle = np.zeros((side, side), np.uint8)
        middle[_centre(side, context), _centre(side, context)] = 255
        for channels, order in ((1, "rgb"), (3, "rgb"), (3, "bgr"), (4, "rgb"), (4, "bgr")):
            for upsample in (True, False):
                options = InpaintOptions(
                    channel_order=order,  # type: ignore[arg-type]
                    grow=0,
                    outputs=OUTPUTS,
                    upsample=upsample,
                )
                yield {"image": np.zeros((side, side, channels), np.uint8), "mask": middle, "options": options}
        side = ladder_side(side + 1, working_size)


def _centre(side: int, context: float) -> slice:
    size = int(side / context)
    return slice((side - size) // 2, (side + size) // 2)


def soak(
    inpainter: Inpainter,
    *,
    frames: int,
    done: int = 0,
    every: int = 1000,
    longest: int = 256,
    write: Callable[[Window], None],
) -> None:
    """Makes the calls from ``done`` to ``frames``, and reports on every ``every`` of them.

    Args:
        longest: as in :func:`draw`.
        write: is given each report: ``frames`` done, milliseconds (``p50_ms``, ``p99_ms``) of the calls that filled
            something, the most of ``resident_mib``, ``open_files`` and ``threads`` after any call, ``refused`` calls,
            and ``changed``, calls in which a known pixel changed or a wrong argument was taken.
    """
    while done < frames:
        milliseconds, held = [], []
        window = {"frames": min(done + every, frames), "refused": 0, "changed": 0}
        for number in range(done, window["frames"]):
            call, is_wrong = draw(number, longest)
            started = time.perf_counter()
            try:
                result = inpainter.inpaint(**call)
            except InputError:  # also where `avoid` and `prefer` leave nothing to copy from
                window["refused"] += 1
            else:
                milliseconds.append(1000 * (time.perf_counter() - started))
                known = result.hole == 0
                equal = np.array_equal(result.image[known], call["image"][known])
                window["changed"] += is_wrong or not equal
                del result, known
            held.append((resident_mib(), open_files(), threads()))
        done = window["frames"]
        p50, p99 = np.percentile(milliseconds, (50, 99)) if milliseconds else (0.0, 0.0)
        most = [max(values) for values in zip(*held, strict=True)]
        window |= {"p50_ms": round(float(p50), 2), "p99_ms": round(float(p99), 2)}
        write(window | {"resident_mib": round(most[0], 2), "open_files": most[1], "threads": most[2]})


def summary(windows: Iterable[Window]) -> dict[str, Any]:
    """What became of a soak.

    Memory, files, threads and times are compared within each process, whose number is ``run``: from the end of its
    warm-up on, its first tenth of windows against all later ones, and for times against its last tenth.
    """
    windows = list(windows)
    runs: dict[int, list[Window]] = {}
    for window in windows:
        runs.setdefault(window.get("run", 0), []).append(window)
    grown: dict[str, list[float]] = {name: [0] for name in ("resident_mib", "open_files", "threads")}
    for run in runs.values():
        tenth = max(1, round(WARM * len(run)))
        first, later = run[tenth : 2 * tenth], run[2 * tenth :]
        for name, values in grown.items():
            if later:
                values.append(max(w[name] for w in later) - max(w[name] for w in first))
    longest = max(runs.values(), key=len, default=[])
    tenth = max(1, round(WARM * len(longest)))
    times = {
        name: [median(w[name] for w in part) for part in (longest[tenth : 2 * tenth], longest[-tenth:]) if part]
        for name in ("p50_ms", "p99_ms")
    }
    changed = sum(w["changed"] for w in windows)
    most = {name: round(max(values), 2) for name, values in grown.items()}
    return {
        "frames": windows[-1]["frames"] if windows else 0,
        "runs": len(runs),
        "refused": sum(w["refused"] for w in windows),
        "changed": changed,
        "grown": most,
        **times,
        "ok": not changed and most["resident_mib"] <= MOST_GROWTH and not most["open_files"] and not most["threads"],
    }


def read_lines(path: Path, settings: dict[str, Any]) -> list[Window]:
    """The reports of a soak that was stopped; what a kill left unfinished of a line is dropped.

    Raises:
        InputError: the file is of a soak with other settings.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(settings) + "\n")
        return []
    whole = path.read_text().rpartition("\n")[0].splitlines()
    if not whole or json.loads(whole[0]) != settings:
        raise InputError(f"{path} is of a soak with other settings; give another --out, or remove it")
    path.write_text("".join(line + "\n" for line in whole))
    return [json.loads(line) for line in whole[1:]]


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=100_000)
    parser.add_argument("--backend", default="onnxruntime")
    parser.add_argument("--precision")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--working-size", type=int, default=64, help="default %(default)s")
    parser.add_argument("--longest", type=int, default=256, help="side of the largest image (default %(default)s)")
    parser.add_argument("--every", type=int, default=1000, help="frames for each line (default %(default)s)")
    parser.add_argument("--out", type=Path, help="default runs/soak-BACKEND.jsonl")
    arguments = parser.parse_args(argv)
    out = arguments.out or Path("runs") / f"soak-{arguments.backend}.jsonl"
    settings = {name: vars(arguments)[name] for name in ("backend", "precision", "threads", "working_size", "longest")}
    try:
        windows = read_lines(out, settings)
    except InputError as error:
        parser.error(str(error))
    run = windows[-1]["run"] + 1 if windows else 0

    def write(window: Window) -> None:
        windows.append({"run": run, **window})
        with out.open("a") as file:
            file.write(json.dumps(windows[-1]) + "\n")

    opened = {name: settings[name] for name in ("backend", "precision", "threads", "working_size")}
    done = windows[-1]["frames"] if windows else 0
    try:
        with Inpainter(**opened) as inpainter:
            for call in every_kind(arguments.longest, arguments.working_size):
                inpainter.inpaint(**call)
            soak(
                inpainter,
                frames=arguments.frames,
                done=done,
                every=arguments.every,
                longest=arguments.longest,
                write=write,
            )
    except KeyboardInterrupt:
        print(f"stopped; the same command goes on from {out}", file=sys.stderr)
    found = summary(windows)
    print(json.dumps(found, indent=1))
    return 0 if found["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
