"""A program of somebody else, which uses every public name and every type in them.

It is not run: tests/test_typing.py gives it to type checkers, beside an installed wheel.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import iic_rt
from iic_rt import IICError, Inpainter, InpainterPool, InpaintOptions, InpaintResult
from iic_rt.errors import (
    BackendError,
    BundleError,
    InpaintWarning,
    InputError,
    OutputError,
    TrackLost,
    VideoError,
)
from iic_rt.image_io import IMAGE_SUFFIXES, read_image, read_mask, write_image
from iic_rt.result import Snapshot, Timings
from iic_rt.server.app import create_app
from iic_rt.server.settings import ServerSettings
from iic_rt.video import VideoFrame, VideoInpainter, VideoStats
from iic_rt.video.frame_masks import open_masks

Pixels = NDArray[np.uint8]


def fill(path: Path, mask: Pixels) -> Pixels:
    options = InpaintOptions(
        iterations=4,
        budget_ms=None,
        mask_hole="white",
        grow="auto",
        channel_order="bgr",
        context=2.0,
        upsample=True,
        outputs=("confidence", "hole_left", "history"),
    )
    image: Pixels = read_image(path)
    with Inpainter("edge", backend="auto", precision=None, threads=2, working_size=256, options=options) as inpainter:
        inpainter.warmup([512], channels=3)
        names: tuple[str, str, int] = (inpainter.backend_name, inpainter.precision, inpainter.working_size)
        result = inpainter.inpaint(image, mask, avoid=None, prefer=None, options=options)
        ticket = inpainter.submit(image, mask)
        if ticket.is_done:
            result = inpainter.collect(ticket)
        for frame in inpainter.stream([image], mask, policy="newest", late_as="blank", blank=(0, 0, 0)):
            look(frame)
    print(names)
    return describe(result)


def describe(result: InpaintResult) -> Pixels:
    confidence: NDArray[np.float32] | None = result.confidence
    left: Pixels | None = result.hole_left
    history: tuple[Snapshot, ...] = result.history
    warnings: tuple[InpaintWarning, ...] = result.warnings
    timings: Timings = result.timings
    total: float = timings.total_ms + sum(timings.iterations_ms)
    texts: list[str] = [f"{warning.kind}: {warning.text}" for warning in warnings]
    shrinking: list[int] = [int(snapshot.hole.sum()) for snapshot in history]
    print(result.iterations, result.regions, total, texts, shrinking, left is None)
    return result.image if confidence is None or confidence.mean() > 0.5 else result.hole


def serve(image: Pixels, mask: Pixels) -> Pixels:
    with InpainterPool(2, backend="onnxruntime", warmup=(512,), options=InpaintOptions(grow=3)) as pool:
        return pool.inpaint(image, mask, options=None).image


def look(frame: VideoFrame) -> float:
    result: InpaintResult | None = frame.result
    hole: Pixels | None = frame.hole
    if frame.status == "failed" or frame.substitute == "last":
        print(frame.error, frame.index, frame.pts, frame.warnings, frame.iterations)
    return frame.latency_ms if result is None or hole is None else frame.remembered


def clean(frames: Iterator[Pixels], mask: Pixels) -> VideoStats:
    with open_masks(mask, grow="auto", hold_frames=2) as masks, Inpainter() as inpainter:
        with VideoInpainter(inpainter, slots=4, policy="block", deadline_ms=40.0, lookahead=2) as video:
            for number, image in enumerate(frames):
                video.put(image, masks.mask(image, number, number / 25), pts=number, timeout=1.0)
                found: VideoFrame | None = video.get(timeout=1.0)
                if found is not None:
                    look(found)
            video.end()
        stats: VideoStats = video.stats
    dropped: Mapping[str, int] = stats.dropped
    print(stats.put - stats.filled, sum(dropped.values()), stats.latency_p99_ms, stats.fps)
    return stats


def careful(path: Path) -> str:
    if path.suffix not in IMAGE_SUFFIXES:
        return iic_rt.__version__
    try:
        mask: Pixels = read_mask(path)
        write_image(path.with_suffix(".png"), fill(path, mask))
    except InputError as error:
        return str(error)
    except (BundleError, BackendError, OutputError, VideoError) as error:
        return type(error).__name__
    except TrackLost as error:
        return f"{error.index} {error.trust:.2f}"
    except IICError:
        return "another of ours"
    return "done"


app = create_app(Inpainter, ServerSettings(workers=2, queue=32), options=InpaintOptions(channel_order="bgr"))
