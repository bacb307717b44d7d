"""Filled frames as a video file or stream: the times, the sound and the look of the source are kept."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

from iic_rt.errors import InputError, OutputError
from iic_rt.files import replacing
from iic_rt.video.encoders import PLANAR, Encoding, add_encoder, choose_codec, choose_look
from iic_rt.video.frames import VideoFrame
from iic_rt.video.media_frames import frame_of
from iic_rt.video.media_reader import import_av
from iic_rt.video.places import Output
from iic_rt.video.reader import Facts, Stamp
from iic_rt.video.unfinished import UnfinishedVideo

__all__ = ["MediaWriter"]

# A file can be played whenever the program is killed, and lacks a tenth of a second and what the encoder still holds.
# Sound may begin a little before 0, which by default would move everything.
AS_THEY_ARE = {"avoid_negative_ts": "disabled"}
FRAGMENTED = {
    "movflags": "frag_keyframe+delay_moov+frag_discont",
    "frag_duration": "100000",
    "flush_packets": "1",
    **AS_THEY_ARE,
}
CLUSTERED = {"cluster_time_limit": "100", "flush_packets": "1", **AS_THEY_ARE}
WHILE_WRITING = {"mp4": FRAGMENTED, "mov": FRAGMENTED, "matroska": CLUSTERED, "webm": CLUSTERED}
# FFmpeg does not say what this container takes.
IN_MPEGTS = {"h264", "hevc", "aac", "ac3", "eac3", "mp2", "mp3", "opus", "dvb_subtitle"}
INDEXED = {"movflags": "faststart", **AS_THEY_ARE}
WHEN_DONE = {"mp4": INDEXED, "mov": INDEXED, "matroska": AS_THEY_ARE, "webm": AS_THEY_ARE}


class MediaWriter:
    """Writes one video.

    While it is written a file is called ``NAME.part1.mp4``, which can be played as far as it goes; when it is complete
    it gets its name. A run that goes on writes ``NAME.part2.mp4``, and all parts become one file without being encoded
    again.

    Args:
        output: where to.
        facts: of the source.
        encoding: how.
        resume: go on where the parts end.

    Attributes:
        notes: what of the source could not be kept.
        resume_at: seconds of the last frame that is there already, None where there is none.
        tolerance: seconds by which the times of what is there may be off.
        resumed: number of frames that are there already.

    Raises:
        InputError: the container does not take what was asked for, or the parts are of another run.
        OutputError: the place cannot be written to, or parts of an earlier run are there.
    """

    def __init__(self, output: Output, facts: Facts, encoding: Encoding, *, resume: bool = False) -> None:
        self._av = import_av(output.address)
        self._output, self._facts, self._encoding = output, facts, encoding
        self._is_file = output.kind == "file"
        self.notes: list[str] = []
        self.resume_at: Fraction | None = None
        self.tolerance = Fraction(0)
        self.resumed = 0
        self._last: int | None = None  # time of the last frame, in the source's time base
        self._ends: dict[int, int] = {}  # by stream: where the sound of the parts ends
        self._durations: dict[int, int] = {}
        self._unfinished = UnfinishedVideo(Path(output.address))
        self._parts = self._unfinished.parts() if self._is_file else []
        if self._parts and not resume:
            raise OutputError(
                f"{self._parts[-1]} of an earlier run is there; go on with --resume, or delete it to begin anew"
            )
        if self._parts and output.container not in WHILE_WRITING:
            raise InputError(
                f"a run that writes {Path(output.address).suffix} cannot be resumed: its times are not exact; delete "
                f"{self._parts[-1]}, and write .mp4, .mov, .mkv or .webm"
            )
        self._place = output.address
        if self._is_file:
            place = self._unfinished.next_part()
            self._place = str(place)
            try:
                place.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise self._cannot(error) from error
        self._container: Any = None
        self._open_container()
        try:
            self._look_into_parts()
        except BaseException:
            self._discard()
            raise

    # Parts

    def _look_into_parts(self) -> None:
        good = []
        for part in self._parts:
            frames, end = 0, None
            try:
                with self._av.open(str(part), metadata_errors="ignore") as container:
                    made = container.metadata.get("comment", container.metadata.get("COMMENT"))
                    if made != self._made:
                        raise InputError(
                            f"{part} was written in another way ({made}) than is asked for now ({self._made}); give "
                            "the options of the first run, or delete it to begin anew"
                        )
                    for packet in whole_packets(container, self._av):
                        if packet.stream.type == "video":
                            frames, end = frames + 1, packet.pts * packet.time_base
                        else:
                            self._ends[packet.stream_index] = packet.pts * packet.time_base
                        self.tolerance = max(self.tolerance, Fraction(packet.time_base))
            except (self._av.FFmpegError, OSError):
                if part != self._parts[-1]:
                    raise
            if frames:
                good.append(part)
                self.resumed += frames
                self.resume_at = end
            else:  # killed before its first fragment
                part.unlink()
        self._parts = good

    # Writing

    def _open_container(self) -> None:
        try:
            try:
                self._build(self._facts.others)
            except (self._av.FFmpegError, ValueError, NotImplementedError):
                kept = tuple(s for s in self._facts.others if s.type == "audio")
                if len(kept) == len(self._facts.others):
                    raise
                self._discard()
                self._build(kept)
        except (self._av.FFmpegError, OSError) as error:
            self._discard()
            raise self._cannot(error) from error

    def _build(self, others: Iterable[Any]) -> None:
        av, name = self._av, self._output.container
        is_stream = not self._is_file
        options = {} if is_stream else WHILE_WRITING.get(name, {})
        timeout = (10.0, None) if is_stream else None
        self._container = av.open(self._place, "w", format=name, container_options=dict(options), timeout=timeout)
        supported = IN_MPEGTS if "mpegts" in name else set(self._container.supported_codecs)
        codec = choose_codec(self._encoding, self._facts, supported, name)
        self._look = choose_look(self._encoding, self._facts, codec, av)
        facts = self._facts
        self._stream = add_encoder(self._container, codec, self._look, facts, self._encoding, at_once=is_stream)
        settings = ", ".join(f"{k}={v}" for k, v in sorted(self._stream.codec_context.options.items()))
        size = f"{facts.width}x{facts.height} {self._look.pix_fmt}"
        self._made = f"iic-rt: {codec}, {size}, 1/{1 / facts.time_base} s, {settings}"
        if self._is_file:
            self._container.metadata["comment"] = self._made
        self._others: dict[int, Any] = {}
        self.notes = []
        for stream in facts.others:
            codec_name = getattr(stream.codec_context, "name", None) or stream.type
            kind = codec_name if stream.type == "audio" else f"{stream.type}, {codec_name}"
            known = {codec_name, getattr(getattr(stream.codec_context, "codec", None), "canonical_name", codec_name)}
            if stream not in others or (stream.type != "data" and not known & supported):
                self.notes.append(f"stream {stream.index} ({kind}) is left out: {name} does not take it")
                continue
            copy = self._container.add_stream_from_template(stream)
            language = stream.metadata.get("language")
            if language:
                copy.metadata["language"] = language
            self._others[stream.index] = copy
        self._container.start_encoding()

    def write(self, frame: VideoFrame) -> None:
        """Writes a frame of the stream, whose ``pts`` is a :class:`Stamp`.

        Raises:
            OutputError: it cannot be written.
        """
        stamp: Stamp = frame.pts
        made = self._decoded_or_made(frame, stamp)
        pts = round(stamp.time / self._facts.time_base)
        if self._last is not None and pts <= self._last:  # a source with wrong times: in order at least
            pts = self._last + 1
        self._last = pts
        made.pts, made.time_base = pts, self._facts.time_base
        made.pict_type = 0  # as the encoder likes, and not as it was in the source
        if stamp.duration is not None:
            self._durations[pts] = max(1, round(stamp.duration / self._facts.time_base))
        self._encode(made)

    def _decoded_or_made(self, frame: VideoFrame, stamp: Stamp) -> Any:
        decoded, look = stamp.decoded, self._look
        same = decoded is not None and PLANAR.get(decoded.format.name, decoded.format.name) == look.pix_fmt
        if same and frame.status == "untouched":
            return decoded.reformat(format=look.pix_fmt)
        hole = frame.hole if frame.substitute is None else None
        return frame_of(frame.image, look, original=decoded if same else None, hole=hole)

    def pass_on(self, packets: Iterable[Any]) -> None:
        """Writes packets of other streams as they are.

        Raises:
            OutputError: they cannot be written.
        """
        for packet in packets:
            copy = self._others.get(packet.stream_index)
            if copy is None:
                continue
            end = self._ends.get(copy.index)
            if end is not None and packet.pts is not None and packet.pts * packet.time_base <= end + self.tolerance:
                continue  # in a part already
            packet.stream = copy
            with self._told():
                self._container.mux(packet)

    def _encode(self, frame: Any) -> None:
        """Writes what the encoder gives out for a frame; None for all that it holds."""
        with self._told():
            for packet in self._stream.encode(frame):
                if packet.pts in self._durations:
                    packet.duration = self._durations.pop(packet.pts)
                self._container.mux(packet)

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except (self._av.FFmpegError, OSError) as error:
            raise self._cannot(error) from error

    def _cannot(self, error: Exception) -> OutputError:
        reason = getattr(error, "strerror", None) or error
        hint = ""
        if self._is_file:
            hint = (
                "; what is there can be played, and --resume goes on from it"
                if self._last is not None
                else (". Check that the folder exists and may be written to")
            )
        return OutputError(f"cannot write {self._place}: {reason}{hint}")

    # The end

    def finish(self) -> None:
        """Completes the video; a file gets its name.

        Raises:
            OutputError: it cannot be written; the parts are left.
        """
        self._end_part()
        if self._is_file:
            self._assemble()

    def leave(self) -> str:
        """Ends the part that is being written, so that it can be played, and says what it is called.

        A part without a frame is removed: there is nothing in it to go on from.
        """
        try:
            self._end_part()
        except OutputError:  # of a full disk: it is as if the program had been killed
            with contextlib.suppress(self._av.FFmpegError, OSError):
                self._container.close()
        if self._is_file and self._last is None:
            Path(self._place).unlink(missing_ok=True)
            return str(self._parts[-1]) if self._parts else ""
        return self._place

    def _end_part(self) -> None:
        if self._last is not None:
            self._encode(None)
        with self._told():
            self._container.close()

    def _assemble(self) -> None:
        """One file of all parts, packet by packet."""
        target = Path(self._output.address)
        parts = [*self._parts, Path(self._place)] if self._last is not None else self._parts
        try:
            with replacing(target) as whole:
                self._copy_packets(parts, whole)
        except (self._av.FFmpegError, OSError) as error:
            names = ", ".join(map(str, parts))
            reason = getattr(error, "strerror", None) or error
            raise OutputError(f"cannot write {target}: {reason}; the whole video is in {names}") from error
        # The last first: a kill leaves parts that a run with --resume can go on from, and not the end alone.
        for part in [Path(self._place), *reversed(parts), self._unfinished.record]:
            part.unlink(missing_ok=True)

    def _copy_packets(self, parts: list[Path], whole: Path) -> None:
        options = dict(WHEN_DONE.get(self._output.container, {}))
        with self._av.open(str(whole), "w", format=self._output.container, container_options=options) as container:
            streams: list[Any] = []
            for part in parts:
                with self._av.open(str(part), metadata_errors="ignore") as opened:
                    if not streams:
                        for stream in opened.streams:
                            streams.append(container.add_stream_from_template(stream))
                            streams[-1].time_base = stream.time_base
                            if language := stream.metadata.get("language"):
                                streams[-1].metadata["language"] = language
                    for packet in whole_packets(opened, self._av, all_of_it=part == parts[-1]):
                        packet.stream = streams[packet.stream_index]
                        container.mux(packet)

    def _discard(self) -> None:
        if self._container is not None:
            with contextlib.suppress(Exception):  # it has no header yet, or cannot be written: nothing is lost
                self._container.close()
        if self._is_file and self._last is None:
            Path(self._place).unlink(missing_ok=True)


def whole_packets(container: Any, av: Any, *, all_of_it: bool = False) -> Iterator[Any]:
    """The packets of a part in order, up to where it was cut off.

    Args:
        all_of_it: the part was completed. Otherwise the last packet of the video is left out, since it may be cut.
    """
    held: list[Any] = []  # a packet of the video, and what follows it
    try:
        for packet in container.demux():
            if packet.dts is None:
                continue
            if packet.is_corrupt:
                return
            if packet.stream.type == "video":
                yield from held
                held = []
            held.append(packet)
    except av.FFmpegError:
        return
    if all_of_it:
        yield from held
