"""``/v1/remove`` and ``/v1/object``: the server's own API."""

from __future__ import annotations

import json
import secrets
from functools import partial
from typing import Annotated, Literal

import numpy as np
from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import BaseModel, BeforeValidator, Field

from iic_rt.figures import iterations_strip
from iic_rt.image_io import decode_image
from iic_rt.options import Output
from iic_rt.server.fill import Fill, Filled, FillFields
from iic_rt.server.images import IMAGES, encode
from iic_rt.server.inbox import unless_gone
from iic_rt.server.openapi import ERRORS, image_answer, request_body
from iic_rt.server.upload import check_image, read_upload
from iic_rt.video.grabcut import grabcut_mask

__all__ = ["remove_routes"]

NUMBER = r"\s*-?\d{1,6}(\.\d{1,6})?\s*"
BOX = f"^{NUMBER}(,{NUMBER}){{3}}$"


def _listed(value: object) -> object:
    """A list that a form has as words with commas between them."""
    return [word.strip() for word in value.split(",")] if isinstance(value, str) else value


class RemoveFields(FillFields):
    """Fields of ``/v1/remove`` beside its images."""

    format: Literal["png", "jpeg", "webp"] | None = Field(
        None, description="of the answer; where it is left out that of the image, or png"
    )
    outputs: Annotated[tuple[Literal["confidence", "iterations"], ...], BeforeValidator(_listed)] = Field(
        (), description="wanted beside the image; the answer is multipart/form-data then"
    )


class ObjectFields(BaseModel):
    """Fields of ``/v1/object`` beside its image."""

    box: str = Field(
        description="x0,y0,x1,y1 in pixels, around the whole object", pattern=f"^{NUMBER}(,{NUMBER}){{3}}$"
    )


def remove_routes(fill: Fill) -> APIRouter:
    """The routes of this module."""
    router, pool, most = APIRouter(tags=["remove"]), fill.pool, fill.settings.max_megapixels

    @router.post(
        "/v1/remove",
        summary="Remove what a mask marks",
        description="White in the mask is removed; of a coloured mask what is not black. In a mask with alpha what is "
        "transparent is kept, and all the rest is removed where nothing of it is white.",
        openapi_extra=request_body(RemoveFields, required=("image", "mask"), optional=("avoid", "prefer")),
        responses=image_answer("image/png", "image/jpeg", "image/webp", "multipart/form-data") | ERRORS,
        response_class=Response,
    )
    async def remove(request: Request) -> Response:
        with pool.entrance():
            upload = await read_upload(request, IMAGES)
            fields = upload.read(RemoveFields)
            more: tuple[Output, ...] = ("history",) if "iterations" in fields.outputs else ()
            options = fields.options(fill.base, "confidence", *more)
            answer = partial(_answer, kind=fields.format, outputs=fields.outputs)
            return await fill.run(request, upload, options, answer, colours=True)

    @router.post(
        "/v1/object",
        summary="Find the object in a box",
        description="Cuts the object out of the box by its colours (GrabCut). The answer is a mask, white = object.",
        openapi_extra=request_body(ObjectFields, required=("image",)),
        responses=image_answer("image/png") | ERRORS,
        response_class=Response,
    )
    async def find_object(request: Request) -> Response:
        with pool.entrance():
            upload = await read_upload(request, ("image",))
            box = [float(number) for number in upload.read(ObjectFields).box.split(",")]
            content = upload.image("image")
            check_image(content, "image", most)

            def cut() -> Response:
                mask = grabcut_mask(decode_image(content, "the image", max_megapixels=most), box)
                return Response(encode(mask, "png"), media_type="image/png")

            return await unless_gone(request.receive, pool.run_beside(cut))

    return router


def _answer(filled: Filled, kind: Literal["png", "jpeg", "webp"] | None, outputs: tuple[str, ...]) -> Response:
    if kind is None:
        own = filled.header.format
        kind = own if own in ("png", "jpeg", "webp") else "png"
    content, media_type = filled.encode(kind), f"image/{kind}"
    if not outputs:
        return Response(content, headers=filled.told(), media_type=media_type)
    result = filled.result
    parts = [("image", media_type, content)]
    if "confidence" in outputs:
        assert result.confidence is not None
        grey = np.rint(result.confidence * 255).astype(np.uint8)
        parts.append(("confidence", "image/png", encode(grey, "png")))
    if "iterations" in outputs:
        strip = iterations_strip(filled.image, result.hole, result)
        parts.append(("iterations", "image/jpeg", encode(strip, "jpeg")))
    info = {
        "iterations": result.iterations,
        "regions": result.regions,
        "time_ms": round(result.timings.total_ms, 1),
        "confidence": filled.confidence,
        "warnings": sorted({str(warning) for warning in result.warnings}),
    }
    parts.append(("info", "application/json", json.dumps(info).encode()))
    boundary = secrets.token_hex(16)
    body = b"".join(_part(boundary, *part) for part in parts) + f"--{boundary}--\r\n".encode()
    return Response(body, media_type=f"multipart/form-data; boundary={boundary}")


def _part(boundary: str, name: str, media_type: str, content: bytes) -> bytes:
    """A part of a form, which browsers take apart with ``response.formData()``."""
    # What has a file name becomes a Blob there, and `info` is to be a text.
    file = "" if name == "info" else f'; filename="{name}.{media_type.partition("/")[2]}"'
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"{file}\r\nContent-Type: {media_type}\r\n\r\n'
    return head.encode() + content + b"\r\n"
