"""Runs the application until it is told to end, and loses nothing that was accepted."""

from __future__ import annotations

import asyncio
import logging
import socket
from types import FrameType

import uvicorn

from iic_rt.errors import OutputError
from iic_rt.server.app import Application
from iic_rt.server.connection import Connection

__all__ = ["Server", "run_server"]

logger = logging.getLogger("iic_rt.server")

BACKLOG = 512  # connections that the system holds before they are taken
LAST_QUESTIONS = 0.2  # seconds between the last connection and the end
LAST_ANSWERS = 20  # seconds that clients have to read what was answered, at the end
MOST_CONNECTIONS = 900  # a process may have 1024 files open on most systems


class Server(uvicorn.Server):
    """Told to end, it answers all that it accepted; told twice, it ends at once."""

    def __init__(self, app: Application) -> None:
        config = uvicorn.Config(
            app.asgi,
            http=Connection,
            ws="none",
            loop="asyncio",
            lifespan="on",
            log_config=None,
            access_log=False,  # it would say what clients ask for, queries too
            server_header=False,
            proxy_headers=False,
            limit_concurrency=MOST_CONNECTIONS,
            timeout_graceful_shutdown=LAST_ANSWERS,
        )
        super().__init__(config)
        self._app = app
        self._asked = False

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        if self._asked:
            self.should_exit = self.force_exit = True
        self._asked = True

    async def on_tick(self, counter: int) -> bool:
        if self._app.failure is not None:
            return True
        if self._asked and not self._app.pool.draining:
            logger.info("ending: %d requests are under way", self._app.pool.under_way)
            self._app.drain()
        elif self._asked and self._app.pool.under_way == 0:
            return True
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        await asyncio.sleep(LAST_QUESTIONS)  # what was on its way is still told to come back later
        await super().shutdown(sockets)


def run_server(app: Application, *, host: str, port: int) -> None:
    """Serves until SIGTERM or SIGINT.

    Raises:
        OutputError: the port cannot be listened at.
        IICError: the workers or the camera could not be started.
    """
    if not 0 <= port <= 65535:
        raise OutputError(f"cannot listen at {host}:{port}: ports are 0 to 65535; name another port")
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except OSError as error:
        raise OutputError(f"cannot listen at {host}:{port}: {error}; name another port") from error
    with listener:
        address = f"[{host}]" if ":" in host else host
        print(f"iic-rt: http://{address}:{listener.getsockname()[1]}", flush=True)
        asyncio.run(Server(app).serve([listener]))
    logger.info("ended: %d requests accepted, %d answered", app.pool.accepted, app.pool.answered)
    if app.failure is not None:
        raise app.failure
