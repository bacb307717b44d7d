"""As much of the ONNX file format as building engines needs, so that the runtime does without the onnx package."""

from __future__ import annotations

from iic_rt.bundle.manifest import OPERATORS
from iic_rt.bundle.onnx_fields import fields

__all__ = ["needs_plugin", "without_functions"]

FUNCTIONS = 25  # field of ModelProto that holds the model's own functions


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
    return b"".join(model[f.start : f.stop] for f in fields(model) if f.number != FUNCTIONS)
