"""The threads of a stream: one fills frames, one reads them from a source."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, Protocol

from iic_rt.cuda.arrays import DeviceArray, SettledArray
from iic_rt.errors import InputError, VideoError
from iic_rt.options import InpaintOptions
from iic_rt.pipeline.runners import SLOTS
from iic_rt.result import InpaintResult
from iic_rt.video.look import Look
from iic_rt.video.remember import Memory
from iic_rt.video.ring import Ring
from iic_rt.video.slots import Entry
from iic_rt.video.source import MaskedFrame

__all__ = ["Fills", "fill_frames", "fill_remembering", "fill_stream", "read_frames"]


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

    def submit(
        self, image: Any, mask: Any, *, avoid: Any = None, prefer: Any = None, options: InpaintOptions | None = None
    ) -> Submitted: ...

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
                        entry.image,
                        entry.mask,
                        **_steering(entry.avoid, entry.prefer),
                        options=_within(options or inpainter.options, left_ms),
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


def fill_stream(ring: Ring, inpainter: Fills, options: InpaintOptions | None) -> None:
    """Fills what waits in the ring, in order, until no more comes; with a memory where the frames allow it."""
    ring.wait_for_first()
    if ring.remembers:
        fill_remembering(ring, inpainter, options, Memory(ring.settings.lookahead))
    else:
        fill_frames(ring, inpainter, options)


def fill_remembering(ring: Ring, inpainter: Fills, options: InpaintOptions | None, memory: Memory) -> None:
    """Fills what waits in the ring with a memory, in order, until no more comes.

    One after the other: what a frame leaves in the memory is what the next one starts from.
    """
    ahead: deque[tuple[Entry, Look | None]] = deque()
    has_more = True
    try:
        while True:
            while has_more and len(ahead) <= memory.lookahead:
                taken = ring.take(wait=True)
                has_more = taken is not None
                if taken is not None:
                    entry = taken[0]
                    look = memory.look(
                        entry.image, entry.mask, options or inpainter.options, avoid=entry.avoid, prefer=entry.prefer
                    )
                    ahead.append((entry, look))
            if not ahead:
                return
            entry, look = ahead.popleft()
            left_ms = ring.left_ms(entry)
            if ring.is_closed or (left_ms is not None and left_ms <= 0):
                ring.finish(entry)
                continue
            later = [other for _, other in ahead if other is not None]
            try:
                result, share = _remember(
                    entry, look, later, inpainter, _within(options or inpainter.options, left_ms), memory
                )
            except Exception as error:  # it is this frame's alone
                ring.finish(entry, error=error)
            else:
                ring.finish(entry, result, remembered=share)
    except BaseException as error:
        ring.die(error)


def _remember(
    entry: Entry,
    look: Look | None,
    later: Sequence[Look],
    inpainter: Fills,
    options: InpaintOptions,
    memory: Memory,
) -> tuple[InpaintResult | None, float]:
    """The result of a frame, None where there is nothing to remove; and the share of the hole that was known."""

    def fill(image: Any, mask: Any, avoid: Any, options: InpaintOptions) -> InpaintResult:
        return inpainter.collect(inpainter.submit(image, mask, **_steering(avoid, entry.prefer), options=options))

    if look is not None and look.hole is not None:
        return memory.fill(look, later, fill, options)
    if look is not None:
        memory.see(look)
    return (None if entry.untouched else fill(entry.image, entry.mask, entry.avoid, options)), 0.0


def _steering(avoid: Any, prefer: Any) -> dict[str, Any]:
    """The arguments of what is given, so that a simple inpainter need not know the others."""
    return {name: mask for name, mask in (("avoid", avoid), ("prefer", prefer)) if mask is not None}


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
        for given in frames:
            try:
                try:
                    ring.put(given)
                except InputError as refused:  # no image: it fails, and the stream goes on
                    ring.put(MaskedFrame(None, given.pts, error=refused))
            except VideoError:
                return
    except BaseException as error:
        ring.end(error)
    else:
        ring.end()
