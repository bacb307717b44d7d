"""IOPaint's API, for the clients that speak it. What only its own models know is accepted and ignored."""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

import cv2
import numpy as np
from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field

from iic_rt.image_io import decode_grey
from iic_rt.server.answers import ApiError
from iic_rt.server.fill import Fill, Filled, FillFields
from iic_rt.server.images import IMAGES, encode
from iic_rt.server.inbox import unless_gone
from iic_rt.server.openapi import ERRORS, image_answer, request_body
from iic_rt.server.upload import check_image, read_upload

__all__ = ["iopaint_routes"]

SEEDS = 2**53  # whole numbers that every client of JSON can hold
MARKED = (0, 203, 255, 186)  # BGRA of what a mask of IOPaint's page marks: ffcb00 at 73 %
LARGEST_KERNEL = 100  # pixels, as on IOPaint's page


class InpaintFields(FillFields):
    """Fields of ``/api/v1/inpaint`` that mean something here; IOPaint's others are ignored."""

    sd_seed: int = Field(42, ge=-SEEDS, le=SEEDS, description="comes back in X-Seed; the filling does not depend on it")


class AdjustFields(BaseModel):
    """Fields of ``/api/v1/adjust_mask``."""

    operate: Literal["expand", "shrink", "reverse"]
    kernel_size: int = Field(5, ge=0, le=LARGEST_KERNEL, description="pixels")


class ModelFields(BaseModel):
    """Fields of ``POST /api/v1/model``."""

    name: str


def iopaint_routes(fill: Fill) -> APIRouter:
    """The routes of this module."""
    router, pool, most = APIRouter(tags=["IOPaint"]), fill.pool, fill.settings.max_megapixels

    def name() -> str:
        return "iic-rt" if pool.inpainter is None else pool.inpainter.bundle.name

    async def inpaint_with(request: Request, model: type[FillFields]) -> Response:
        with pool.entrance():
            upload = await read_upload(request, IMAGES)
            fields = upload.read(model)
            seed = getattr(fields, "sd_seed", 42)
            return await fill.run(
                request, upload, fields.options(fill.base, "confidence"), partial(_answer, seed=seed), colours=False
            )

    @router.post(
        "/api/v1/inpaint",
        summary="Fill a hole",
        openapi_extra=request_body(InpaintFields, required=("image", "mask"), optional=("avoid", "prefer")),
        responses=image_answer("image/png", "image/jpeg", "image/webp", "image/bmp", "image/tiff") | ERRORS,
        response_class=Response,
    )
    async def inpaint(request: Request) -> Response:
        return await inpaint_with(request, InpaintFields)

    @router.post(
        "/inpaint",
        summary="Fill a hole, as clients older than IOPaint 1.0 ask for it",
        openapi_extra=request_body(FillFields, required=("image", "mask"), optional=("avoid", "prefer")),
        responses=image_answer("image/png", "image/jpeg", "image/webp", "image/bmp", "image/tiff") | ERRORS,
        response_class=Response,
    )
    async def inpaint_as_before(request: Request) -> Response:
        return await inpaint_with(request, FillFields)

    @router.get("/api/v1/server-config", summary="What the server can do", responses=ERRORS)
    async def server_config() -> dict[str, Any]:
        return {
            "plugins": [],
            "modelInfos": [_model_info(name())],
            "removeBGModel": "",
            "removeBGModels": [],
            "realesrganModel": "",
            "realesrganModels": [],
            "interactiveSegModel": "",
            "interactiveSegModels": [],
            "enableFileManager": False,
            "enableAutoSaving": False,
            "enableControlnet": False,
            "controlnetMethod": None,
            "disableModelSwitch": True,
            "isDesktop": False,
            "samplers": [],
        }

    @router.get("/api/v1/model", summary="The model in use", responses=ERRORS)
    async def model() -> dict[str, Any]:
        return _model_info(name())

    @router.post(
        "/api/v1/model",
        summary="Switch the model",
        description="There is one, which can be asked for.",
        openapi_extra=request_body(ModelFields),
        responses=ERRORS,
    )
    async def switch_model(request: Request) -> dict[str, Any]:
        asked = (await read_upload(request, ())).read(ModelFields).name
        if asked != name():
            raise ApiError(400, "bad_input", f"the only model here is {name()}")
        return _model_info(name())

    @router.get("/api/v1/samplers", summary="Samplers of diffusion models: none", responses=ERRORS)
    @router.post("/api/v1/samplers", include_in_schema=False)  # the page of IOPaint asks this way
    async def samplers() -> Response:
        return JSONResponse([])

    @router.post(
        "/api/v1/adjust_mask",
        summary="Grow, shrink or invert a mask",
        openapi_extra=request_body(AdjustFields, required=("mask",)),
        responses=image_answer("image/png") | ERRORS,
        response_class=Response,
    )
    async def adjust_mask(request: Request) -> Response:
        with pool.entrance():
            upload = await read_upload(request, ("mask",))
            fields, content = upload.read(AdjustFields), upload.image("mask")
            check_image(content, "mask", most)

            def adjust() -> Response:
                mask = decode_grey(content, "the mask", max_megapixels=most)
                return Response(_adjusted(mask, fields.operate, fields.kernel_size), media_type="image/png")

            return await unless_gone(request.receive, pool.run_beside(adjust))

    return router


def _answer(filled: Filled, seed: int) -> Response:
    own = filled.header.format
    kind = "png" if own == "gif" else own
    headers = filled.told() | {"X-Seed": str(seed), "Access-Control-Expose-Headers": "X-Seed, X-Confidence"}
    return Response(filled.encode(kind), headers=headers, media_type=f"image/{kind}")


def _adjusted(mask: Any, operate: str, size: int) -> bytes:
    """The mask as IOPaint's page draws it: a colour on nothing."""
    marked = mask >= 127
    if operate == "reverse":
        marked = ~marked
    elif size:  # by distances, whose time does not go with the size
        inside = np.where(marked == (operate == "shrink"), np.uint8(255), np.uint8(0))
        distance = cv2.distanceTransform(inside, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        marked = distance > size if operate == "shrink" else distance <= size
    drawn = np.zeros((*marked.shape, 4), np.uint8)
    drawn[marked] = MARKED
    return encode(drawn, "png")


def _model_info(name: str) -> dict[str, Any]:
    wants = ("need_prompt", "support_strength", "support_outpainting", "support_lcm_lora", "support_controlnet")
    more = ("support_brushnet", "support_powerpaint_v2", "is_single_file_diffusers")
    return {
        "name": name,
        "path": name,
        "model_type": "inpaint",
        "controlnets": [],
        "brushnets": [],
        **dict.fromkeys((*wants, *more), False),
    }
