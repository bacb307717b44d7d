"""ONNX Runtime with a clock on every graph."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Mapping
from typing import Any, ClassVar

from iic_rt import Inpainter
from iic_rt.backends.onnxruntime import OnnxRuntimeBackend
from iic_rt.backends.registry import BACKENDS
from iic_rt.contract import Binding, Buffer

__all__ = ["TimedBackend", "timed_inpainter"]


class TimedBinding(Binding):
    """A binding that adds up the seconds it takes."""

    def __init__(self, graph: str, binding: Binding) -> None:
        self._graph, self._binding = graph, binding

    def enqueue(self) -> None:
        started = time.perf_counter()
        self._binding.enqueue()
        TimedBackend.seconds[self._graph] += time.perf_counter() - started


class TimedBackend(OnnxRuntimeBackend):
    """ONNX Runtime; ``seconds`` holds what each graph has taken in all since it was cleared."""

    name: ClassVar[str] = "timed"
    seconds: ClassVar[defaultdict[str, float]] = defaultdict(float)

    def bind(self, graph: str, inputs: Mapping[str, Buffer], outputs: Mapping[str, Buffer]) -> Binding:  # type: ignore[override]
        return TimedBinding(graph, super().bind(graph, inputs, outputs))


def timed_inpainter(**arguments: Any) -> Inpainter:
    """An :class:`iic_rt.Inpainter` on the timed backend."""
    BACKENDS["timed"] = TimedBackend
    try:
        return Inpainter(backend="timed", **arguments)
    finally:
        del BACKENDS["timed"]
