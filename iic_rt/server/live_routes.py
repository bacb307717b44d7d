"""``/live``: the view of a camera over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
from fastapi import APIRouter, Request
from fastapi.responses import Response, StreamingResponse
from numpy.typing import NDArray
from starlette.requests import ClientDisconnect

from iic_rt.image_io import decode_mask
from iic_rt.server.answers import ApiError
from iic_rt.server.live import BOUNDARY, LiveView
from iic_rt.server.openapi import ERRORS
from iic_rt.server.settings import ServerSettings
from iic_rt.server.upload import check_image
from iic_rt.video.mask_source import as_mask

__all__ = ["live_routes"]

MOST_VIEWERS = 32


def live_routes(view: LiveView, settings: ServerSettings) -> APIRouter:
    """The routes of this module."""
    router, most = APIRouter(tags=["live"]), settings.max_megapixels

    @router.get("/live/stream.mjpeg", summary="The filled frames, as motion JPEG", include_in_schema=False)
    async def stream() -> Response:
        if view.viewers >= MOST_VIEWERS:
            raise ApiError(429, "busy", f"{MOST_VIEWERS} people are looking already", retry_after=10)
        return StreamingResponse(_parts(view), media_type=f"multipart/x-mixed-replace; boundary={BOUNDARY}")

    @router.get("/live/stats", summary="Counts of the frames", responses=ERRORS)
    async def stats() -> dict[str, Any]:
        return view.stats()

    image = {"image/png": {"schema": {"type": "string", "format": "binary"}}}
    ok: dict[int | str, dict[str, Any]] = {204: {"description": "taken"}}

    @router.put(
        "/live/mask",
        summary="Draw the mask",
        description="White is removed from the frames to come. An empty body takes the mask away.",
        openapi_extra={"requestBody": {"required": False, "content": image}},
        status_code=204,
        responses=ok | ERRORS,
    )
    async def mask(request: Request) -> Response:
        try:
            content = await request.body()
        except ClientDisconnect:
            raise ApiError(499, "gone", "the client closed the connection") from None
        view.draw(await asyncio.to_thread(_decoded, content, most) if content else None)
        return Response(status_code=204)

    return router


def _decoded(content: bytes, most: float) -> NDArray[np.uint8]:
    check_image(content, "mask", most)
    return as_mask(decode_mask(content, "the mask", max_megapixels=most), "the mask")


async def _parts(view: LiveView) -> AsyncIterator[bytes]:
    async for jpeg in view.jpegs():
        head = f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
        yield head.encode() + jpeg + b"\r\n"
