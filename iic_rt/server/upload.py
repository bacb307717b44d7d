"""What a request brings: images and fields, as a form or as JSON."""

from __future__ import annotations

import asyncio
import binascii
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import from_json
from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from starlette.requests import ClientDisconnect, Request

from iic_rt.image_header import ImageHeader, image_format, read_header
from iic_rt.server.answers import ApiError

__all__ = ["Upload", "called", "check_image", "read_upload"]

Model = TypeVar("Model", bound=BaseModel)

MOST_PARTS = 100  # of a form; IOPaint's older clients send about fifty
LONGEST_FIELD = 65_536  # bytes of a field that is no image
FORMATS = "png, jpg, webp, bmp, tif or gif"


@dataclass
class Upload:
    """What came.

    Attributes:
        images: encoded images by name, those that are not empty.
        fields: everything else, by name: texts of a form, or values of JSON. Empty ones are left out.
    """

    images: dict[str, bytes] = field(default_factory=dict)
    fields: dict[str, Any] = field(default_factory=dict)

    def image(self, name: str) -> bytes:
        """One that is needed.

        Raises:
            ApiError: it is missing.
        """
        if name not in self.images:
            raise ApiError(422, "field", f"{name} is missing; send an image under this name")
        return self.images[name]

    def read(self, model: type[Model]) -> Model:
        """The fields that the model has, checked; others are ignored.

        Raises:
            ApiError: one has a value that is not allowed.
        """
        try:
            return model.model_validate(self.fields)
        except ValidationError as error:
            found = error.errors(include_url=False, include_input=False, include_context=False)
            name = found[0]["loc"][0]
            allowed = " or ".join(wrong["msg"] for wrong in found if wrong["loc"][0] == name)
            raise ApiError(422, "field", f"{name}: {allowed}") from None


async def read_upload(request: Request, images: Sequence[str]) -> Upload:
    """Reads the body to its end.

    Args:
        request: with a form or JSON.
        images: names of those fields that are images: files of the form, or base64 in the JSON.

    Raises:
        ApiError: of another type (415), not what its type says (400), or its client is gone.
    """
    kind, options = parse_options_header(request.headers.get("content-type"))
    if request.headers.get("content-encoding", "identity") != "identity":
        raise ApiError(415, "type", "compressed requests are not read; images are small enough as they are")
    if kind not in (b"multipart/form-data", b"application/json"):
        raise ApiError(415, "type", "send multipart/form-data or application/json")
    try:
        body = b"".join([chunk async for chunk in request.stream()])  # not kept by the request, as its body() is
    except ClientDisconnect:
        raise ApiError(499, "gone", "the client closed the connection") from None
    if kind == b"application/json":
        return await asyncio.to_thread(_from_json, body, images)
    return await asyncio.to_thread(_from_form, body, options.get(b"boundary", b""), images)


def _from_json(body: bytes, images: Sequence[str]) -> Upload:
    try:
        values = from_json(body)
    except ValueError:
        raise ApiError(400, "bad_input", "the body is no JSON") from None
    if not isinstance(values, dict):
        raise ApiError(422, "field", "the JSON is no object; send {...} with the fields by name")
    upload = Upload()
    for name, value in values.items():
        if value is None or value == "":
            continue
        if name not in images:
            upload.fields[name] = value
        elif isinstance(value, str):
            upload.images[name] = _from_base64(value, name)
        else:
            raise ApiError(422, "field", f"{name} is no text; send the image in base64")
    return upload


def _from_base64(text: str, name: str) -> bytes:
    """Also of a data URL (``data:image/png;base64,...``), whatever type it says."""
    if text.startswith("data:"):
        text = text.partition(",")[2]
    try:
        content = binascii.a2b_base64(text)
    except (binascii.Error, ValueError):
        raise ApiError(400, "bad_input", f"{name} is no base64") from None
    if not content:
        raise ApiError(400, "bad_input", f"{name} holds nothing")
    return content


def _from_form(body: bytes, boundary: bytes, images: Sequence[str]) -> Upload:
    if not 0 < len(boundary) <= 70:
        raise ApiError(400, "bad_input", "the form has no boundary, or one of more than 70 characters")
    upload = Upload()
    for name, content in _Form(boundary).parts(body):
        if not content:
            continue
        if name in images:
            upload.images[name] = content
        elif len(content) <= LONGEST_FIELD:
            upload.fields[name] = content.decode("utf-8", "replace")
        else:
            raise ApiError(413, "too_large", f"a field that is no image has more than {LONGEST_FIELD} bytes")
    return upload


class _Form:
    """Takes a form apart, in memory: an upload never becomes a file."""

    def __init__(self, boundary: bytes) -> None:
        self._boundary = boundary
        self._name = self._value = b""
        self._headers: dict[bytes, bytes] = {}
        self._parts: list[tuple[str, bytearray]] = []
        self._ended = False

    def parts(self, body: bytes) -> list[tuple[str, bytes]]:
        """Names and contents.

        Raises:
            ApiError: it is no such form.
        """
        parser = MultipartParser(
            self._boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._add_name,
                "on_header_value": self._add_value,
                "on_header_end": self._end_header,
                "on_headers_finished": self._end_headers,
                "on_part_data": self._add_data,
                "on_end": self._end,
            },
        )
        try:
            parser.write(body)
        except FormParserError:
            self._ended = False
        if not self._ended:
            raise ApiError(400, "bad_input", "the body is no multipart/form-data, or its end is missing")
        return [(name, bytes(content)) for name, content in self._parts]

    def _end(self) -> None:
        self._ended = True

    def _begin(self) -> None:
        self._headers = {}
        if len(self._parts) >= MOST_PARTS:
            raise ApiError(400, "bad_input", f"the form has more than {MOST_PARTS} parts")

    def _add_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _add_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        self._headers[self._name.lower()] = self._value
        self._name = self._value = b""

    def _end_headers(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition"))
        if b"name" not in options:
            raise ApiError(400, "bad_input", "a part of the form has no name")
        self._parts.append((options[b"name"].decode("utf-8", "replace"), bytearray()))

    def _add_data(self, data: bytes, start: int, end: int) -> None:
        self._parts[-1][1].extend(memoryview(data)[start:end])


def called(name: str) -> str:
    """What errors call the image of that name."""
    return f"the {name}" if name in ("image", "mask") else f"the {name} mask"


def check_image(content: bytes, name: str, max_megapixels: float) -> ImageHeader:
    """Looks at an image's header before anything of it is decoded.

    Raises:
        ApiError: of no format that is read (415), or too large (413).
        InputError: damaged.
    """
    if image_format(content) is None:
        raise ApiError(415, "type", f"{called(name)} is no image of a known format; allowed: {FORMATS}")
    header = read_header(content, called(name))
    if header.megapixels > max_megapixels:
        text = f"{called(name)} is {header.width}x{header.height}; at most {max_megapixels:g} megapixels are taken"
        raise ApiError(413, "too_large", text)
    return header
