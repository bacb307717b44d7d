"""What every request passes on its way in, and every answer on its way out."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from iic_rt.server.answers import error_answer
from iic_rt.server.inbox import Budget, Inbox
from iic_rt.server.metrics import Metrics
from iic_rt.server.policy import Policy
from iic_rt.server.settings import ServerSettings

__all__ = ["Gate", "logger"]

logger = logging.getLogger("iic_rt.server")

BODIES = 4  # as many of the largest allowed bodies may be in memory at once
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"})
POLLED = ("/healthz", "/readyz", "/metrics", "/live/stats")  # asked again and again, which is no news
# A page sets its own; anything else shows nothing of its own accord.
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


class Gate:
    """Around an ASGI application: lets in whom the policy allows, bounds bodies, and counts and logs answers.

    The log says nothing that a client made up: the route instead of the path, and no query.

    Args:
        app: behind the gate.
        settings: limits, names and token.
        metrics: what is counted.
        draining: whether the server is about to end, so that connections are closed behind their answer.
    """

    def __init__(
        self, app: ASGIApp, *, settings: ServerSettings, metrics: Metrics, draining: Callable[[], bool]
    ) -> None:
        self._app, self._settings, self._metrics, self._draining = app, settings, metrics, draining
        self._policy = Policy(settings)
        self._budget = Budget(BODIES * settings.max_bytes)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status, headers = time.perf_counter(), 0, Headers(scope=scope)
        inbox = Inbox(
            receive, headers.get("content-length", ""), max_bytes=self._settings.max_bytes, budget=self._budget
        )

        async def answer(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if status >= 400 and "expect" not in headers:
                    await inbox.discard()
                self._add_headers(message, headers)
            await send(message)

        try:
            await self._find_app(scope, headers)(scope, inbox.receive, answer)
        finally:
            inbox.close()
            route = getattr(scope.get("route"), "path", "none")
            seconds = time.perf_counter() - began
            self._metrics.count_request(route, status)
            method = scope["method"] if scope["method"] in METHODS else "other"
            client = scope.get("client") or ("-",)
            level = logging.DEBUG if route in POLLED and status < 400 else logging.INFO
            logger.log(level, "%s %s %s %d %.1f ms", client[0], method, route, status, seconds * 1e3)

    def _find_app(self, scope: Scope, headers: Headers) -> ASGIApp:
        """What answers: the application, or a refusal."""
        method, path = scope["method"], scope["path"]
        refusal = self._policy.refusal(method, path, headers)
        if self._policy.is_preflight(method, headers) and (refusal is None or refusal.status == 401):
            # A browser sends no token with this question.
            return Response(status_code=204, headers=self._policy.cors_headers(headers, preflight=True))
        return self._app if refusal is None else error_answer(path, refusal)

    def _add_headers(self, message: Message, headers: Headers) -> None:
        found = MutableHeaders(scope=message)
        for name, value in (HEADERS | self._policy.cors_headers(headers)).items():
            found.setdefault(name, value)
        if self._draining():
            found["Connection"] = "close"
