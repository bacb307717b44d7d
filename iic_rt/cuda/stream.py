"""Work on one stream: where it goes, and how far it is known to be done."""

from __future__ import annotations

import weakref
from collections import deque
from collections.abc import Callable
from typing import TypeVar

from iic_rt.cuda.driver import Driver
from iic_rt.cuda.resources import Resources
from iic_rt.errors import BackendError

__all__ = ["Stream", "stream_address"]

T = TypeVar("T")


class Stream:
    """A stream's work in order, and what lives beside it.

    Tickets number what was enqueued, so that nobody waits for what is known to be done. Work is captured on a stream of
    its own, whichever stream it will be launched on: the legacy default stream cannot be captured.

    Args:
        driver: of the context; closed with the stream.
        stream: of the caller, anything that :func:`stream_address` takes; kept alive until this one is closed, and
            never destroyed. None for one of its own.

    Attributes:
        resources: freed when the device is done with them, and at :meth:`close`.
        ticket: of the work enqueued last.
    """

    def __init__(self, driver: Driver, stream: object | None = None) -> None:
        address = None if stream is None else stream_address(stream)
        driver.activate()
        self.driver = driver
        self.ticket = self._reached = 0
        me = weakref.ref(self)  # finalizers hold the resources, and must not hold the stream
        self.resources = Resources(lambda: 0 if (stream := me()) is None else stream.ticket)
        self._own = driver.create_stream()
        self.handle = self._own if address is None else address
        self._callers_stream = stream  # its owner may drop it, and the address would be another stream's
        self._events: list[int] = []
        self._idle_events: deque[int] = deque()
        self._fence = self.take_event(self)
        self._kept: list[object] | None = None  # by the capture under way
        self._closed = False

    @property
    def capturing(self) -> bool:
        return self._kept is not None

    @property
    def capture_handle(self) -> int:
        """Of the stream that work is captured on."""
        return self._own

    def enter(self) -> Driver:
        """The driver, ready for calls on this thread.

        Raises:
            BackendError: it is closed or the device has failed.
        """
        self.check_open()
        self.driver.activate()
        return self.driver

    def check_open(self) -> None:
        """On any thread.

        Raises:
            BackendError: it is closed.
        """
        if self._closed:
            raise BackendError("this backend is closed, and its buffers with it; make a new Inpainter")

    def begin(self, *used: object) -> int:
        """The stream to enqueue the next work on; a capture keeps alive what the work uses."""
        self.enter()
        if self._kept is not None:
            self._kept.extend(used)
            return self._own
        self.ticket += 1
        return self.handle

    def reached(self, ticket: int) -> bool:
        """Whether the work of that ticket is known to be done."""
        return ticket <= self._reached

    def wait(self) -> None:
        """Returns when everything enqueued is done, then frees what was left behind."""
        driver = self.enter()
        if self.capturing:
            raise BackendError("work that is being captured must not wait for the device")
        if not self.reached(self.ticket):
            driver.record_event(self._fence, self.handle)
            driver.wait_event(self._fence)
            self._reached = self.ticket
        self.resources.collect(self._reached)

    def wait_for(self, event: int, ticket: int) -> None:
        """Returns when an event behind the work of ``ticket`` is reached, then frees what only that work used.

        What was enqueued later may go on.
        """
        driver = self.enter()
        if not self.reached(ticket):
            driver.wait_event(event)
            self._reached = ticket
        self.resources.collect(self._reached)

    def collect(self) -> None:
        """Frees what was left behind, before something new is made."""
        if self.capturing:
            raise BackendError("nothing can be made while work is being captured; make it before")
        self.enter()
        if self.resources.waiting:
            self.wait()

    def take_event(self, owner: object) -> int:
        """An event, an idle one if there is one, until ``owner`` has gone."""
        if self._idle_events:
            event = self._idle_events.popleft()
        else:
            event = self.driver.create_event()
            self._events.append(event)
        weakref.finalize(owner, self._idle_events.append, event).atexit = False
        return event

    def capture(self, work: Callable[[], T]) -> tuple[int, T, list[object]]:
        """Notes the work that ``work`` enqueues, without running it.

        Returns:
            The graph, what ``work`` returned, and the objects that the graph's work uses.

        Raises:
            CaptureError: the driver or an engine refuses; nothing was enqueued.
        """
        self.wait()
        self.driver.begin_capture(self._own)
        kept: list[object] = []
        self._kept = kept
        try:
            result = work()
        except BaseException:
            self._kept = None
            self.driver.drop_capture(self._own)
            raise
        self._kept = None
        return self.driver.end_capture(self._own), result, kept

    def close(self) -> None:
        """Frees everything on the stream and gives the context back; a second call does nothing."""
        if self._closed:
            return
        with self.driver.guard(switch=True):  # the garbage collector may close it on any thread
            try:
                self.wait()
            except BackendError:
                # A device that failed has told so already; anything else can be mended, and close() called again.
                if not self.driver.poisoned:
                    raise
            self._closed = True
            self.resources.close()
            for event in self._events:
                self.driver.destroy_event(event)
            self.driver.destroy_stream(self._own)
            self._callers_stream = None
        self.driver.close()


def stream_address(stream: object) -> int:
    """Address of a stream; the stream stays its owner's.

    Args:
        stream: an address as int, or an object with ``__cuda_stream__()`` (CUDA Python's protocol), ``handle`` (pycuda,
            cuda-core), ``ptr`` (CuPy) or ``cuda_stream`` (PyTorch). 0 and 1 are the legacy default stream.

    Raises:
        BackendError: it is none of these.
    """
    found: object = stream
    if hasattr(stream, "__cuda_stream__"):
        version, found = stream.__cuda_stream__()
        if version != 0:
            raise BackendError(f"stream speaks version {version} of the __cuda_stream__ protocol; 0 is known")
    else:
        for attribute in ("handle", "ptr", "cuda_stream"):
            if hasattr(stream, attribute):
                found = getattr(stream, attribute)
                break
    try:
        if not isinstance(found, bool):
            return int(found)  # type: ignore[call-overload, no-any-return]
    except (TypeError, ValueError):
        pass
    raise BackendError(
        f"stream is a {type(stream).__name__}; give an address as int, or an object with __cuda_stream__(), handle, "
        "ptr or cuda_stream"
    )
