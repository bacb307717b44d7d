"""A connection that does not wait for ever."""

from __future__ import annotations

import asyncio
import socket

from uvicorn.protocols.http.h11_impl import H11Protocol

__all__ = ["Connection"]

PATIENCE = 15.0  # seconds in which something must happen


class Connection(H11Protocol):
    """Closes itself when no request begins in time, or nothing of an answer is taken.

    uvicorn bounds the time between two requests of a connection, but not how long the first one takes to be asked, and
    not how long an answer takes to be read. The body of a request is bounded by :mod:`iic_rt.server.inbox`.
    """

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        # asyncio leaves this out where a socket was made without naming its protocol, and an answer waits 40 ms then.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def _watch(self) -> None:
        state = self.cycle, self.transport.get_write_buffer_size()
        self._timer = self.loop.call_later(PATIENCE, self._check, *state)

    def _check(self, cycle: object, unsent: int) -> None:
        if self.transport.is_closing() and not self.transport.get_write_buffer_size():
            return
        same = self.transport.get_write_buffer_size() == unsent
        nothing_taken = same and unsent > 0
        nothing_asked = same and self.cycle is cycle and (self.cycle is None or self.cycle.response_complete)
        if nothing_taken or nothing_asked:
            self.transport.abort()
        else:
            self._watch()
