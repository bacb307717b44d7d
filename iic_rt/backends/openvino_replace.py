"""The ``replace`` graph for OpenVINO: gathering and blending in numpy, softmax and products as an OpenVINO model.

OpenVINO runs no function inside a model, and that is what ``iic::PatchReplace`` is there. As its whole cost is moving
memory, only what is used is moved: rows of valid patches, hole rows, and cells inside the hole. The result is that of
the graph (docs/patch-replace.md, export/patch_replace.py); shapes of the tensors are in export/upsample_graphs.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from iic_rt.backends.host import HostBuffer
from iic_rt.contract import Binding
from iic_rt.errors import BackendError

__all__ = ["ReplaceBinding", "attention_model", "read_scale"]

ROWS_PER_BLOCK = 1024  # as in the graph; bounds the memory where OpenVINO does not fuse softmax and products
SMALLEST = np.float32(1e-6)  # weight of a cell that no replaced patch reaches, as in the graph

Array = NDArray[np.float32]


def read_scale(path: Path) -> float:
    """The attribute ``scale`` of the ``iic::PatchReplace`` node in the graph at ``path``."""
    import openvino
    from openvino.frontend.onnx import ConversionExtension

    found: list[float] = []

    def convert(node: Any) -> list[Any]:
        found.append(float(node.get_attribute("scale")))
        return [node.get_input(2), node.get_input(3)]

    core = openvino.Core()
    core.add_extension(ConversionExtension("PatchReplace", "iic", convert))
    core.read_model(path)
    return found[0]


def attention_model() -> Any:
    """``softmax(q kᵀ) v`` for q [H, D], k [V, D] and v [V, Dv], which OpenVINO fuses where it can."""
    import openvino
    from openvino import opset8 as ops

    q, k, v = (ops.parameter([-1, -1], np.float32, name=name) for name in "qkv")
    for parameter in (q, k, v):
        parameter.output(0).set_names({parameter.get_friendly_name()})
    share = ops.softmax(ops.matmul(q, k, False, True), -1)
    return openvino.Model([ops.matmul(share, v, False, False)], [q, k, v], "attention")


def halves(values: Array) -> tuple[Array, Array]:
    """The nearest bf16 to each value, and what is missing; both are float32."""
    bits = (values.view(np.uint32) + np.uint32(0x8000)) & np.uint32(0xFFFF0000)
    high = bits.view(np.float32)
    return high, values - high


class ReplaceBinding(Binding):
    """One ``replace`` on its buffers.

    Args:
        attention: :func:`attention_model`, compiled.
        scale: factor of the cosines.
        precision: what ``attention`` computes in.
        inputs: of the graph.
        outputs: of the graph.
    """

    def __init__(
        self,
        attention: Any,
        scale: float,
        precision: str,
        inputs: Mapping[str, HostBuffer],
        outputs: Mapping[str, HostBuffer],
    ) -> None:
        self._attention, self._request = attention, attention.create_infer_request()
        self._scale, self._exact = np.float32(scale), precision == "fp32"
        self._in = {name: buffer.host for name, buffer in inputs.items()}
        self._out = {name: buffer.host for name, buffer in outputs.items()}

    def enqueue(self) -> None:
        features, mixed = self._in["features"][0], self._out["mixed"][0]
        inside = self._in["inside"][0, 0] > 0
        weight = self._in["weight"].ravel()
        rows, valid = np.flatnonzero(self._in["hole"] > 0), np.flatnonzero(weight > 0)
        if valid.size == 0:
            rows = rows[:0]
        elif valid.size == 1:
            # After a product with one column, OpenVINO 2026.4 computes all later ones wrongly. Twice the same row
            # gives the same.
            valid = np.repeat(valid, 2)
        replaced = self._out["replaced"]
        replaced[:] = 0
        replaced.ravel()[rows] = 1
        np.copyto(mixed, features)
        if not rows.size:
            mixed[:, inside] = 0
            return
        copied = self._copied(features, rows, valid, weight[valid])
        blended = np.ascontiguousarray(self._blended(copied, rows, *np.nonzero(inside)).T)
        cells = np.flatnonzero(inside)
        for plane, values in zip(mixed.reshape(len(mixed), -1), blended, strict=True):
            plane[cells] = values

    def _copied(self, features: Array, rows: NDArray[np.intp], valid: NDArray[np.intp], weight: Array) -> Array:
        """What the hole patches become, [rows, side * side, channels]: each a window of ``side`` x ``side`` cells."""
        channels, cells = features.shape[:2]
        groups = self._in["hole"].shape[-1]
        windows = self._in["windows"].reshape(groups, -1)
        tall, wide = windows[valid // groups] * cells, windows[valid % groups]
        by_cell = np.ascontiguousarray(features.reshape(channels, -1).T)
        values = np.take(by_cell, (tall[:, :, None] + wide[:, None, :]).reshape(len(valid), -1), axis=0)
        q = self._in["q"][0]
        # The weight is one more factor of the product: 1 * log(weight).
        queries = np.hstack((q[rows], np.ones((len(rows), 1), np.float32)))
        keys = np.hstack((q[valid] * self._scale, np.log(weight)[:, None]))
        if not self._exact:
            # A cosine times the scale rounded to bf16 is off by one and more: both factors go in two halves.
            (query, query_rest), (key, key_rest) = halves(queries), halves(keys)
            queries, keys = np.hstack((query, query_rest, query)), np.hstack((key, key, key_rest))
        copied = np.empty((len(rows), values.shape[1] * channels), np.float32)
        try:
            for at in range(0, len(rows), ROWS_PER_BLOCK):
                block = slice(at, at + ROWS_PER_BLOCK)
                tensors = {"q": queries[block], "k": keys, "v": values.reshape(len(valid), -1)}
                copied[block] = self._request.infer(tensors, share_inputs=True)[0]
        except Exception as error:  # the engine's own errors share no base class
            raise BackendError(f"openvino failed while replacing patches: {error}") from error
        return copied.reshape(len(rows), -1, channels)

    def _blended(self, copied: Array, rows: NDArray[np.intp], r: NDArray[np.intp], c: NDArray[np.intp]) -> Array:
        """The cells at ``r``, ``c`` from the windows that reach them, [cells, channels]."""
        first, second, share = (self._in[name] for name in ("first", "second", "share"))
        groups, side = self._in["hole"].shape[-1], len(self._in["windows"]) // self._in["hole"].shape[-1]
        index = np.full(groups * groups, -1)
        index[rows] = np.arange(len(rows))
        total, reached = np.zeros((len(r), copied.shape[-1]), np.float32), np.zeros(len(r), np.float32)
        flat = copied.reshape(-1, copied.shape[-1])
        for tall, part in ((first[r], share[r]), (second[r], 1 - share[r])):
            for wide, part_wide in ((first[c], share[c]), (second[c], 1 - share[c])):
                patch = index[tall // side * groups + wide // side]
                weight = part * part_wide
                at = np.flatnonzero((patch >= 0) & (weight > 0))
                cell = patch[at] * side * side + tall[at] % side * side + wide[at] % side
                total[at] += np.take(flat, cell, axis=0) * weight[at, None]
                reached[at] += weight[at]
        blended: Array = total / np.maximum(reached, SMALLEST)[:, None]
        return blended
