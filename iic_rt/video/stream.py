"""The public class: frames go in as they come, and come out filled and in order."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any

from iic_rt.errors import InputError
from iic_rt.options import InpaintOptions, check_options
from iic_rt.video.frames import Blank, DroppedAs, FailedAs, LateAs, Policy, Settings, VideoFrame, VideoStats
from iic_rt.video.ring import Ring
from iic_rt.video.source import MaskedFrame, with_masks
from iic_rt.video.worker import Fills, fill_stream, read_frames

__all__ = ["VideoInpainter"]

# A source that waits for a camera cannot be interrupted. Its thread ends at its next frame.
LONGEST_READ = 2.0  # seconds that `close` waits for it


class VideoInpainter:
    """Fills a stream of frames in a thread of its own, with bounded memory.

    One thread puts frames, one gets them; both may be the same. Frames come out in the order they were put in. From the
    first ``put`` until :meth:`close` the inpainter is the stream's: it is not thread-safe. It is never closed by it.

    Numpy frames and masks are copied by ``put`` into memory that is used again, so the caller may overwrite its own at
    once. Frames and masks on the device (``__cuda_array_interface__``, DLPack) are not copied: what writes them must be
    done, or be enqueued on the inpainter's stream, before ``put``, and they may be overwritten once ``get`` has given
    out that frame with its own result, or a later one.

    What takes the place of a frame is chosen by name: ``"last"`` is the image of the newest frame before it that was
    filled or untouched (blank where there is none, or its size was another); ``"blank"`` is one colour; ``"unfilled"``
    lets the frame through *as it is, with what the mask marks*; ``"raise"`` makes ``get`` raise the error, and the
    stream goes on; ``"nothing"`` gives nothing out.

    Args:
        inpainter: an :class:`iic_rt.Inpainter`, or an object with its ``submit``, ``collect`` and ``options``.
        slots: frames in the stream at most: waiting, in work, or done and not got yet; 2 to 64. One less may be in
            work, and no more than 3: with 4 slots a GPU is kept busy.
        policy: what ``put`` does with more frames than can be filled. ``"block"`` waits for a slot. ``"newest"`` never
            waits, for cameras: one frame waits at most, and a newer one takes its place; where all slots are taken by
            frames that are done, the oldest of them makes room.
        deadline_ms: milliseconds from when ``put`` takes a frame until it is to be done; None for no deadline. What is
            left of it when a frame's turn comes is its ``budget_ms``: the first iteration always runs, the others as
            time allows. A frame that is not done by then is late: ``get`` gives out its substitute at the deadline. A
            frame is not begun after its deadline. A late result that is there when ``get`` asks is given out itself.
        late_as: what takes the place of a late frame.
        failed_as: what takes the place of a frame with an error.
        dropped_as: what takes the place of a dropped frame, so that as many come out as were put in: ``"last"``,
            ``"blank"``, or ``"nothing"``.
        blank: grey value from 0 to 255, or three for the colours in the order of the frames.
        memory: keep what was seen and what was filled, and take it before anything is invented: the filling does not
            flicker, shows what was really there where another frame has shown it, and costs little. False fills every
            frame on its own. Frames on the device are filled without a memory.
        lookahead: frames to wait for, 0 to 64, so that what they show is taken as well. They come on top of ``slots``;
            ``get`` gives a frame out when so many more were put, or after :meth:`end`.
        options: of every frame; None for the inpainter's.
        clock: seconds that deadlines, latency and rate are measured by.

    Raises:
        InputError: a setting is not allowed; the message says what is.
    """

    def __init__(
        self,
        inpainter: Fills,
        *,
        slots: int = 4,
        policy: Policy = "block",
        deadline_ms: float | None = None,
        late_as: LateAs = "last",
        failed_as: FailedAs = "last",
        dropped_as: DroppedAs = "nothing",
        blank: Blank = 0,
        memory: bool = True,
        lookahead: int = 0,
        options: InpaintOptions | None = None,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        settings = Settings(
            slots=slots,
            policy=policy,
            deadline_ms=deadline_ms,
            late_as=late_as,
            failed_as=failed_as,
            dropped_as=dropped_as,
            blank=blank,
            memory=memory,
            lookahead=lookahead,
        )
        self._inpainter, self._options = inpainter, None if options is None else check_options(options)
        self._ring = Ring(settings, clock)
        self._worker: threading.Thread | None = None
        self._reader: threading.Thread | None = None
        # The threads hold the ring and not this object, so that they end when nobody has it any more.
        weakref.finalize(self, self._ring.stop)

    def put(
        self,
        frame: Any,
        mask: Any,
        pts: Any = None,
        *,
        avoid: Any = None,
        prefer: Any = None,
        timeout: float | None = None,
    ) -> int:
        """Takes a frame; under ``"block"`` as soon as there is a slot for it.

        Args:
            frame: as the image of :meth:`iic_rt.Inpainter.inpaint`; sizes may change.
            mask: as for :meth:`iic_rt.Inpainter.inpaint`; None says that there is nothing to remove, and *the frame
                passes as it is*. Where the mask is not known, call :meth:`put_failed`. A mask that cannot be used makes
                the frame fail.
            pts: comes out with the frame, whatever it is.
            avoid, prefer: masks of what not to fill from, and of what to copy from alone, as for
                :meth:`iic_rt.Inpainter.inpaint`. The memory takes nothing of what is avoided for background.
            timeout: seconds to wait for a slot; None for as long as it takes.

        Returns:
            The frame's index, counted from 0.

        Raises:
            InputError: the frame is no image; it was not taken, and the stream goes on.
            TimeoutError: no slot was free in time; the frame was not taken.
            VideoError: the stream was ended or closed, or its worker ended; the message says why.
        """
        index = self._ring.put(MaskedFrame(frame, pts, mask, avoid, prefer), timeout)
        self._start()
        return index

    def put_failed(self, frame: Any, error: Exception, pts: Any = None, *, timeout: float | None = None) -> int:
        """Takes a frame whose mask could not be made, so that ``failed_as`` takes its place.

        Args:
            frame: as for :meth:`put`; None, where there is none, stands for one of the size of the frame before.
            error: what failed.
            pts, timeout: as for :meth:`put`, and so are the result and what is raised.
        """
        index = self._ring.put(MaskedFrame(frame, pts, error=error), timeout)
        self._start()
        return index

    def feed(self, source: Iterable[Any], masks: Any, *, avoid: Any = None, prefer: Any = None) -> VideoInpainter:
        """Puts the frames of a source from a thread of its own, then calls :meth:`end`; once in a stream's life.

        Args:
            source: frames, or pairs (frame, pts). A tuple of two is a pair.
            masks: one array for all; an iterable with one for each; or a function of a frame and its index, called in
                the reading thread. Where it raises, that frame fails.
            avoid, prefer: the same, or None; for what, see :meth:`put`.

        Returns:
            The stream itself, to be looped over. An error of the source, or a number of masks that differs from the
            number of frames, is raised behind the last frame. What is no image fails, other than at the beginning.

        Raises:
            InputError: one of the masks is none of these, or the stream is fed already.
        """
        if self._reader is not None:
            raise InputError("the stream has a source already; open a new one for another source")
        frames = with_masks(source, masks, avoid=avoid, prefer=prefer)
        self._start()
        self._reader = threading.Thread(
            target=read_frames, args=(self._ring, frames), name="iic-rt video reader", daemon=True
        )
        self._reader.start()
        return self

    def end(self) -> None:
        """Says that no more frames come: once all are given out, ``get`` returns None. A second call does nothing."""
        self._ring.end()

    def get(self, timeout: float | None = None) -> VideoFrame | None:
        """The next frame in the order of ``put``, as soon as it is done or its deadline has passed.

        Args:
            timeout: seconds to wait; None for as long as it takes.

        Returns:
            The frame, or None when the stream has ended or was closed and no frame is left.

        Raises:
            TimeoutError: no frame was done in time; ask again.
            VideoError: the worker ended; its error is the cause.
            Exception: the error of this frame, where ``failed_as`` is ``"raise"``, or of the source, behind its last
                frame.
        """
        return self._ring.get(timeout)

    @property
    def stats(self) -> VideoStats:
        """The counts so far; on any thread, and after :meth:`close` too."""
        return self._ring.stats()

    def close(self, *, drain: bool = True) -> None:
        """Ends the stream and its threads; the inpainter is free again. A second call does nothing.

        Args:
            drain: fill what was put, and let ``get`` give it out afterwards. Without it all is dropped, but for what is
                in work, which is waited for; ``get`` returns None.
        """
        if drain:
            self._ring.end()
        else:
            self._ring.close()
        if self._worker is not None:
            self._worker.join()
        if self._reader is not None:
            self._reader.join(LONGEST_READ)

    def __iter__(self) -> VideoInpainter:
        return self

    def __next__(self) -> VideoFrame:
        frame = self.get()
        if frame is None:
            raise StopIteration
        return frame

    def __enter__(self) -> VideoInpainter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the stream without draining it: behind the ``with`` nobody asks for frames."""
        self.close(drain=False)

    def _start(self) -> None:
        if self._worker is None:
            self._worker = threading.Thread(
                target=fill_stream,
                args=(self._ring, self._inpainter, self._options),
                name="iic-rt video worker",
                daemon=True,  # a stream that nobody closed must not keep the program from ending
            )
            self._worker.start()
