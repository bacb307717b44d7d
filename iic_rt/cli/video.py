"""``iic-rt video``: files, folders, cameras and streams."""

from __future__ import annotations

import argparse
import logging
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, nullcontext
from fractions import Fraction
from pathlib import Path
from typing import Any, get_args

from iic_rt.cli.arguments import (
    VIDEO_ITERATIONS,
    add_filling,
    add_mask_hole,
    fill_options,
    inpainter_settings,
    number,
    whole,
)
from iic_rt.cli.ending import interruptible
from iic_rt.cli.json_text import json_text
from iic_rt.cli.messages import DamageSaid, say
from iic_rt.cli.one_heap import share_one_heap
from iic_rt.cli.outputs import check_apart, check_place
from iic_rt.cli.progress import Bar, WarningsAboveBar
from iic_rt.decoder_noise import noise_told_to
from iic_rt.errors import IICError, InputError
from iic_rt.files import write_bytes
from iic_rt.inpainter import Inpainter
from iic_rt.video import VideoInpainter
from iic_rt.video.encoders import Codec, Encoding
from iic_rt.video.flicker import Flicker
from iic_rt.video.frame_masks import FrameMasks, open_masks
from iic_rt.video.frames import MOST_LOOKAHEAD, LateAs, Policy
from iic_rt.video.job import Report, run_job
from iic_rt.video.mask_words import parse_masks
from iic_rt.video.media_writer import MediaWriter
from iic_rt.video.picture_writer import NoWriter, PictureWriter, Writer
from iic_rt.video.places import Output, Source, parse_output, parse_sources
from iic_rt.video.preview import Preview
from iic_rt.video.reader import Reader
from iic_rt.video.readers import open_reader
from iic_rt.video.steady import MOST_HELD, MOST_JITTER
from iic_rt.video.track import WhenLost
from iic_rt.video.unfinished import UnfinishedVideo

__all__ = ["add_video"]

# Options by which the parts of one video would differ to the eye. Masks are not among them: a run that was stopped by
# one that is missing or lost goes on with others.
KEPT = ("bundle", "iterations", "grow", "no_upsample", "memory", "rotate")
LOOKAHEAD = 8  # frames: a third of a second, and as much memory as eight frames take

EPILOG = """examples:
  iic-rt video clip.mp4 --mask masks/ -o clean.mp4                  a mask for each frame; sound and times are kept
  iic-rt video clip.mp4 --mask logo.png -o clean.mp4 --resume       go on after it was killed
  iic-rt video clip.mp4 --mask track:first.png -o clean.mp4 --stats stats.json --flicker
  iic-rt video 0 --mask motion --preview 8090                       a camera; watch http://127.0.0.1:8090
  iic-rt video rtsp://camera/1 --mask fence.json -o tcp://127.0.0.1:9000 --late blank
  iic-rt video 'frames/*.jpg' --mask masks/ -o filled/
"""


def add_video(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command."""
    video = commands.add_parser(
        "video",
        help="remove what masks mark from video",
        description="Removes what masks mark from every frame of IN.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    video.add_argument(
        "source",
        metavar="IN",
        help="a video, a folder or pattern of pictures or videos, a .txt list, a number or v4l2:// or csi:// for a "
        "camera, or rtsp://, rtp://, tcp://, udp://, http://",
    )
    video.add_argument(
        "-o",
        "--out",
        help="a video (.mp4, .mov, .mkv, .webm, .ts), a folder or pattern (out/%%06d.png) of pictures, or tcp://, "
        "udp://, rtp:// for MPEG-TS",
    )
    masks = video.add_argument_group("masks")
    masks.add_argument(
        "--mask",
        required=True,
        help="an image for all frames; a folder or video of them; a .json file; motion; track:MASK or "
        "track:X1,Y1,X2,Y2 of the first frame; grabcut:X1,Y1,X2,Y2",
    )
    add_mask_hole(masks)
    masks.add_argument(
        "--hold-frames", type=whole(0, MOST_HELD), default=0, metavar="N", help="keep what is missed for N frames"
    )
    masks.add_argument(
        "--jitter", type=whole(0, MOST_JITTER), default=0, metavar="N", help="pixels by which edges may tremble"
    )
    masks.add_argument(
        "--when-lost", choices=get_args(WhenLost), default="stop", help="of track: (default %(default)s)"
    )
    for name, what in (("avoid", "never fill from here"), ("prefer", "copy from here only")):
        masks.add_argument(
            f"--{name}", type=Path, metavar="MASKS", help=f"white = {what}: an image, a folder, a video or a .json file"
        )
    masks.add_argument("--save-masks", type=Path, metavar="FOLDER", help="write every mask in use")
    add_filling(video.add_argument_group("filling"), iterations=VIDEO_ITERATIONS)
    stream = video.add_argument_group("frames that are late")
    stream.add_argument(
        "--late",
        choices=get_args(LateAs),
        default="last",
        help="what takes the place of a late frame (default %(default)s); of a failed one too, unless it is unfilled",
    )
    stream.add_argument("--policy", choices=get_args(Policy), help="default: block for files, newest for cameras")
    stream.add_argument(
        "--deadline-ms", type=number(above=0), metavar="X", help="from when a frame is read until it is done"
    )
    before = video.add_argument_group("what other frames show")
    before.add_argument("--no-memory", dest="memory", action="store_false", help="fill every frame on its own")
    before.add_argument(
        "--lookahead",
        type=whole(0, MOST_LOOKAHEAD),
        metavar="N",
        help=f"later frames that may show what is behind (default {LOOKAHEAD} for files, 0 for cameras and streams)",
    )
    media = video.add_argument_group("video files and streams")
    media.add_argument("--codec", choices=get_args(Codec), default="keep", help="default: the source's")
    media.add_argument("--quality", type=whole(0), metavar="N", help="CRF; smaller is better and larger files")
    media.add_argument("--pix-fmt", metavar="NAME", help="default: the source's")
    media.add_argument("--encoder-option", action="append", default=[], metavar="NAME=VALUE", help="e.g. preset=slow")
    media.add_argument("--rotate", type=int, choices=(0, 90, 180, 270), help="degrees clockwise; default: as it says")
    media.add_argument("--fps", type=rate, default=Fraction(25), metavar="N", help="of pictures (default %(default)s)")
    media.add_argument(
        "--timeout", type=number(above=0), default=10.0, metavar="S", help="of streams (default %(default)s s)"
    )
    media.add_argument(
        "--reconnect",
        type=number(),
        default=60.0,
        metavar="S",
        help="give a lost source up after S s (default %(default)s)",
    )
    media.add_argument("--resume", action="store_true", help="go on where an earlier run was stopped")
    said = video.add_argument_group("what is said")
    said.add_argument(
        "--preview", type=whole(0, 65535), metavar="PORT", help="show the frames at http://127.0.0.1:PORT"
    )
    said.add_argument("--stats", type=Path, metavar="FILE", help="write counts, times and stages as JSON")
    said.add_argument("--flicker", action="store_true", help="measure how much the filling flickers")
    said.add_argument("--json", action="store_true", help="print the same JSON")
    video.set_defaults(run=run_video)


def rate(text: str) -> Fraction:
    try:
        value = Fraction(text)
    except (ValueError, ZeroDivisionError):
        value = Fraction(0)
    if value <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0, such as 25 or 30000/1001")
    return value


def run_video(arguments: argparse.Namespace) -> int:
    sources = parse_sources(arguments.source)
    if arguments.lookahead and not arguments.memory:
        raise InputError("--lookahead needs the memory that --no-memory turns off; leave one of them out")
    if arguments.out is None and arguments.preview is None:
        raise InputError("name an output with -o, or watch it with --preview PORT")
    outputs = parse_output(arguments.out, sources)
    _check_apart(sources, outputs)
    share_one_heap()
    if arguments.stats is not None:
        check_place(arguments.stats, is_image=False)
    encoding = Encoding(
        codec=arguments.codec,
        quality=arguments.quality,
        pix_fmt=arguments.pix_fmt,
        options=dict(_pair(text) for text in arguments.encoder_option),
    )
    found: list[dict[str, Any]] = []
    good, save_masks = True, arguments.save_masks
    preview = nullcontext() if arguments.preview is None else Preview(arguments.preview)
    with (
        recorded(list(zip(sources, outputs, strict=True)), arguments) as begun,
        WarningsAboveBar() as warnings,
        noise_told_to(DamageSaid(logging.getLogger("iic_rt.video").warning)),
        preview as shown,
        Inpainter(options=fill_options(arguments), **inpainter_settings(arguments)) as inpainter,
        interruptible() as stop,
    ):
        if shown is not None:
            say(f"the frames are at {shown.url}")
        for source, output in begun:
            try:
                if len(sources) > 1 and save_masks is not None:
                    arguments.save_masks = save_masks / Path(source.name).stem
                report = _run_source(source, output, encoding, arguments, inpainter, shown, stop, warnings)
            except IICError as error:
                say(f"error: {error}")
                found.append({"source": source.name, "error": str(error)})
                good = False
                continue
            found.append({"source": source.name, "output": output.address or None} | report.document())
            good = good and not report.error and report.stats.failed <= report.whole
            if not arguments.json:
                _summarise(source, output, report)
            if report.error:
                say(f"error: {report.error}")
            if stop.is_set():
                break
        document = json_text({"backend": inpainter.backend_name, "results": found})
    if arguments.stats is not None:
        write_bytes(arguments.stats, document.encode())
    if arguments.json:
        print(document)
    incomplete = any(not entry.get("complete", False) for entry in found)
    return 130 if stop.is_set() and incomplete else 0 if good else 1


def _check_apart(sources: list[Source], outputs: list[Output]) -> None:
    """Whether no output is the source itself, or its folder."""
    read = {path.parent for source in sources for path in source.files}
    read |= {Path(str(source.address)) for source in sources if source.kind == "media"}
    written = [place for place in outputs if place.kind in ("file", "folder") and not place.pattern]
    check_apart(read, (Path(place.address) for place in written))


@contextmanager
def recorded(jobs: list[tuple[Source, Output]], arguments: argparse.Namespace) -> Iterator[list[tuple[Source, Output]]]:
    """Within it every video that is to be written has the record of its run.

    Gives the jobs that are left: with ``--resume`` a video that is finished is none.

    Raises:
        InputError: parts of an earlier run were written with other settings.
        OutputError: a record cannot be written.
    """
    videos = {output: UnfinishedVideo(Path(output.address)) for _, output in jobs if output.kind == "file"}
    begun = []
    try:
        for source, output in jobs:
            settings: dict[str, Any] = {"source": Path(source.name).name, "source bytes": source.size()}
            settings |= {name.replace("_", " "): getattr(arguments, name) for name in KEPT}
            if output not in videos or videos[output].begin(settings, resume=arguments.resume):
                begun.append((source, output))
            else:
                say(f"{output.address} is complete, and no newer run was stopped; to make it anew leave out --resume")
        yield begun
    finally:
        for video in videos.values():
            video.forget()


def _run_source(
    source: Source,
    output: Output,
    encoding: Encoding,
    arguments: argparse.Namespace,
    inpainter: Inpainter,
    preview: Preview | None,
    stop: threading.Event,
    warnings: WarningsAboveBar,
) -> Report:
    with ExitStack() as opened:
        reader = opened.enter_context(closing(_open_reader(source, output, arguments)))
        masks = opened.enter_context(_open_masks(source, arguments))
        steering = {
            name: opened.enter_context(open_masks(path, frames=len(source.files) or None))
            for name in ("avoid", "prefer")
            if (path := getattr(arguments, name)) is not None
        }
        video = VideoInpainter(inpainter, **stream_settings(arguments, source))
        # The last to be opened: what is wrong with anything else leaves no unfinished file behind.
        with video, closing_early(_open_writer(source, output, encoding, reader, arguments)) as writer:
            for note in writer.notes:
                say(f"warning: {note}")
            warnings.bar = Bar(reader.facts.total)
            try:
                return run_job(
                    reader,
                    masks,
                    video,
                    writer,
                    steering=steering,
                    live=source.live,
                    paced=not source.live and output.address.startswith(("udp://", "rtp://")),
                    flicker=Flicker() if arguments.flicker else None,
                    preview=preview,
                    stop=stop,
                    shown=warnings.bar.show,
                )
            finally:
                warnings.bar.clear()


@contextmanager
def closing_early(writer: Writer) -> Iterator[Writer]:
    """Where the block fails, what was written is left as a part that can be played."""
    try:
        yield writer
    except BaseException:
        writer.leave()
        raise


def stream_settings(arguments: argparse.Namespace, source: Source) -> dict[str, Any]:
    """What the stream is told: every option of :class:`iic_rt.video.VideoInpainter` that the command has."""
    ahead = LOOKAHEAD if arguments.memory and not source.live else 0
    return {
        "memory": arguments.memory,
        "lookahead": ahead if arguments.lookahead is None else arguments.lookahead,
        "policy": arguments.policy or ("newest" if source.live else "block"),
        "deadline_ms": arguments.deadline_ms,
        "late_as": arguments.late,
        # A frame that cannot be filled, or whose mask is not known, never passes as it is.
        "failed_as": "last" if arguments.late == "unfilled" else arguments.late,
    }


def _open_reader(source: Source, output: Output, arguments: argparse.Namespace) -> Reader:
    return open_reader(
        source,
        fps=arguments.fps,
        for_video=output.kind != "folder",
        timeout=arguments.timeout,
        reconnect=arguments.reconnect,
        turn=None if arguments.rotate is None else -arguments.rotate // 90 % 4,
    )


def _open_writer(
    source: Source, output: Output, encoding: Encoding, reader: Reader, arguments: argparse.Namespace
) -> Writer:
    if output.kind == "none":
        return NoWriter()
    if output.kind == "folder":
        return PictureWriter(output, files=source.files, resume=arguments.resume)
    return MediaWriter(output, reader.facts, encoding, resume=arguments.resume)


def _open_masks(source: Source, arguments: argparse.Namespace) -> FrameMasks:
    return open_masks(
        parse_masks(arguments.mask, mask_hole=arguments.mask_hole, when_lost=arguments.when_lost),
        hold_frames=arguments.hold_frames,
        jitter=arguments.jitter,
        mask_hole=arguments.mask_hole,
        frames=len(source.files) or None,
        save=arguments.save_masks,
    )


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise InputError(f"--encoder-option is {text}; give NAME=VALUE")
    return name, value


def _summarise(source: Source, output: Output, report: Report) -> None:
    stats = report.stats
    fps = report.written / report.seconds if report.seconds > 0 else 0.0
    counts = {
        "filled": stats.filled,
        "untouched": stats.untouched,
        "late": stats.late,
        "failed": stats.failed,
        "dropped": sum(stats.dropped.values()),
        "from an earlier run": report.resumed,
    }
    said = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    place = (f"wrote {output.address}" if report.complete or not report.left_at else report.left_at) or source.name
    print(f"{place}: {said or 'no frame'}; {fps:.1f} fps")
    odd = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in report.source_counts.items() if count)
    if odd:
        print(f"  of the source: {odd}")
    if report.flicker is not None and report.flicker.ratio is not None:
        print(
            f"  flicker: {report.flicker.hole:.2f} in the hole, {report.flicker.ring:.2f} around it, "
            f"ratio {report.flicker.ratio:.2f}"
        )
    if report.left_at and not report.complete and output.kind != "stream":
        print(f"  not complete: {report.left_at} can be used as far as it goes; --resume goes on from it")
