"""Small clips with sound, a filler that is fast, and what is in a file."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from iic_rt import InpaintOptions, InpaintResult
from iic_rt.errors import InputError
from iic_rt.result import Timings
from iic_rt.video.places import Output
from iic_rt.video.reader import Facts, Stamp
from tests.video.scenes import Pixels, background

SIZE = (96, 64)  # width, height
TICK = Fraction(1, 12800)
GREY = 128  # what holes are filled with
MASK = np.zeros(SIZE[::-1], np.uint8)
MASK[20:40, 30:60] = 255


def picture(i: int, size: tuple[int, int] = SIZE) -> Pixels:
    """A soft texture that moves."""
    return np.roll(background(3, (size[1], size[0])), i, 1)


def times(frames: int) -> list[int]:
    """Of frames, uneven, in ticks."""
    return np.cumsum([0, *np.tile([512, 300, 700, 513], frames)])[:frames].tolist()


def make_clip(
    path: Path,
    *,
    frames: int = 12,
    codec: str = "libx264",
    pix_fmt: str = "yuv420p",
    size: tuple[int, int] = SIZE,
    sound: str | None = "aac",
    colours: tuple[int, int, int, int] = (1, 1, 1, 1),
    even: bool = False,
) -> Path:
    """A video of uneven times with sound; ``colours``: space, range, primaries, transfer."""
    import av

    with av.open(str(path), "w") as container:
        options = {"preset": "ultrafast", "crf": "10"} if codec == "libx264" else {}
        video = container.add_stream(codec, rate=25, options=options)
        video.width, video.height, video.pix_fmt = *size, pix_fmt
        video.time_base = video.codec_context.time_base = TICK
        context = video.codec_context
        context.colorspace, context.color_range, context.color_primaries, context.color_trc = colours
        audio = None
        if sound is not None:
            audio = container.add_stream(sound, rate=44100)
            audio.layout = "mono"
        moments = [512 * i for i in range(frames)] if even else times(frames)
        at = 0
        for i, moment in enumerate(moments):
            frame = av.VideoFrame.from_ndarray(picture(i, size), format="bgr24").reformat(
                format=pix_fmt, dst_colorspace="ITU709", dst_color_range=colours[1] or 1
            )
            frame.pts, frame.time_base = moment, TICK
            container.mux(video.encode(frame))
            while audio is not None and at / 44100 < moment * TICK:
                wave = 0.3 * np.sin((at + np.arange(1024)) * 0.06)
                heard = av.AudioFrame.from_ndarray(wave.astype(np.float32)[None], format="fltp", layout="mono")
                heard.sample_rate, heard.pts = 44100, at
                at += 1024
                container.mux(audio.encode(heard))
        container.mux(video.encode(None))
        if audio is not None:
            container.mux(audio.encode(None))
    return path


@dataclass
class Content:
    """What a file holds: times in seconds, hashes of the sound's packets, and what is decoded."""

    seconds: list[float] = field(default_factory=list)
    sound: list[tuple[float, str]] = field(default_factory=list)
    images: list[Pixels] = field(default_factory=list)
    luma: list[Pixels] = field(default_factory=list)
    codec: str = ""
    look: tuple[Any, ...] = ()


def content(path: Path | str) -> Content:
    import av

    found = Content()
    with av.open(str(path)) as container:
        context = container.streams.video[0].codec_context
        found.codec = context.name
        found.look = (
            context.pix_fmt, context.colorspace, context.color_range, context.color_primaries, context.color_trc
        )  # fmt: skip
        for packet in container.demux():
            if packet.stream.type == "audio" and packet.dts is not None:
                found.sound.append((float(packet.pts * packet.time_base), hashlib.md5(bytes(packet)).hexdigest()))
            elif packet.stream.type == "video":
                for frame in packet.decode():
                    found.seconds.append(float(frame.pts * frame.time_base))
                    found.images.append(frame.to_ndarray(format="bgr24"))
                    plane = frame.planes[0]
                    rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)
                    found.luma.append(rows[: plane.height, : plane.width].copy())
    return found


def write_mask(folder: Path, mask: Pixels = MASK) -> Path:
    path = folder / "mask.png"
    cv2.imwrite(str(path), mask)
    return path


@dataclass
class GreyFill:
    """Fills what is marked with grey; takes ``seconds`` for a frame."""

    seconds: float = 0.0
    options: InpaintOptions = field(default_factory=InpaintOptions)
    backend_name: str = "grey"
    steering: list[dict[str, Pixels]] = field(default_factory=list)

    def submit(self, image: Pixels, mask: Pixels, *, options: InpaintOptions | None = None, **steering: Pixels) -> Any:
        time.sleep(self.seconds)
        self.steering.append({name: given.copy() for name, given in steering.items()})
        if mask.all():
            raise InputError("the mask marks everything")
        return Filled(image.copy(), (mask > 0).astype(np.uint8))

    def collect(self, ticket: Filled) -> InpaintResult:
        ticket.image[ticket.hole > 0] = GREY
        timings = Timings(total_ms=3.0, prepare_ms=1.0, iterations_ms=(0.5, 0.5))
        return InpaintResult(image=ticket.image, hole=ticket.hole, iterations=2, regions=1, timings=timings)

    def __enter__(self) -> GreyFill:
        return self

    def __exit__(self, *failure: Any) -> None:
        pass


@dataclass
class Filled:
    image: Pixels
    hole: Pixels
    is_done: bool = True


class ListReader:
    """Frames of a list."""

    def __init__(self, images: Sequence[Pixels | None], *, seconds: float = 0.0) -> None:
        self._images, self._seconds = images, seconds
        self.stamp = Stamp(0, Fraction(0))
        self.problem: Exception | None = InputError("this picture is damaged")
        self.counts = {"resized": 0}
        self.stopped = False
        first = next(image for image in images if image is not None)
        self.facts = Facts(
            width=first.shape[1], height=first.shape[0], rate=Fraction(25), time_base=TICK, total=len(images)
        )

    def frames(self) -> Iterator[tuple[Pixels | None, Stamp]]:
        for i, image in enumerate(self._images):
            time.sleep(self._seconds)
            self.stamp = Stamp(i, Fraction(i, 25))
            yield image, self.stamp

    def take_packets(self) -> list[Any]:
        return []

    def stop(self) -> None:
        self.stopped = True

    def close(self) -> None:
        pass


class ListWriter:
    """Keeps what is written; takes ``seconds`` for a frame."""

    def __init__(self, *, seconds: float = 0.0) -> None:
        self.frames: list[Any] = []
        self.notes: list[str] = []
        self.resume_at: Fraction | None = None
        self.tolerance = Fraction(0)
        self.resumed = 0
        self.seconds = seconds
        self.ended = ""

    def write(self, frame: Any) -> None:
        time.sleep(self.seconds)
        self.frames.append(frame)

    def pass_on(self, packets: Any) -> None:
        pass

    def finish(self) -> None:
        self.ended = "finished"

    def leave(self) -> str:
        self.ended = "left"
        return "somewhere"


def file_output(path: Path) -> Output:
    container = {".mkv": "matroska", ".ts": "mpegts"}.get(path.suffix, path.suffix[1:])
    return Output("file", str(path), container)
