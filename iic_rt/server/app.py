"""The application, put together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI
from starlette.types import ASGIApp

from iic_rt._version import __version__
from iic_rt.inpainter import Inpainter
from iic_rt.options import InpaintOptions
from iic_rt.server.answers import add_error_handlers
from iic_rt.server.fill import Fill
from iic_rt.server.gate import Gate
from iic_rt.server.iopaint import iopaint_routes
from iic_rt.server.live import LiveView
from iic_rt.server.live_routes import live_routes
from iic_rt.server.metrics import Metrics
from iic_rt.server.openapi import describe_token
from iic_rt.server.pages import page_routes
from iic_rt.server.policy import OPEN
from iic_rt.server.pool import Pool
from iic_rt.server.reference import reference_routes
from iic_rt.server.remove import remove_routes
from iic_rt.server.settings import ServerSettings
from iic_rt.server.status import status_routes

__all__ = ["Application", "create_app"]


@dataclass(frozen=True)
class Application:
    """The server's parts.

    Attributes:
        asgi: what a server of ASGI runs.
        routes: behind its gate.
        pool: of workers.
        live: the view of a camera, None where there is none.
    """

    asgi: ASGIApp
    routes: FastAPI
    pool: Pool
    live: LiveView | None

    @property
    def failure(self) -> BaseException | None:
        """Why it could not start."""
        return self.pool.failure or (self.live.failure if self.live is not None else None)

    def drain(self) -> None:
        """From now on takes no new request."""
        self.pool.drain()
        if self.live is not None:
            self.live.stop()


def create_app(
    open_inpainter: Callable[[], Inpainter],
    settings: ServerSettings | None = None,
    *,
    options: InpaintOptions | None = None,
    live: LiveView | None = None,
) -> Application:
    """Puts the application together; workers start when a server runs it.

    Args:
        open_inpainter: makes an inpainter; called once for each worker, in its thread.
        settings: limits, names and token.
        options: of every request that does not say otherwise, with ``channel_order="bgr"``.
        live: a camera to be shown.
    """
    settings = settings or ServerSettings()
    metrics = Metrics()
    pool = Pool(open_inpainter, workers=settings.workers, queue=settings.queue, metrics=metrics)
    fill = Fill(pool, settings, options or InpaintOptions(channel_order="bgr"), metrics)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        starting = asyncio.create_task(pool.start())  # meanwhile requests are told to come later
        if live is not None:
            live.start()
        yield
        if live is not None:
            await asyncio.to_thread(live.close)
        await starting
        await asyncio.to_thread(pool.close)

    app = FastAPI(
        title="iic-rt",
        version=__version__,
        description="Removes objects from images.",
        lifespan=lifespan,
        docs_url=None,  # its page comes from other servers
        redoc_url=None,
        redirect_slashes=False,
    )
    app.include_router(remove_routes(fill))
    app.include_router(iopaint_routes(fill))
    app.include_router(status_routes(fill, metrics, live=live is not None))
    if live is not None:
        app.include_router(live_routes(live, settings))
    app.include_router(page_routes(live=live is not None))
    app.include_router(reference_routes(app))
    add_error_handlers(app)
    if settings.token is not None:
        _describe_token(app)
    gate = Gate(app, settings=settings, metrics=metrics, draining=lambda: pool.draining)
    return Application(gate, app, pool, live)


def _describe_token(app: FastAPI) -> None:
    without = app.openapi

    def openapi() -> dict[str, Any]:
        document = without()
        describe_token(document, OPEN)
        return document

    app.openapi = openapi  # type: ignore[method-assign]
