"""What the OpenAPI document says of bodies and answers that are not described by types."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

from iic_rt.server.answers import ErrorAnswer

__all__ = ["ERRORS", "describe_token", "image_answer", "request_body"]

REASONS = {
    400: "an image is damaged, or the masks do not fit it",
    401: "the token is missing or wrong",
    403: "the server is not known by this name, or the page may not ask",
    408: "the request came too slowly",
    413: "too many bytes or megapixels",
    415: "neither a form nor JSON, or not an image",
    422: "a field is missing or out of range",
    429: "the queue is full; Retry-After says when to come again",
    503: "starting or about to end; Retry-After says when to come again",
}
ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorAnswer, "description": reason} for status, reason in REASONS.items()
}


def image_answer(*media_types: str) -> dict[int | str, dict[str, Any]]:
    """The answer of a route that gives images."""
    binary = {"schema": {"type": "string", "format": "binary"}}
    return {200: {"description": "the image", "content": dict.fromkeys(media_types, binary)}}


def request_body(
    fields: type[BaseModel], *, required: Sequence[str] = (), optional: Sequence[str] = (), form: bool = True
) -> dict[str, Any]:
    """A body that is JSON with images in base64, or a form with images as files.

    Args:
        fields: what there is beside the images.
        required, optional: names of the images.
        form: whether a form is taken as well as JSON.
    """
    schema = fields.model_json_schema()
    needed = [*required, *schema.get("required", ())]

    def described(image: dict[str, Any]) -> dict[str, Any]:
        images = {name: image | {"description": _said(name)} for name in (*required, *optional)}
        return {"type": "object", "properties": images | schema["properties"], "required": needed}

    content = {"application/json": {"schema": described({"type": "string", "contentEncoding": "base64"})}}
    if form:
        content = {"multipart/form-data": {"schema": described({"type": "string", "format": "binary"})}} | content
    return {"requestBody": {"required": True, "content": content}}


def _said(name: str) -> str:
    return {
        "image": "png, jpg, webp, bmp, tif or gif, 8 bits a channel",
        "mask": "as large as the image; white is removed",
        "avoid": "as large as the image; white is never copied from",
        "prefer": "as large as the image; white alone is copied from",
    }[name]


def describe_token(document: dict[str, Any], open_paths: Sequence[str]) -> None:
    """Adds to an OpenAPI document that all paths but these need a token."""
    document.setdefault("components", {})["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    for path, operations in document["paths"].items():
        if path not in open_paths:
            for operation in operations.values():
                operation["security"] = [{"token": []}]
