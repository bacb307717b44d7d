"""Whether a long video is filled in memory that does not grow, and with every frame counted.

``python -m benchmarks.long_run`` makes a clip of 10,000 small frames with sound, fills it once, and prints as JSON how
the memory of the process went, how long it took, and what became of the frames. ``--policy newest --fps-in 60`` feeds
frames faster than they can be filled, as a camera does. Images of changing sizes have :mod:`benchmarks.soak`.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.process import resident_mib
from iic_rt import Inpainter, InpaintOptions
from iic_rt.video import VideoInpainter
from iic_rt.video.encoders import Encoding
from iic_rt.video.flicker import Flicker
from iic_rt.video.frame_masks import open_masks
from iic_rt.video.job import Report, run_job
from iic_rt.video.media_reader import MediaReader
from iic_rt.video.media_writer import MediaWriter
from iic_rt.video.places import Output

__all__ = ["long_run", "main"]

WARM = 0.1  # share of the frames after which memory is compared: pools and buffers have their sizes by then
RATE = 25


def make_clip(path: Path, frames: int, size: tuple[int, int]) -> None:
    """A texture that drifts, and a tone."""
    import av

    width, height = size
    rng = np.random.default_rng(0)
    texture = np.asarray(rng.integers(0, 256, (height, width, 3)), np.uint8)
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=RATE, options={"preset": "ultrafast", "crf": "30"})
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        sound = container.add_stream("aac", rate=44100)
        sound.layout = "mono"
        at = 0
        for i in range(frames):
            frame = av.VideoFrame.from_ndarray(np.roll(texture, i // 4, 1), format="bgr24")
            frame.pts, frame.time_base = i, Fraction(1, RATE)
            container.mux(video.encode(frame))
            while at / 44100 < i / RATE:
                wave = 0.2 * np.sin((at + np.arange(1024)) * 0.06)
                heard = av.AudioFrame.from_ndarray(wave.astype(np.float32)[None], format="fltp", layout="mono")
                heard.sample_rate, heard.pts = 44100, at
                at += 1024
                container.mux(sound.encode(heard))
        container.mux(video.encode(None))
        container.mux(sound.encode(None))


class Hurried(MediaReader):
    """Gives frames out at a rate of their own, as a camera does."""

    def __init__(self, address: str, fps: float | None) -> None:
        super().__init__(address)
        self._fps = fps

    def frames(self) -> Iterator[tuple[NDArray[np.uint8] | None, Any]]:
        began = time.perf_counter()
        for i, item in enumerate(super().frames()):
            if self._fps is not None:
                time.sleep(max(0.0, began + i / self._fps - time.perf_counter()))
            yield item


def long_run(
    *, frames: int, size: tuple[int, int], fill: Any, policy: Any = "block", fps_in: float | None = None
) -> dict[str, Any]:
    """Fills a clip of so many frames.

    Args:
        size: width and height.
        fill: an inpainter.
        policy: of the stream.
        fps_in: frames a second that the source gives; None for as fast as they are taken.
    """
    width, height = size
    mask = np.zeros((height, width), np.uint8)
    mask[height // 3 : height // 2, width // 3 : width // 2] = 255
    memory: list[float] = []

    def shown(report: Report) -> None:
        if report.written % max(1, frames // 200) == 0:
            memory.append(resident_mib())

    with tempfile.TemporaryDirectory() as folder:
        make_clip(Path(folder) / "in.mp4", frames, size)
        reader = Hurried(str(Path(folder) / "in.mp4"), fps_in)
        output = Output("file", str(Path(folder) / "out.mp4"), "mp4")
        writer = MediaWriter(output, reader.facts, Encoding())
        with open_masks(mask) as masks:
            video = VideoInpainter(fill, policy=policy)
            report = run_job(reader, masks, video, writer, flicker=Flicker(), shown=shown)
        in_file = packets_in(output.address)
    stats = report.stats
    warm = memory[int(WARM * len(memory)) :]
    lost = sum(stats.dropped.values())
    return {
        "frames": stats.put,
        "in_file": in_file,
        "dropped": dict(stats.dropped),
        "failed": stats.failed,
        "uncounted": frames - stats.filled - stats.untouched - stats.late - stats.failed - lost,
        "grown_mib": round(max(warm) - warm[0], 2),
        "resident_mib": [round(memory[0], 1), round(warm[0], 1), round(memory[-1], 1)],
        "seconds": round(report.seconds, 1),
        "fps": round(report.written / report.seconds, 1),
        "report": report.document(),
    }


def packets_in(path: str) -> int:
    """Frames that a file holds."""
    import av

    with av.open(path) as container:
        return sum(packet.dts is not None for packet in container.demux(video=0))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=10_000)
    parser.add_argument("--size", type=int, nargs=2, default=(96, 64), metavar=("WIDTH", "HEIGHT"))
    parser.add_argument("--working-size", type=int, default=64)
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--policy", default="block", choices=("block", "newest"))
    parser.add_argument("--fps-in", type=float)
    arguments = parser.parse_args()
    options = InpaintOptions(grow=0, channel_order="bgr", iterations=1)
    with Inpainter(backend=arguments.backend, working_size=arguments.working_size, options=options) as inpainter:
        found = long_run(
            frames=arguments.frames,
            size=tuple(arguments.size),
            fill=inpainter,
            policy=arguments.policy,
            fps_in=arguments.fps_in,
        )
    print(json.dumps(found, indent=1))
    return 0 if found["uncounted"] == 0 and found["grown_mib"] <= 16 else 1


if __name__ == "__main__":
    sys.exit(main())
