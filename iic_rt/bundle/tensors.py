"""The inputs and outputs of graphs: as the manifest describes them, as a file has them, as this version needs them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from iic_rt.bundle.onnx_fields import fields, payloads
from iic_rt.bundle.shapes import RegionShapes

__all__ = ["GRAPHS", "TensorSpec", "file_tensors", "unfit"]


@dataclass(frozen=True)
class TensorSpec:
    """Name, numpy dtype name and shape of one input or output; a string in the shape is a dimension that may vary."""

    name: str
    dtype: str
    shape: tuple[int | str, ...]

    def __str__(self) -> str:
        return f"{self.name} {self.dtype}[{', '.join(map(str, self.shape))}]"


INPUTS = RegionShapes(side=128, working_size=64).inputs()  # of every graph; the sizes stand for any
OUTPUTS = {
    "prepare": {"y", "m"},
    "step": {"y_out", "m_out", "c_out"},
    "seam": {"low"},
    "composite": {"filled"},
    "similarity": {"q"},
    "search": {"offset", "share"},
    "refine": {"refined", "matched"},
    "detail": {"detail", "inside"},
    "replace": {"mixed", "missing"},
    "add_detail": {"filled"},
}
GRAPHS = tuple(OUTPUTS)
DTYPES = {1: "float32", 2: "uint8", 6: "int32", 7: "int64", 9: "bool", 10: "float16"}

# Fields of ModelProto, GraphProto, ValueInfoProto, TypeProto, its Tensor, TensorShapeProto and its Dimension.
GRAPH, INPUT, OUTPUT, NAME, TYPE, TENSOR, ELEMENT, SHAPE, DIMENSION, SIZE, SYMBOL = 7, 11, 12, 1, 2, 1, 1, 2, 1, 1, 2


def unfit(graph: str, inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec]) -> str | None:
    """Why a graph cannot be the one of that name; None where its inputs and outputs are those that are bound to it."""
    expected = INPUTS[graph]
    for what, wanted, found in (("inputs", set(expected), inputs), ("outputs", OUTPUTS[graph], outputs)):
        names = [spec.name for spec in found]
        if sorted(names) != sorted(wanted):
            return f"has the {what} {', '.join(names) or 'none'}, and {graph!r} takes {', '.join(sorted(wanted))}"
    for spec in inputs:
        shape = expected[spec.name]
        fits = len(spec.shape) == len(shape) and all(
            isinstance(has, str) or has == n for has, n in zip(spec.shape, shape, strict=True)
        )
        if not fits:
            return f"has the input {spec}, and {graph!r} is given {list(shape)} for example"
    return None


def file_tensors(model: bytes) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """Inputs and outputs of a serialised ONNX model.

    Raises:
        ValueError: the bytes are not a serialised model.
    """
    graphs = payloads(model, GRAPH)
    if len(graphs) != 1:
        raise ValueError(f"it has {len(graphs)} graphs")
    found: dict[int, list[TensorSpec]] = {INPUT: [], OUTPUT: []}
    for field in fields(graphs[0]):
        if field.number in found and not isinstance(field.value, int):
            found[field.number].append(_spec(field.value))
    return tuple(found[INPUT]), tuple(found[OUTPUT])


def _spec(value: memoryview) -> TensorSpec:
    name = b"".join(payloads(value, NAME)).decode()
    tensor = b"".join(payloads(b"".join(payloads(value, TYPE)), TENSOR))
    element = next((field.value for field in fields(tensor) if field.number == ELEMENT), 0)
    dimensions = payloads(b"".join(payloads(tensor, SHAPE)), DIMENSION)
    dtype = DTYPES.get(element, f"type {element}") if isinstance(element, int) else "no type"
    return TensorSpec(name, dtype, tuple(map(_dimension, dimensions)))


def _dimension(message: memoryview) -> int | str:
    size: int | str = 0
    for field in fields(message):
        if field.number == SIZE and isinstance(field.value, int):
            size = field.value
        elif field.number == SYMBOL and not isinstance(field.value, int):
            size = bytes(field.value).decode()
    return size
