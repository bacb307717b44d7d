"""The threads of a stream: one fills frames, one reads them from a source."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Protocol

from iic_rt.cuda.arrays import DeviceArray, SettledArray
from iic_rt.errors import InputError, VideoError
from iic_rt.options import InpaintOptions
from iic_rt.pipeline.runners import SLOTS
from iic_rt.result import InpaintResult
from iic_rt.video.ring import Ring
from iic_rt.video.slots import Entry
from iic_rt.video.source import MaskedFrame

__all__ = ["Fills", "fill_frames", "read_frames"]


class Submitted(Protocol):
    """An image on its way; see :class:`iic_rt.inpainter.Ticket`."""

    @property
    def is_done(self) -> bool: ...


class Fills(Protocol):
    """What fills the frames: an :class:`iic_rt.Inpainter`, or what acts as one.

    Attributes:
        options: of frames that no others are given for.
    """

    options: InpaintOptions

    def submit(self, image: Any, mask: Any, *, options: InpaintOptions | None = None) -> Submitted: ...

    def collect(self, ticket: Any) -> InpaintResult: ...


def fill_frames(ring: Ring, inpainter: Fills, options: InpaintOptions | None) -> None:
    """Fills what waits in the ring, in order, until no more comes."""
    under_way: deque[tuple[Entry, Submitted]] = deque()
    most = min(SLOTS, ring.most_under_way)
    try:
        while True:
            taken = ring.take(wait=not under_way)
            if taken is not None:
                entry, left_ms = taken
                try:
                    ticket = inpainter.submit(
                        entry.image, entry.mask, options=_within(options or inpainter.options, left_ms)
                    )
                except Exception as error:  # it is this frame's alone
                    ring.finish(entry, error=error)
                else:
                    under_way.append((entry, ticket))
            elif not under_way:
                return
            # Before the next frame where there is no room for it, or where there is nothing to wait for; and when no
            # frame is there to be submitted.
            if under_way and (taken is None or len(under_way) == most or under_way[0][1].is_done):
                _collect(ring, inpainter, *under_way.popleft())
    except BaseException as error:
        ring.die(error)


def _collect(ring: Ring, inpainter: Fills, entry: Entry, ticket: Submitted) -> None:
    try:
        result = inpainter.collect(ticket)
    except Exception as error:
        ring.finish(entry, error=error)
        return
    image: Any = result.image
    if isinstance(image, DeviceArray):
        image = SettledArray.of(image)  # the consumer takes it while this thread works on the next
        result = replace(result, image=image)
    ring.finish(entry, result)


def _within(options: InpaintOptions, left_ms: float | None) -> InpaintOptions:
    """The options with no more time than is left."""
    if left_ms is None:
        return options
    budget = left_ms if options.budget_ms is None else min(left_ms, options.budget_ms)
    return replace(options, budget_ms=budget)


def read_frames(ring: Ring, frames: Iterator[MaskedFrame]) -> None:
    """Puts a source's frames into the ring until it ends or the ring takes no more."""
    try:
        for frame, pts, mask, error in frames:
            try:
                try:
                    ring.put(frame, mask, pts, None, error)
                except InputError as refused:  # no image: it fails, and the stream goes on
                    ring.put(None, None, pts, None, refused)
            except VideoError:
                return
    except BaseException as error:
        ring.end(error)
    else:
        ring.end()
