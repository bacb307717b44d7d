"""Video: flicker, warping error, hole PSNR and time, with the memory of a stream and without.

``python -m benchmarks.video --video video.tar --out benchmarks/results/x86-2-cores/video.json`` takes a few minutes;
without ``--video`` the drawn clips alone are measured. ``--strip docs/video.jpg`` draws frames of one of them.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.methods import classical_methods
from benchmarks.pictures import outlined, row, sheet
from benchmarks.record import environment, write_record
from benchmarks.video_clips import Clip, davis_clips, drawn_clips
from benchmarks.video_metrics import Flows, flows_of, moved_change, warp_error
from iic_rt import Inpainter, InpaintOptions
from iic_rt.bench.metrics import hole_psnr
from iic_rt.cli.arguments import VIDEO_ITERATIONS
from iic_rt.image_io import write_image
from iic_rt.video.flicker import Flicker

__all__ = ["main"]

Pixels = NDArray[np.uint8]
Filler = Callable[[Clip], Iterator[tuple[Pixels, float]]]  # filled frames, and the share that was known

LOOKAHEAD = 8
PER_FRAME, MEMORY, AHEAD = "iic-rt, every frame on its own", "iic-rt", f"iic-rt, lookahead {LOOKAHEAD}"
ONCE, MORE = f"{PER_FRAME}, one iteration", "iic-rt, up to four iterations"
SLOW, FEW = "PyPatchMatch", 4  # a second a frame: the drawn clips alone, and so many frames of each
WINDOW, SHOWN = 220, (1, 8, 16)  # pixels and frames of the strip
RED = (60, 60, 230)


def fillers(inpainter: Inpainter) -> dict[str, Filler]:
    """What is compared. All fill the same hole, that of the mask."""

    def streamed(**settings: Any) -> Filler:
        def fill(clip: Clip) -> Iterator[tuple[Pixels, float]]:
            for frame in inpainter.stream(clip.frames, clip.masks, slots=2, **settings):
                if frame.status != "filled":
                    raise RuntimeError(f"{clip.name}: frame {frame.index} is {frame.status}: {frame.error}")
                yield frame.image, frame.remembered

        return fill

    def alone(method: Callable[[Pixels, Pixels], Pixels]) -> Filler:
        return lambda clip: ((method(f, m), 0.0) for f, m in zip(clip.frames, clip.masks, strict=True))

    classical = classical_methods()
    once = replace(inpainter.options, iterations=VIDEO_ITERATIONS)
    found = {
        PER_FRAME: streamed(memory=False),
        ONCE: streamed(memory=False, options=once),
        MEMORY: streamed(options=once),
        AHEAD: streamed(lookahead=LOOKAHEAD, options=once),
        MORE: streamed(),
    }
    return found | {name: alone(classical[name]) for name in ("OpenCV Telea", SLOW) if name in classical}


def measure(clip: Clip, fill: Filler, flows: Flows) -> tuple[dict[str, float], list[Pixels]]:
    """The figures of a method on a clip, and its frames."""
    images, known, ms = [], [], []
    before = time.perf_counter()
    for image, share in fill(clip):
        now = time.perf_counter()
        ms.append((now - before) * 1e3)
        images.append(image)
        known.append(share)
        before = now
    scored = [
        hole_psnr(image, truth, where > 0)
        for image, truth, where in zip(images, clip.truth, clip.scored, strict=True)
        if where.any()
    ]
    flicker = Flicker()
    for image, hole in zip(images, clip.scored, strict=True):
        flicker.add(image, hole)
    assert flicker.ratio is not None
    figures = {
        "psnr": float(np.mean(scored)),
        "flicker": flicker.ratio,
        "warp_error": warp_error(images, clip.scored, flows),
        "known": float(np.mean(known)),
        "first_ms": ms[0],
        "p50_ms": float(np.median(ms[1:])),
        "mean_ms": float(np.mean(ms)),
    }
    return {name: round(value, 3) for name, value in figures.items()}, images


def first_of(clip: Clip, count: int) -> Clip:
    return replace(clip, **{name: getattr(clip, name)[:count] for name in ("truth", "frames", "masks", "scored")})


def strip(clip: Clip, results: Sequence[Sequence[Pixels]]) -> Pixels:
    """A row for every frame shown: the frame with its mask outlined, then every result, around the hole."""
    rows = []
    for t in SHOWN:
        y, x = (int(places.mean()) for places in np.nonzero(clip.masks[t]))
        height, width = clip.masks[t].shape
        top, left = (min(max(0, m - WINDOW // 2), n - WINDOW) for m, n in ((y, height), (x, width)))
        window = slice(top, top + WINDOW), slice(left, left + WINDOW)
        pictures = [outlined(clip.frames[t], clip.masks[t] * np.uint8(255), RED), *(result[t] for result in results)]
        rows.append(row([p[window] for p in pictures], None))
    return sheet(rows)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.video", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--video", type=Path, help="video.tar: frames and masks of every sequence")
    parser.add_argument("--out", type=Path, required=True, help="JSON to write")
    parser.add_argument("--frames", type=int, default=24, help="of every clip (default: 24)")
    parser.add_argument("--backend", default="openvino", help="of the inpainter (default: openvino)")
    parser.add_argument("--strip", type=Path, help="picture to write, of the clip that pans")
    options = parser.parse_args(argv)
    clips: dict[str, dict[str, dict[str, float]]] = {}
    exact = InpaintOptions(grow=0, channel_order="bgr")
    with Inpainter(backend=options.backend, options=exact) as inpainter:
        drawn = drawn_clips(options.frames)
        pasted = iter(()) if options.video is None else davis_clips(options.video, options.frames)
        methods = fillers(inpainter)
        still = next(drawn)
        inpainter.inpaint(still.frames[0], still.masks[0])  # what is made once is no frame's time
        for clip in itertools.chain([still], drawn, pasted):
            flows = flows_of(clip.truth)
            clips[clip.name], shown = {}, []
            for name, fill in methods.items():
                if name == SLOW and not clip.is_drawn:
                    continue
                own = first_of(clip, FEW) if name == SLOW else clip
                clips[clip.name][name], images = measure(own, fill, flows)
                print(f"{clip.name}: {name}: {clips[clip.name][name]}", flush=True)
                if name in (PER_FRAME, MEMORY):
                    shown.append(images)
            if options.strip and clip.name == "pan, passer-by":
                write_image(options.strip, strip(clip, shown))
        moved = {
            name: round(moved_change(still, fill), 3)
            for name, fill in methods.items()
            if name in (PER_FRAME, MEMORY, "OpenCV Telea")
        }
        record = {
            **environment(inpainter.bundle),
            "backend": inpainter.backend_name,
            "precision": inpainter.precision,
            "frames": options.frames,
            "lookahead": LOOKAHEAD,
            "left_out": {} if SLOW in methods else {SLOW: "not installed"},
            "clips": clips,
            "mask_moved_by_a_pixel": moved,
        }
    write_record(options.out, record)
    return 0


if __name__ == "__main__":
    sys.exit(main())
