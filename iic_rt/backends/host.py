"""What backends on the CPU have in common: memory is one, work is done when it is asked for."""

from __future__ import annotations

import time
from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from iic_rt.bundle.manifest import Bundle
from iic_rt.contract import Backend, Binding, Buffer, Event
from iic_rt.errors import BackendError
from iic_rt.patches import SearchOptions, refine, replace_patches, search_patches
from iic_rt.pixels import close_seam, put_into_hole, shrink_region, take_detail

__all__ = ["IN_NUMPY", "HostBackend", "HostBuffer", "host_buffers"]

# Graphs that no engine on the CPU opens, that take it several times as long, or that it compiles for every size.
IN_NUMPY = frozenset({"prepare", "seam", "search", "refine", "replace", "detail", "add_detail", "composite"})


class HostBuffer(Buffer):
    """A C-contiguous numpy array."""

    def __init__(self, shape: tuple[int, ...], dtype: str) -> None:
        self.host: NDArray[Any] = np.empty(shape, dtype)
        self.shape, self.dtype = shape, self.host.dtype

    def stage(self, array: NDArray[Any]) -> None:
        self.check(array)
        np.copyto(self.host, array)

    def upload(self) -> None:
        pass

    def download(self) -> None:
        pass

    def read(self) -> NDArray[Any]:
        return self.host


class PrepareBinding(Binding):
    """``prepare`` in numpy and OpenCV: nothing has to be compiled for a size that is new."""

    def __init__(self, inputs: Mapping[str, HostBuffer], outputs: Mapping[str, HostBuffer]) -> None:
        self._inputs, self._outputs = inputs, outputs

    def enqueue(self) -> None:
        image, visible, weights, order = (self._inputs[name].host for name in ("image", "visible", "weights", "order"))
        shrink_region(image, visible, weights, order, self._outputs["y"].host[0], self._outputs["m"].host[0, 0])


class SearchBinding(Binding):
    """``search`` in numpy: hole rows and valid columns alone, where a graph of fixed shapes computes all pairs."""

    def __init__(
        self, options: SearchOptions, inputs: Mapping[str, HostBuffer], outputs: Mapping[str, HostBuffer]
    ) -> None:
        self._options, self._inputs, self._outputs = options, inputs, outputs

    def enqueue(self) -> None:
        q, hole, weight = (self._inputs[name].host[0] for name in ("q", "hole", "weight"))
        offset, share = search_patches(q, hole, weight, self._options)
        self._outputs["offset"].host[0], self._outputs["share"].host[0] = offset, share


class RefineBinding(Binding):
    """``refine`` in numpy: only hole patches are matched, and no candidate twice that is the one before."""

    def __init__(self, inputs: Mapping[str, HostBuffer], outputs: Mapping[str, HostBuffer]) -> None:
        self._inputs, self._outputs = inputs, outputs

    def enqueue(self) -> None:
        low, m, valid, offset, share = (self._inputs[name].host[0] for name in ("low", "m", "valid", "offset", "share"))
        refined, matched = refine(low, m[0], valid, offset[0], share[0])
        self._outputs["refined"].host[0], self._outputs["matched"].host[0, 0] = refined, matched


class ReplaceBinding(Binding):
    """``replace`` in numpy: only the pixels inside the hole are touched."""

    def __init__(self, inputs: Mapping[str, HostBuffer], outputs: Mapping[str, HostBuffer]) -> None:
        self._inputs, self._outputs = inputs, outputs

    def enqueue(self) -> None:
        detail, inside, offset, share = (self._inputs[name].host[0] for name in ("detail", "inside", "offset", "share"))
        mixed = self._outputs["mixed"].host[0]
        np.copyto(mixed, detail)
        self._outputs["missing"].host[0, 0] = replace_patches(mixed, inside[0], offset, share)


class SeamBinding(Binding):
    """``seam`` in numpy: only what is near the hole is computed."""

    def __init__(self, inputs: Mapping[str, HostBuffer], outputs: Mapping[str, HostBuffer]) -> None:
        self._y, self._m, self._low = inputs["y"].host[0], inputs["m"].host[0, 0], outputs["low"].host[0]

    def enqueue(self) -> None:
        close_seam(self._y, self._m, self._low)


class DetailBinding(Binding):
    """``detail`` in numpy."""

    def __init__(self, inputs: Mapping[str, HostBuffer], outputs: Mapping[str, HostBuffer]) -> None:
        self._inputs, self._outputs = inputs, outputs

    def enqueue(self) -> None:
        image, visible, low, weights, order = (
            self._inputs[name].host for name in ("image", "visible", "low", "weights", "order")
        )
        detail, inside = (self._outputs[name].host for name in ("detail", "inside"))
        take_detail(image, visible, low[0], weights, order, detail[0], inside[0, 0])


class CompositeBinding(Binding):
    """``composite`` and ``add_detail`` in numpy: only the pixels of the hole are computed."""

    def __init__(self, inputs: Mapping[str, HostBuffer], outputs: Mapping[str, HostBuffer]) -> None:
        self._inputs, self._outputs = inputs, outputs

    def enqueue(self) -> None:
        low, weights, image, hole, order, keep = (
            self._inputs[name].host for name in ("low", "weights", "image", "hole", "order", "keep")
        )
        mixed = self._inputs["mixed"].host[0] if "mixed" in self._inputs else None
        put_into_hole(low[0], weights, mixed, image, hole, order, keep, self._outputs["filled"].host)


class HostEvent(Event):
    """The monotonic clock."""

    def __init__(self) -> None:
        self._seconds = time.perf_counter()

    def wait(self) -> None:
        pass

    def ms_since(self, earlier: Event) -> float:
        if not isinstance(earlier, HostEvent):
            raise TypeError("events of two backends cannot be compared")
        return (self._seconds - earlier._seconds) * 1e3


class HostBackend(Backend):
    """Base of the backends on the CPU: checks the precision, has no stream, and does what patches need in numpy."""

    synchronous: ClassVar[bool] = True

    def __init__(self, bundle: Bundle, *, precision: str | None, threads: int | None, stream: object | None) -> None:
        if stream is not None:
            raise BackendError(f"{self.name} runs on the CPU and takes no CUDA stream; leave stream out")
        offered = self.precisions()
        self.precision = precision or next(iter(offered))
        if self.precision not in offered:
            raise BackendError(f"{self.name} computes in {' or '.join(offered)} here, not in {precision!r}")
        self.bundle = bundle.at(offered[self.precision])

    def allocate(self, shape: tuple[int, ...], dtype: str, *, shared: bool = False) -> HostBuffer:
        return HostBuffer(shape, dtype)

    def bind(self, graph: str, inputs: Mapping[str, Buffer], outputs: Mapping[str, Buffer]) -> Binding:
        if graph not in self.bundle.graphs:
            has = ", ".join(self.bundle.graphs)
            raise BackendError(f"the bundle has no graph {graph!r}; it has: {has}")
        ins, outs = host_buffers(inputs, self.name), host_buffers(outputs, self.name)
        if graph == "search":
            return SearchBinding(self.bundle.search, ins, outs)
        if graph in IN_NUMPY:
            return BINDINGS[graph](ins, outs)
        return self._bind(graph, ins, outs)

    @abstractmethod
    def _bind(self, graph: str, inputs: Mapping[str, HostBuffer], outputs: Mapping[str, HostBuffer]) -> Binding:
        """The same for the graphs that the engine runs."""

    def record_event(self) -> HostEvent:
        return HostEvent()

    def wait(self) -> None:
        pass


BINDINGS: dict[str, Callable[[Mapping[str, HostBuffer], Mapping[str, HostBuffer]], Binding]] = {
    "prepare": PrepareBinding,
    "seam": SeamBinding,
    "refine": RefineBinding,
    "replace": ReplaceBinding,
    "detail": DetailBinding,
    "add_detail": CompositeBinding,
    "composite": CompositeBinding,
}


def host_buffers(buffers: Mapping[str, Buffer], backend: str) -> dict[str, HostBuffer]:
    """The same buffers, known to be host memory.

    Raises:
        BackendError: one of them belongs to another kind of backend.
    """
    hosts = {name: buffer for name, buffer in buffers.items() if isinstance(buffer, HostBuffer)}
    if len(hosts) != len(buffers):
        raise BackendError(f"{backend} computes on buffers that it allocated itself; use allocate()")
    return hosts
