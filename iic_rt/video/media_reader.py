"""Frames of video files and of streams from the network, by PyAV."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from iic_rt.errors import InputError
from iic_rt.video.media_frames import Look, image_of, look_of, rotation_of
from iic_rt.video.reader import Facts, Reconnect, Stamp, logger

__all__ = ["MediaReader", "import_av"]

MOST_PACKETS = 10_000  # of other streams that wait to be written; half a minute of sound has about 1500
ENDED = "the stream ended"
FASTEST = 480  # frames a second that are believed
OFTEN = Fraction(25)  # frames a second, where a stream does not say


def import_av(what: str) -> Any:
    """PyAV.

    Raises:
        InputError: it is not installed; ``what`` says what needs it.
    """
    try:
        import av
    except ImportError as error:
        raise InputError(
            f"{what} is video, and PyAV, which reads and writes it, is not installed; run `pip install 'iic-rt[video]'`"
        ) from error
    return av


class MediaReader:
    """Reads one video, upright and at the size of its first frame; see :class:`iic_rt.video.reader.Reader`.

    Args:
        address: path or URL.
        name: what messages call it.
        live: a connection that ends is made again.
        timeout: seconds to wait for a stream of the network, before it counts as lost.
        reconnect: seconds after which to give a lost connection up; with 0 the stream's end is the end.
        turn: quarter turns counter-clockwise; None for those that the file says.

    Raises:
        InputError: there is no video, or it cannot be read.
    """

    def __init__(
        self,
        address: str,
        *,
        name: str = "",
        live: bool = False,
        timeout: float = 10.0,
        reconnect: float = 60.0,
        turn: int | None = None,
    ) -> None:
        self._av = import_av(name or address)
        self._address, self._name, self._live = address, name or address, live
        self._timeout, self._turn, self._reconnect_s = timeout, turn, reconnect
        self._again = Reconnect(self._name, reconnect if live else 0.0)
        self._size: tuple[int, int] | None = None  # of decoded frames, before they are turned
        self._others: tuple[Any, ...] = ()
        self._packets: deque[Any] = deque()
        self._lock = threading.Lock()
        self.problem: Exception | None = None
        self.counts = {"damaged": 0, "resized": 0, "reconnects": 0, "packets_dropped": 0}
        self._began = time.monotonic()
        self._start: Fraction | None = None  # its first time, None before that is known
        self._shift = Fraction(0)  # seconds that are added to the times of this connection
        self._last = Fraction(-1)
        self._index = 0
        self._begun = False
        try:
            self._connect()
            self._decoded = self._decode()
            self._first: Any = next(self._decoded, None)
        except (self._av.FFmpegError, OSError) as error:
            raise InputError(f"{self._name} cannot be read as a video: {_reason(error)}") from error
        if self._first is None:
            self._container.close()
            raise InputError(f"{self._name} holds no frame that can be decoded; it may be damaged, or no video")
        self.stamp = Stamp(0, Fraction(0))
        self.facts = self._learn(self._first)

    def _connect(self) -> None:
        is_url = "://" in self._address
        options = {}
        if self._address.startswith("rtsp"):
            options = {"rtsp_transport": "tcp"}  # over UDP frames come damaged as soon as one packet is lost
        self._container = self._av.open(
            self._address,
            timeout=(self._timeout, self._timeout) if is_url else None,
            options=options,
            metadata_errors="ignore",
        )
        videos = [s for s in self._container.streams.video if not _is_cover(s)]
        if not videos:
            count = len(self._container.streams)
            self._container.close()
            raise InputError(f"{self._name} holds no video, only {count} other streams")
        self._stream = videos[0]
        self._stream.thread_type = "AUTO"
        kept = [s for s in self._container.streams if s.type in ("audio", "subtitle", "data")]
        self._others = tuple(kept)
        start = self._container.start_time
        # As players do: what comes first is at 0. Sound that begins before it (priming) keeps its negative time.
        self._start = None if start is None else Fraction(max(0, start), 1_000_000)

    def _decode(self) -> Iterator[Any]:
        """The frames of this connection; what is damaged is counted and left out."""
        for packet in self._container.demux(self._stream, *self._others):
            if self._start is None and packet.dts is not None:
                self._start = packet.dts * packet.time_base
            if packet.stream.index != self._stream.index:
                if packet.dts is not None:
                    self._keep(packet)
                continue
            try:
                frames = packet.decode()
            except self._av.FFmpegError:
                self.counts["damaged"] += 1
                continue
            for frame in frames:
                self.counts["damaged"] += bool(frame.is_corrupt)
                yield frame

    def _keep(self, packet: Any) -> None:
        moved = round((self._shift - (self._start or 0)) / packet.time_base)
        packet.dts += moved
        if packet.pts is not None:
            packet.pts += moved
        with self._lock:
            if len(self._packets) >= MOST_PACKETS:
                self._packets.popleft()
                self.counts["packets_dropped"] += 1
            self._packets.append(packet)

    def _learn(self, frame: Any) -> Facts:
        stream, context = self._stream, self._stream.codec_context
        self._size = frame.width, frame.height
        self._quarters = rotation_of(frame) if self._turn is None else self._turn
        width, height = self._size if self._quarters % 2 == 0 else self._size[::-1]
        rates = stream.average_rate, stream.guessed_rate, stream.base_rate
        rate = next((rate for rate in rates if rate and rate <= FASTEST), None)  # some containers give their clock's
        total = stream.frames or None
        if total is None and not self._live and rate and self._container.duration:
            total = max(1, round(self._container.duration / 1_000_000 * rate))
        look = look_of(frame, context)
        if self._quarters % 2 and look.aspect[0]:
            look = Look(look.pix_fmt, look.space, look.range, look.primaries, look.transfer, look.aspect[::-1])
        return Facts(
            width=width,
            height=height,
            rate=Fraction(rate) if rate else None,
            time_base=Fraction(stream.time_base),
            total=total,
            look=look,
            codec=context.name,
            others=self._others,
        )

    def frames(self) -> Iterator[tuple[NDArray[np.uint8] | None, Stamp]]:
        """Every frame that can be decoded, once; see :meth:`iic_rt.video.reader.Reader.frames`."""
        self._begun = True
        try:
            while True:
                problem = ENDED
                try:
                    if self._first is not None:
                        first, self._first = self._first, None
                        yield self._finished(first)
                    for decoded in self._decoded:
                        self._again.worked()
                        yield self._finished(decoded)
                except (self._av.FFmpegError, OSError) as error:
                    problem = _reason(error)
                    if not self._live:
                        raise InputError(
                            f"{self._name} cannot be read beyond frame {self._index - 1}: {problem}"
                        ) from error
                ends_here = not self._live or (self._reconnect_s == 0 and problem == ENDED)
                if ends_here or self._again.stopped.is_set():
                    self._check_complete()
                    return
                self._reconnect(problem)
        finally:
            self._container.close()

    def _finished(self, decoded: Any) -> tuple[NDArray[np.uint8], Stamp]:
        self.counts["resized"] += (decoded.width, decoded.height) != self._size
        if self.counts["resized"] == 1 and (decoded.width, decoded.height) != self._size:
            logger.warning(
                "%s: frame %d is %dx%d; it and others like it are scaled to the first frame's size",
                self._name,
                self._index,
                decoded.width,
                decoded.height,
            )
        image, decoded = image_of(decoded, look_of(decoded, self._stream.codec_context), self._size)
        if self._quarters:
            image = np.ascontiguousarray(np.rot90(image, self._quarters))
        self.stamp = Stamp(
            self._index, self._time(decoded), self._duration(decoded), decoded=None if self._quarters else decoded
        )
        self._last = self.stamp.time
        self._index += 1
        return image, self.stamp

    def _time(self, decoded: Any) -> Fraction:
        step = 1 / (self.facts.rate or OFTEN)
        if decoded.pts is None:  # raw streams have no times
            return self._last + step if self._index else Fraction(0)
        read = decoded.pts * Fraction(decoded.time_base or self.facts.time_base)
        return Fraction(read - (self._start or 0) + self._shift)

    @staticmethod
    def _duration(decoded: Any) -> Fraction | None:
        return Fraction(decoded.duration * decoded.time_base) if decoded.duration and decoded.time_base else None

    def _check_complete(self) -> None:
        said = self._stream.frames
        if not self._live and said > self._index + self.counts["damaged"]:
            logger.warning("%s says that it holds %d frames, and %d came", self._name, said, self._index)

    def _reconnect(self, problem: str) -> None:
        """Opens the connection anew, as often as it takes.

        Raises:
            InputError: it was lost for too long.
        """
        self._container.close()
        while self._again.wait(problem):
            step = 1 / (self.facts.rate or OFTEN)
            now = Fraction(time.monotonic() - self._began).limit_denominator(1_000_000)
            self._shift = max(now, self._last + step)
            try:
                self._connect()
                self._decoded = self._decode()
                self._first = next(self._decoded, None)
            except (self._av.FFmpegError, OSError) as error:
                problem = _reason(error)
                continue
            if self._first is None:
                problem = "no frame came"
                self._container.close()
                continue
            self._again.worked()
            self.counts["reconnects"] += 1
            return
        if not self._again.stopped.is_set():
            raise InputError(f"{self._name} was lost after frame {self._index - 1} and did not come back: {problem}")
        self._decoded = iter(())

    def take_packets(self) -> list[Any]:
        with self._lock:
            taken = list(self._packets)
            self._packets.clear()
        return taken

    def stop(self) -> None:
        self._again.stopped.set()

    def close(self) -> None:
        self.stop()
        if not self._begun:  # otherwise the thread that reads closes it: it may wait for a frame even now
            self._container.close()


def _is_cover(stream: Any) -> bool:
    """Whether it is a picture that belongs to the sound."""
    return bool(stream.disposition & type(stream.disposition).attached_pic)


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error)
