"""The fields of a serialised protobuf message, which an ONNX file is, without the onnx package."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Field", "fields", "payloads"]

VARINT, EIGHT_BYTES, LENGTH, FOUR_BYTES = 0, 1, 2, 5  # wire types


@dataclass(frozen=True)
class Field:
    """One field of a message.

    Attributes:
        number: of the field.
        start, stop: where the field lies in the message, its tag included.
        value: a number, or the bytes of a string or of a message in the message; empty for a float.
    """

    number: int
    start: int
    stop: int
    value: int | memoryview


def fields(message: bytes | memoryview) -> Iterator[Field]:
    """The fields of a message in their order.

    Raises:
        ValueError: the bytes are no message.
    """
    view, at = memoryview(message), 0
    while at < len(view):
        start = at
        tag, at = _varint(view, at)
        kind = tag & 7
        value: int | memoryview = view[:0]
        if kind == VARINT:
            value, at = _varint(view, at)
        elif kind == LENGTH:
            length, at = _varint(view, at)
            value, at = view[at : at + length], at + length
        elif kind in (EIGHT_BYTES, FOUR_BYTES):
            at += 8 if kind == EIGHT_BYTES else 4
        else:
            raise ValueError(f"wire type {kind} at byte {start}")
        if at > len(view):
            raise ValueError(f"the field at byte {start} is cut off")
        yield Field(tag >> 3, start, at, value)


def payloads(message: bytes | memoryview, number: int) -> list[memoryview]:
    """The strings or messages in the fields of one number.

    Raises:
        ValueError: as :func:`fields`.
    """
    return [field.value for field in fields(message) if field.number == number and not isinstance(field.value, int)]


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    """The number at a position, and the position behind it."""
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise ValueError("a number is cut off or too long")
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
