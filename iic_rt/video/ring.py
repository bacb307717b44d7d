"""The slots of a stream: which frames wait, are in work or are done, and what is given out in their order."""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from iic_rt.errors import InputError, VideoError
from iic_rt.pipeline.image import is_on_device
from iic_rt.result import InpaintResult
from iic_rt.video.frames import Settings, Status, Substitute, VideoFrame, VideoStats, blank_image, frame_shape
from iic_rt.video.slots import Entry, Spares
from iic_rt.video.source import MaskedFrame
from iic_rt.video.tally import Reason, Tally

__all__ = ["Ring"]

logger = logging.getLogger("iic_rt")

MOST_DROPPED = 1000  # dropped frames that wait for their substitute; they hold no image, only a number and a time


class Ring:
    """Frames between the producer, the worker and the consumer, each in a thread of its own.

    Args:
        settings: see :class:`iic_rt.video.VideoInpainter`.
        clock: seconds, never going back.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float]) -> None:
        self.settings, self._clock = settings, clock
        # Reentrant: the garbage collector may call `stop` while this thread holds it.
        self._lock = threading.RLock()
        self._room, self._work, self._ready = (threading.Condition(self._lock) for _ in range(3))
        self._order: deque[Entry] = deque()  # put and not given out yet
        self._waiting: deque[Entry] = deque()
        self._images, self._masks = Spares(), Spares()
        self._held = 0  # slots taken
        self._dropped_in_order = 0
        self._shape: tuple[int, ...] | None = None  # of the last frame put
        self._last: tuple[int, Any] = -1, None  # index and image of the last frame that had its own
        self.remembers: bool | None = None  # known from the first frame: there is no memory on a device
        self._ended = self._closed = False
        self._source_error: BaseException | None = None
        self._death: BaseException | None = None
        self._tally = Tally()

    # The producer

    def put(self, given: MaskedFrame, timeout: float | None = None) -> int:
        """Takes a frame, or with an error one that cannot be filled; its index."""
        frame, error = given.frame, given.error
        shape: tuple[int, ...] | None
        try:
            shape = frame_shape(frame)
        except InputError:
            shape, frame = self._shape, None
            if error is None or shape is None:
                raise
        if error is not None and self.settings.failed_as != "unfilled":
            frame = None
        with self._lock:
            self._reserve(timeout)
        try:
            image = self._copy(self._images, frame)
            masks = [self._copy(self._masks, mask) for mask in (given.mask, given.avoid, given.prefer)]
            with self._lock:
                self._check_open()
                entry = self._new_entry(image, masks, shape, given.pts, error)
                self._shape = shape
                self._publish(entry)
        except BaseException:
            self._free()
            raise
        return entry.index

    def _copy(self, spares: Spares, array: Any) -> Any:
        """Of an array on the host; anything else as it is."""
        if not isinstance(array, np.ndarray):
            return array
        with self._lock:
            own = spares.take(array)
        np.copyto(own, array)  # outside the lock, since it takes long
        return own

    def _new_entry(
        self, image: Any, masks: Sequence[Any], shape: tuple[int, ...], pts: Any, error: BaseException | None
    ) -> Entry:
        now, limit_ms = self._clock(), self.settings.deadline_ms
        deadline = None if limit_ms is None else now + limit_ms / 1e3
        mask, avoid, prefer = masks
        entry = Entry(self._tally.put, pts, shape, image, mask, avoid, prefer, now, deadline, error=error)
        self._tally.put += 1
        entry.untouched = entry.mask is None and error is None
        if self.remembers is None:
            self.remembers = self.settings.memory and not is_on_device(image)
        if error is not None or (entry.untouched and not self.remembers):  # the memory looks at what is untouched too
            entry.state, entry.done_at = "done", now
        return entry

    def _publish(self, entry: Entry) -> None:
        if self.settings.policy == "newest":
            while self._waiting:
                self._drop(self._waiting[0], "newer")
        self._order.append(entry)
        if entry.state == "waiting":
            self._waiting.append(entry)
            self._work.notify()
        self._ready.notify()  # where it is not done, for its deadline

    def end(self, error: BaseException | None = None) -> None:
        """No more frames come; ``error`` is raised behind the last."""
        with self._lock:
            if not self._ended:
                self._ended, self._source_error = True, error
            self._notify_all()

    def _reserve(self, timeout: float | None) -> None:
        until = None if timeout is None else time.monotonic() + timeout
        slots = self.settings.slots + self.settings.lookahead
        while True:
            self._check_open()
            if self._held < slots:
                self._held += 1
                return
            if self.settings.policy == "newest" and (oldest := self._oldest()) is not None:
                self._drop(oldest, "newer" if oldest.state == "waiting" else "not got")
            elif not _wait(self._room, until):
                raise TimeoutError(f"all {slots} slots were taken for {timeout} s; get frames, or use policy='newest'")

    def _oldest(self) -> Entry | None:
        """What can be dropped for a new frame. The worker leaves a slot free, so there is something."""
        if self._waiting:
            return self._waiting[0]
        return next((entry for entry in self._order if entry.state == "done"), None)

    def _check_open(self) -> None:
        if self._death is not None:
            raise VideoError(f"the stream's worker ended: {self._death!r}; open a new stream") from self._death
        if self._closed or self._ended:
            raise VideoError("the stream was closed or ended and takes no more frames; open a new one")

    # The worker

    @property
    def most_under_way(self) -> int:
        """Frames that may be in work: with one slot left, the newest frame always finds room."""
        return self.settings.slots - 1

    def wait_for_first(self) -> None:
        """Returns when a frame waits to be filled, or none will come."""
        with self._lock:
            while not (self._waiting or self._ended or self._closed):
                self._work.wait()

    def take(self, *, wait: bool) -> tuple[Entry, float | None] | None:
        """The next frame to fill and the milliseconds left for it; None where none waits, or none will come."""
        with self._lock:
            while not self._closed:
                while self._waiting:
                    entry, now = self._waiting.popleft(), self._clock()
                    if entry.deadline is None or now < entry.deadline:
                        entry.state = "working"
                        return entry, None if entry.deadline is None else (entry.deadline - now) * 1e3
                    self._finish(entry)
                if self._ended or not wait:
                    return None
                self._work.wait()
            return None

    @property
    def is_closed(self) -> bool:
        """Nobody asks for frames any more."""
        return self._closed

    def left_ms(self, entry: Entry) -> float | None:
        """Milliseconds left for a frame; None where there is no deadline."""
        return None if entry.deadline is None else (entry.deadline - self._clock()) * 1e3

    def finish(
        self,
        entry: Entry,
        result: InpaintResult | None = None,
        *,
        error: Exception | None = None,
        remembered: float = 0.0,
    ) -> None:
        """The frame's work is over."""
        with self._lock:
            entry.result, entry.error, entry.remembered = result, error, remembered
            self._finish(entry)

    def _finish(self, entry: Entry) -> None:
        entry.state, entry.done_at = "done", self._clock()
        self._free_masks(entry)
        if entry.result is not None:
            self._images.give_back(entry.image)
            entry.image = None
        if entry.given:
            if entry.error is not None:
                logger.warning("frame %d was late, and then failed: %s", entry.index, entry.error)
            elif entry.result is not None:
                self._remember(entry.index, entry.result.image)
        if entry.given or self._closed:
            self._release(entry)
        else:
            self._ready.notify()

    def die(self, error: BaseException) -> None:
        """The worker ends because of ``error``."""
        with self._lock:
            self._death = error
            self._notify_all()

    # The consumer

    def get(self, timeout: float | None) -> VideoFrame | None:
        """The next frame; None behind the last."""
        until = None if timeout is None else time.monotonic() + timeout
        with self._lock:
            while True:
                if self._death is not None:
                    raise VideoError(f"the stream's worker ended: {self._death!r}; open a new stream") from self._death
                left = None
                if self._order:
                    head, now = self._order[0], self._clock()
                    is_late = head.deadline is not None and now >= head.deadline
                    if head.state in ("done", "dropped") or is_late:
                        return self._give(head, now)
                    left = None if head.deadline is None else head.deadline - now
                elif self._closed or self._ended:
                    error, self._source_error = self._source_error, None
                    if error is not None:
                        raise error
                    return None
                if not _wait(self._ready, until, left):
                    raise TimeoutError(f"no frame was done within {timeout} s; wait longer, or set deadline_ms")

    def _give(self, entry: Entry, now: float) -> VideoFrame:
        self._order.popleft()
        status, wanted = self._settle(entry)
        if status == "dropped":
            self._dropped_in_order -= 1  # counted when it was dropped
        else:
            self._tally.statuses[status] += 1
        if wanted == "raise":
            assert entry.error is not None
            self._release(entry)
            raise entry.error
        substitute: Substitute | None = None
        if wanted is None:
            image = entry.image if entry.result is None else entry.result.image
            if entry.result is None and entry.state == "working" and isinstance(image, np.ndarray):
                image = image.copy()  # untouched, and the worker still looks at it
            entry.image = None  # the caller's from now on, never used again
            self._remember(entry.index, image)
        else:
            image, substitute = self._stand_in(entry, wanted)
            self._tally.substituted[substitute] += 1
        if entry.state == "working":
            entry.given = True  # its slot is taken until the worker is done with it
        elif entry.state != "dropped":
            if entry.state == "waiting":
                self._waiting.remove(entry)
            self._release(entry)
        latency_ms = (now - entry.put_at) * 1e3
        self._tally.add_given(now, latency_ms)
        self._tally.remembered += entry.remembered == 1
        return VideoFrame(
            image=image,
            pts=entry.pts,
            index=entry.index,
            latency_ms=latency_ms,
            status=status,
            substitute=substitute,
            result=entry.result,
            remembered=entry.remembered,
            error="" if entry.error is None else str(entry.error) or repr(entry.error),
        )

    def _settle(self, entry: Entry) -> tuple[Status, str | None]:
        """The frame's status, and what takes its place: None for its own image."""
        if entry.state == "dropped":
            return "dropped", self.settings.dropped_as
        if entry.error is not None:
            return "failed", self.settings.failed_as
        if entry.result is not None:
            if entry.deadline is not None and entry.done_at > entry.deadline:
                return "late", None  # cleaned, and newer than any substitute
            return ("untouched" if any(w.kind == "empty" for w in entry.result.warnings) else "filled"), None
        if entry.untouched:
            return "untouched", None
        return "late", self.settings.late_as

    def _stand_in(self, entry: Entry, wanted: str) -> tuple[Any, Substitute]:
        if wanted == "unfilled" and entry.image is not None:
            image = entry.image
            if isinstance(image, np.ndarray):
                image = image.copy()  # the worker may still read from the slot's
            return image, "unfilled"
        if wanted == "last" and self._last[1] is not None and tuple(self._last[1].shape) == entry.shape:
            return self._last[1], "last"
        return blank_image(entry.shape, self.settings.blank), "blank"

    def _remember(self, index: int, image: Any) -> None:
        if index > self._last[0]:
            self._last = index, image

    # All of them

    def close(self) -> None:
        """Drops what is held, but for what is in work; the worker ends when that is done."""
        with self._lock:
            for entry in [entry for entry in self._order if entry.state != "dropped"]:
                self._tally.dropped["closed"] += 1
                if entry.state != "working":
                    self._release(entry)
            self._order.clear()
            self._waiting.clear()
            self._dropped_in_order = 0
            self._last = -1, None
            self._source_error = None
            self.stop()

    def stop(self) -> None:
        """Lets the worker end; :meth:`close` for the garbage collector, which must not change what is in use."""
        with self._lock:
            self._closed = True
            self._notify_all()

    def stats(self) -> VideoStats:
        """The counts so far."""
        with self._lock:
            return self._tally.stats()

    def _drop(self, entry: Entry, reason: Reason) -> None:
        self._tally.dropped[reason] += 1
        if entry.state == "waiting":
            self._waiting.remove(entry)
        self._release(entry)
        if self.settings.dropped_as == "nothing":
            self._order.remove(entry)
            return
        entry.state, entry.result, entry.error = "dropped", None, None
        self._dropped_in_order += 1
        if self._dropped_in_order > MOST_DROPPED:  # nobody asks for them
            self._order.remove(next(e for e in self._order if e.state == "dropped"))
            self._dropped_in_order -= 1
        self._ready.notify()

    def _release(self, entry: Entry) -> None:
        """The entry's arrays are free, and so is its slot."""
        self._images.give_back(entry.image)
        entry.image = None
        self._free_masks(entry)
        self._free()

    def _free_masks(self, entry: Entry) -> None:
        for mask in (entry.mask, entry.avoid, entry.prefer):
            self._masks.give_back(mask)
        entry.mask = entry.avoid = entry.prefer = None

    def _free(self) -> None:
        with self._lock:
            self._held -= 1
            self._room.notify()

    def _notify_all(self) -> None:
        for condition in (self._room, self._work, self._ready):
            condition.notify_all()


def _wait(condition: threading.Condition, until: float | None, longest: float | None = None) -> bool:
    """Waits for the condition, no longer than ``longest`` seconds; False once the time ``until`` has passed."""
    left = None if until is None else until - time.monotonic()
    if left is not None and left <= 0:
        return False
    condition.wait(min((s for s in (left, longest) if s is not None), default=None))
    return True
