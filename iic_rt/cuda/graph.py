"""Work captured as a CUDA graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from iic_rt.contract import CapturedGraph, Event
from iic_rt.cuda.event import CudaEvent
from iic_rt.cuda.memory import CopiedBuffer
from iic_rt.cuda.stream import Stream

__all__ = ["CudaGraph", "capture"]


class CudaGraph(CapturedGraph):
    """A CUDA graph; keeps alive what its work uses."""

    def __init__(self, stream: Stream, graph: int, events: Sequence[Event], used: Sequence[object]) -> None:
        self._stream, self._graph, self._returned = stream, graph, events
        stream.resources.adopt(self, "graph", partial(stream.driver.destroy_graph, graph))
        self._used = list({id(thing): thing for thing in used}.values())
        self._events = [thing for thing in self._used if isinstance(thing, CudaEvent)]
        self._buffers = [thing for thing in self._used if isinstance(thing, CopiedBuffer)]
        self._done = stream.take_event(self)

    def enqueue(self) -> Sequence[Event]:
        stream = self._stream
        handle = stream.begin(self)
        stream.driver.launch_graph(self._graph, handle)
        stream.driver.record_event(self._done, handle)
        for event in self._events:
            event.ticket = stream.ticket
        for buffer in self._buffers:
            buffer.copied_at(self._done, stream.ticket)
        return self._returned


def capture(stream: Stream, work: Callable[[], Sequence[Event]]) -> CudaGraph:
    """Runs the work once, then captures it.

    The first run lets the engines set themselves up, which a capture does not allow, and makes pinned memory.

    Raises:
        CaptureError: the work cannot be captured.
        BackendError: the work waits for the device or makes something new.
    """
    work()
    return CudaGraph(stream, *stream.capture(work))
