"""Events in the work of a stream."""

from __future__ import annotations

from iic_rt.contract import Event
from iic_rt.cuda.stream import Stream

__all__ = ["CudaEvent"]


class CudaEvent(Event):
    """An event behind all work enqueued before.

    In a captured graph it is recorded again at every run, so it tells of the last one.

    Attributes:
        ticket: of the work it lies behind.
    """

    def __init__(self, stream: Stream) -> None:
        target = stream.begin(self)
        self._stream, self.ticket, self._handle = stream, stream.ticket, stream.take_event(self)
        stream.driver.record_event(self._handle, target, captured=stream.capturing)

    def wait(self) -> None:
        self._stream.wait_for(self._handle, self.ticket)

    def ms_since(self, earlier: Event) -> float:
        if not isinstance(earlier, CudaEvent) or earlier._stream is not self._stream:
            raise TypeError("events of two backends cannot be compared")
        driver = self._stream.enter()
        if not self._stream.reached(max(self.ticket, earlier.ticket)):
            self._stream.wait()
        return driver.elapsed_ms(earlier._handle, self._handle)
