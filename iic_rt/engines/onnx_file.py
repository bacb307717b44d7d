"""As much of the ONNX file format as building engines needs, so that the runtime does without the onnx package."""

from __future__ import annotations

from iic_rt.bundle.manifest import OPERATORS

__all__ = ["needs_plugin", "without_functions"]

FUNCTIONS = 25  # field of ModelProto that holds the model's own functions
VARINT, EIGHT_BYTES, LENGTH, FOUR_BYTES = 0, 1, 2, 5  # wire types of protobuf


def needs_plugin(model: bytes) -> bool:
    """Whether one of the project's own operators is among those of a serialised model."""
    return any(name.encode() in model for name in OPERATORS)


def without_functions(model: bytes) -> bytes:
    """The serialised model without its own functions, so that a parser must take the plugin in their place.

    TensorRT before 10.7 prefers a function to a plugin, later ones fall back to it. Where the body can be built, it is
    many times slower.

    Raises:
        ValueError: the bytes are not a serialised model.
    """
    kept, at = [], 0
    while at < len(model):
        start = at
        tag, at = _varint(model, at)
        kind = tag & 7
        if kind == VARINT:
            _, at = _varint(model, at)
        elif kind == LENGTH:
            length, at = _varint(model, at)
            at += length
        elif kind in (EIGHT_BYTES, FOUR_BYTES):
            at += 8 if kind == EIGHT_BYTES else 4
        else:
            raise ValueError(f"wire type {kind} at byte {start}")
        if at > len(model):
            raise ValueError(f"the field at byte {start} is cut off")
        if tag >> 3 != FUNCTIONS:
            kept.append(model[start:at])
    return b"".join(kept)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """The number at a position, and the position behind it."""
    value = shift = 0
    while True:
        if at >= len(data):
            raise ValueError("a number is cut off")
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
