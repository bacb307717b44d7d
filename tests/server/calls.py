"""A client that says when it sends, waits, and goes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from iic_rt.server.app import Application

BOUNDARY = "a-boundary"


def form(files: dict[str, bytes]) -> bytes:
    """A form, as it goes over the wire."""
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"; filename="x"\r\n\r\n'.encode()
        + content
        + b"\r\n"
        for name, content in files.items()
    ]
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()


class Call:
    """One request to an application, without a socket.

    Args:
        body: sent at once; None for one that :meth:`send` brings.
        headers: beside those that a form needs.
    """

    def __init__(
        self,
        app: Application,
        path: str = "/v1/remove",
        *,
        body: bytes | None = None,
        method: str = "POST",
        headers: dict[str, str] | None = None,
    ) -> None:
        given = {
            "host": "localhost",
            "content-type": f"multipart/form-data; boundary={BOUNDARY}",
            **({} if body is None else {"content-length": str(len(body))}),
            **(headers or {}),
        }
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "scheme": "http",
            "client": ("127.0.0.1", 1),
            "server": ("localhost", 80),
            "headers": [(name.encode(), value.encode()) for name, value in given.items()],
        }
        self._incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = b""
        if body is not None:
            self.send(body, more=False)
        self.task = asyncio.create_task(app.asgi(scope, self._incoming.get, self._take))

    def send(self, content: bytes, *, more: bool = True) -> None:
        self._incoming.put_nowait({"type": "http.request", "body": content, "more_body": more})

    def go(self) -> None:
        """The client closes the connection."""
        self._incoming.put_nowait({"type": "http.disconnect"})

    async def answer(self) -> Any:
        """The JSON of an answer, or None where it has none."""
        await self.task
        return json.loads(self.body) if self.headers.get("content-type") == "application/json" else None

    async def _take(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            self.body += message.get("body", b"")


@asynccontextmanager
async def running(app: Application, *, ready: bool = True) -> AsyncIterator[Application]:
    """The application between its start and its end."""
    async with app.routes.router.lifespan_context(app.routes):
        while ready and not _is_ready(app):
            await asyncio.sleep(0.005)
        yield app


def _is_ready(app: Application) -> bool:
    try:
        app.pool.check_state()
    except Exception:
        return False
    return True


async def until(met: Any, seconds: float = 20.0) -> None:
    """Waits until the function gives true."""
    ends = asyncio.get_running_loop().time() + seconds
    while not met():
        assert asyncio.get_running_loop().time() < ends, "it did not come about"
        await asyncio.sleep(0.005)
