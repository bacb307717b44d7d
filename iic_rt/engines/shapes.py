"""The shapes that engines are built for: those that the loop and guided upsampling bind."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from iic_rt.backends.base import Backend, Binding, Buffer, Mark, Program
from iic_rt.bundle import Bundle
from iic_rt.loop import Loop
from iic_rt.upsampler import Upsampler

__all__ = ["Shapes", "engine_shapes"]

Shapes = Mapping[str, tuple[int, ...]]


def engine_shapes(
    bundle: Bundle, side: int, *, working_size: int, tile_pixels: int, rows_bytes: int
) -> list[tuple[str, Shapes]]:
    """Every graph, with the shapes of its inputs, that filling a region takes; each pair once.

    The loop and the upsampler themselves are asked, on a backend that only takes notes.

    Args:
        bundle: at the precision of the engines.
        side: of the region in pixels, a side of the ladder.
        working_size: side in pixels the loop runs at.
        tile_pixels: of the backend that will run the engines.
        rows_bytes: of the same backend.
    """
    notes = _Notes(bundle, tile_pixels=tile_pixels, rows_bytes=rows_bytes)
    loop = Loop(notes, working_size=working_size)
    upsampler = Upsampler(notes, loop)
    loop.crop(side)
    upsampler.plan(side)
    return notes.bound


class _Unmade(Buffer):
    """A buffer without memory."""

    def __init__(self, shape: tuple[int, ...], dtype: str) -> None:
        self.shape, self.dtype = shape, np.dtype(dtype)

    def stage(self, array: NDArray[Any]) -> None:
        self.check(array)

    def upload(self) -> None:
        pass

    def download(self) -> None:
        pass

    def read(self) -> NDArray[Any]:
        raise NotImplementedError


class _Unbound(Binding):
    def enqueue(self) -> None:
        raise NotImplementedError


class _Notes(Backend):
    """Writes down what is bound and computes nothing."""

    name: ClassVar[str] = "notes"
    synchronous: ClassVar[bool] = True

    def __init__(self, bundle: Bundle, *, tile_pixels: int, rows_bytes: int) -> None:
        self.bundle, self.precision = bundle, bundle.precision
        self.tile_pixels, self.rows_bytes = tile_pixels, rows_bytes  # type: ignore[misc]  # of another backend's class
        self.bound: list[tuple[str, Shapes]] = []

    @staticmethod
    def version() -> str:
        raise NotImplementedError

    @staticmethod
    def precisions() -> Mapping[str, str]:
        raise NotImplementedError

    def allocate(self, shape: tuple[int, ...], dtype: str, *, shared: bool = False) -> Buffer:
        return _Unmade(shape, dtype)

    def bind(self, graph: str, inputs: Mapping[str, Buffer], outputs: Mapping[str, Buffer]) -> Binding:
        pair = graph, {name: buffer.shape for name, buffer in inputs.items()}
        if pair not in self.bound:
            self.bound.append(pair)
        return _Unbound()

    def capture(self, work: Callable[[], Sequence[Mark]]) -> Program:
        raise NotImplementedError

    def mark(self) -> Mark:
        raise NotImplementedError

    def wait(self) -> None:
        pass

    def close(self) -> None:
        pass
