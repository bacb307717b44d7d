"""From a source through the stream to an output, with everything counted."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from iic_rt.errors import IICError, InputError, OutputError, TrackLost
from iic_rt.video.flicker import Flicker
from iic_rt.video.frame_masks import FrameMasks
from iic_rt.video.frames import VideoFrame, VideoStats
from iic_rt.video.measures import Percentiles, Stages
from iic_rt.video.picture_writer import Writer
from iic_rt.video.reader import Reader, Stamp
from iic_rt.video.stream import VideoInpainter

__all__ = ["Report", "run_job"]

logger = logging.getLogger("iic_rt.video")

POLL = 0.2  # seconds in which a request to stop is seen
MOST_SAID = 5  # frames whose errors are told one by one


@dataclass
class Report:
    """What became of a source.

    Attributes:
        stats: counts of the stream.
        written: frames written by this run.
        resumed: frames that an earlier run wrote.
        whole: failed frames whose mask covered everything.
        seconds: from the first frame to the last.
        complete: the source was read to its end, or it is live and was stopped.
        error: why it was not, or what was wrong at its end; empty where all is well.
        left_at: where what is there can be found, while it is not complete.
        source_counts: what was odd about the source, by name.
        notes: what could not be kept.
    """

    stats: VideoStats
    written: int = 0
    resumed: int = 0
    whole: int = 0
    seconds: float = 0.0
    complete: bool = False
    error: str = ""
    left_at: str = ""
    source_counts: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    latency: Percentiles = field(default_factory=Percentiles)
    fill: Percentiles = field(default_factory=Percentiles)
    stages: Stages = field(default_factory=Stages)
    flicker: Flicker | None = None

    def document(self) -> dict[str, Any]:
        """The report as JSON has it."""
        stats, frames = self.stats, max(1, self.stats.put)
        return {
            "complete": self.complete,
            "error": self.error,
            "left_at": self.left_at,
            "frames": {
                "in": stats.put,
                "written": self.written,
                "resumed": self.resumed,
                "filled": stats.filled,
                "remembered": stats.remembered,
                "untouched": stats.untouched,
                "late": stats.late,
                "failed": stats.failed,
                "failed_whole": self.whole,
                "dropped": dict(stats.dropped),
                "substituted": dict(stats.substituted),
            },
            "source_counts": self.source_counts,
            "notes": self.notes,
            "seconds": round(self.seconds, 3),
            "fps": round(self.written / self.seconds, 3) if self.seconds > 0 else None,
            "latency_ms": self.latency.report(),
            "fill_ms": self.fill.report(),
            "stages_ms_per_frame": {name: round(ms / frames, 3) for name, ms in self.stages.total.items()},
            "graphs_share_of_time": round(self.stages.graphs_ms / 1e3 / self.seconds, 4) if self.seconds > 0 else None,
            "flicker": None
            if self.flicker is None
            else {
                "hole": self.flicker.hole,
                "ring": self.flicker.ring,
                "ratio": self.flicker.ratio,
                "pairs": self.flicker.pairs,
            },
        }


def run_job(
    reader: Reader,
    masks: FrameMasks,
    video: VideoInpainter,
    writer: Writer,
    *,
    steering: Mapping[str, FrameMasks] = MappingProxyType({}),
    live: bool = False,
    paced: bool = False,
    flicker: Flicker | None = None,
    preview: Shown | None = None,
    stop: threading.Event | None = None,
    shown: Callable[[Report], None] | None = None,
) -> Report:
    """Reads a source to its end, fills its frames and writes them.

    A frame whose mask covers all of it, or cannot be made, is never written as it is: the stream's ``failed_as`` must
    not be ``"unfilled"``.

    Args:
        reader, masks, writer: opened; they stay open.
        video: a new stream, which is closed at the end.
        steering: the masks to ``"avoid"`` and to ``"prefer"``, where there are any; they stay open.
        live: the source has no end of its own, and is complete when it is stopped.
        paced: give frames out in their own time, for outputs that lose what comes too fast.
        flicker: takes every frame's measure.
        preview: shows every frame.
        stop: set by another thread or a signal to end early.
        shown: called after every frame.

    Returns:
        What became of it; errors of the source, the masks and the output are in it.
    """
    stop = stop or threading.Event()
    run = _Run(reader, masks, steering, Report(video.stats, resumed=writer.resumed, flicker=flicker))
    report = run.report
    failure: IICError | None = None
    began = time.perf_counter()
    try:
        frames = run.skipped(reader.frames(), writer)
        if frames is not None:
            video.feed(run.timed(frames, began if paced else None, stop), run.mask, **run.steering())
            began = time.perf_counter()
            for frame in _until_stopped(video, reader, stop):
                written = time.perf_counter()
                writer.pass_on(reader.take_packets())
                writer.write(frame)
                now = time.perf_counter()
                report.stages.total["write"] += (now - written) * 1e3
                run.count(frame)
                report.stats, report.seconds = video.stats, now - began
                if preview is not None:
                    preview.show(frame.image)
                if shown is not None:
                    shown(report)
        writer.pass_on(reader.take_packets())
        if not stop.is_set():
            for each in (masks, *steering.values()):
                each.finish(reader.stamp.index + 1)
    except IICError as error:
        failure = error
    finally:
        reader.stop()
        video.close(drain=False)
    report.stats, report.source_counts, report.notes = video.stats, reader.counts, writer.notes
    report.complete = failure is None and (live or not stop.is_set())
    # What a source ends with is its end: nothing is gained by going on with it another time.
    whole = report.complete or isinstance(failure, InputError)
    try:
        if whole and report.written + report.resumed:
            writer.finish()
        else:
            report.left_at = writer.leave()
    except OutputError as error:
        failure, report.complete = failure or error, False
        report.left_at = writer.leave()
    report.error = "" if failure is None else str(failure)
    return report


def _until_stopped(video: VideoInpainter, reader: Reader, stop: threading.Event) -> Iterator[VideoFrame]:
    ended = False
    while True:
        if stop.is_set() and not ended:
            ended = True
            reader.stop()
            video.end()  # what was put is still filled
        try:
            frame = video.get(POLL)
        except TimeoutError:
            continue
        if frame is None:
            return
        yield frame


class Shown(Protocol):
    """Where filled frames can be looked at."""

    def show(self, image: NDArray[np.uint8]) -> None:
        """Takes the newest, which is not changed afterwards."""


class _Run:
    """The reading side, and what is counted of the other."""

    def __init__(self, reader: Reader, masks: FrameMasks, steering: Mapping[str, FrameMasks], report: Report) -> None:
        self._reader, self._masks, self._steering, self.report = reader, masks, steering, report
        self._fatal: IICError | None = None

    def skipped(self, frames: Iterator[tuple[Any, Stamp]], writer: Writer) -> Iterator[tuple[Any, Stamp]] | None:
        """The frames that no earlier run wrote; the masks see the others too. None where none is left.

        Raises:
            OutputError: the source is another than that of the earlier run.
        """
        if not writer.resumed:
            return frames
        at, before = writer.resume_at, None
        for image, stamp in frames:
            if stamp.index >= writer.resumed if at is None else stamp.time > at + writer.tolerance:
                if at is not None and (before is None or before < at - writer.tolerance):
                    raise OutputError(
                        f"what an earlier run wrote ends at {float(at):.3f} s, where this source has no frame; delete "
                        "it to begin anew"
                    )
                return _with(image, stamp, frames)
            before = stamp.time
            if image is not None:
                for masks in (self._masks, *self._steering.values()):
                    masks.mask(image, stamp.index, float(stamp.time))
            writer.pass_on(self._reader.take_packets())
        return None

    def timed(
        self, frames: Iterator[tuple[Any, Stamp]], began: float | None, stop: threading.Event
    ) -> Iterator[tuple[Any, Stamp]]:
        """The frames; the time that reading takes is added up."""
        while self._fatal is None:
            started = time.perf_counter()
            item = next(frames, None)
            self.report.stages.total["read"] += (time.perf_counter() - started) * 1e3
            if item is None:
                return
            if began is not None:
                stop.wait(max(0.0, began + float(item[1].time) - time.perf_counter()))
            yield item
        raise self._fatal

    def mask(self, frame: Any, number: int) -> Any:
        """The mask of the frame that was read last."""
        started, stamp = time.perf_counter(), self._reader.stamp
        if frame is None:
            raise self._reader.problem or InputError(f"frame {stamp.index} cannot be read")
        try:
            mask = self._masks.mask(frame, stamp.index, float(stamp.time))
        except (TrackLost, OutputError) as error:  # the masks behind it would be no better
            self._fatal = error
            raise
        finally:
            self.report.stages.total["mask"] += (time.perf_counter() - started) * 1e3
        if mask is not None and mask.all():
            self.report.whole += 1
            raise InputError("the mask covers the whole frame, so there is nothing to fill it from")
        return mask

    def steering(self) -> dict[str, Callable[[Any, int], Any]]:
        """Masks of the frame that was read last, by what they are for."""

        def of(masks: FrameMasks) -> Callable[[Any, int], Any]:
            return lambda frame, _number: masks.mask(frame, self._reader.stamp.index, float(self._reader.stamp.time))

        return {name: of(masks) for name, masks in self._steering.items()}

    def count(self, frame: VideoFrame) -> None:
        report = self.report
        report.written += 1
        report.latency.add(frame.latency_ms)
        if frame.result is not None:
            report.fill.add(frame.result.timings.total_ms)
            report.stages.add(frame.result.timings)
        if report.flicker is not None:
            report.flicker.add(frame.image, frame.hole if frame.substitute is None else None)
        if frame.status == "failed":
            self._tell(frame)

    def _tell(self, frame: VideoFrame) -> None:
        failed = self.report.stats.failed
        if failed < MOST_SAID:
            logger.warning("frame %d: %s; in its place: %s", frame.pts.index, frame.error, frame.substitute)
        elif failed == MOST_SAID:
            logger.warning("more frames failed; their number is told at the end")


def _with(image: Any, stamp: Stamp, rest: Iterator[tuple[Any, Stamp]]) -> Iterator[tuple[Any, Stamp]]:
    yield image, stamp
    yield from rest
