"""What the server says of itself: ``/v1/info``, ``/healthz``, ``/readyz``, ``/metrics``."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse

from iic_rt._version import __version__
from iic_rt.server.answers import ErrorAnswer
from iic_rt.server.fill import Fill
from iic_rt.server.metrics import Metrics

__all__ = ["status_routes"]

PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


def status_routes(fill: Fill, metrics: Metrics, *, live: bool) -> APIRouter:
    """The routes of this module."""
    router, settings, pool = APIRouter(tags=["status"]), fill.settings, fill.pool

    @router.get("/v1/info", summary="Version, limits and defaults")
    async def info() -> dict[str, Any]:
        inpainter = pool.inpainter  # None while the server starts
        return {
            "version": __version__,
            "backend": inpainter and inpainter.backend_name,
            "precision": inpainter and inpainter.precision,
            "bundle": inpainter and inpainter.bundle.name,
            "working_size": inpainter and inpainter.working_size,
            "limits": {"megapixels": settings.max_megapixels, "bytes": settings.max_bytes},
            "kiosk": settings.kiosk,
            "idle_seconds": settings.idle_seconds,
            "live": live,
            "token_required": settings.token is not None,
            "defaults": {"iterations": fill.base.iterations, "grow": fill.base.grow},
        }

    @router.head("/healthz", include_in_schema=False)
    @router.get("/healthz", summary="Whether the server runs")
    async def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @router.head("/readyz", include_in_schema=False)
    @router.get(
        "/readyz",
        summary="Whether it takes requests",
        responses={503: {"model": ErrorAnswer, "description": "starting, or about to end"}},
    )
    async def readyz() -> dict[str, str]:
        pool.check_state()
        return {"status": "ready"}

    @router.get("/metrics", summary="Counts and times, for Prometheus", response_class=PlainTextResponse)
    async def counted() -> Response:
        return Response(metrics.text(), media_type=PROMETHEUS)

    return router
