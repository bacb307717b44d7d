"""Marks in the work of a queue, and work captured as a CUDA graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from iic_rt.contract import Mark, Program
from iic_rt.cuda.memory import CopiedBuffer
from iic_rt.cuda.queue import Queue

__all__ = ["CudaMark", "CudaProgram", "capture"]


class CudaMark(Mark):
    """An event behind all work enqueued before.

    In a captured program it is set again at every run, so it tells of the last one.

    Attributes:
        ticket: of the work it lies behind.
    """

    def __init__(self, queue: Queue) -> None:
        stream = queue.begin(self)
        self._queue, self.ticket, self._event = queue, queue.ticket, queue.take_event(self)
        queue.driver.record_event(self._event, stream, captured=queue.capturing)

    def ms_since(self, earlier: Mark) -> float:
        if not isinstance(earlier, CudaMark) or earlier._queue is not self._queue:
            raise TypeError("marks of two backends cannot be compared")
        driver = self._queue.enter()
        if not self._queue.reached(max(self.ticket, earlier.ticket)):
            self._queue.wait()
        return driver.elapsed_ms(earlier._event, self._event)


class CudaProgram(Program):
    """A CUDA graph; keeps alive what its work uses."""

    def __init__(self, queue: Queue, graph: int, marks: Sequence[Mark], used: Sequence[object]) -> None:
        self._queue, self._graph, self._returned = queue, graph, marks
        queue.resources.adopt(self, "graph", partial(queue.driver.destroy_graph, graph))
        self._used = list({id(thing): thing for thing in used}.values())
        self._marks = [thing for thing in self._used if isinstance(thing, CudaMark)]
        self._buffers = [thing for thing in self._used if isinstance(thing, CopiedBuffer)]
        self._done = queue.take_event(self)

    def enqueue(self) -> Sequence[Mark]:
        queue = self._queue
        stream = queue.begin(self)
        queue.driver.launch_graph(self._graph, stream)
        queue.driver.record_event(self._done, stream)
        for mark in self._marks:
            mark.ticket = queue.ticket
        for buffer in self._buffers:
            buffer.copied_at(self._done, queue.ticket)
        return self._returned


def capture(queue: Queue, work: Callable[[], Sequence[Mark]]) -> CudaProgram:
    """Runs the work once, then captures it.

    The first run lets the engines set themselves up, which a capture does not allow, and makes pinned memory.

    Raises:
        BackendError: the work waits for the device, makes something new, or cannot be captured.
    """
    work()
    return CudaProgram(queue, *queue.capture(work))
