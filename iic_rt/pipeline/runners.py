"""The runners of one backend, kept by what they take."""

from __future__ import annotations

from iic_rt.bundle.shapes import RegionShapes
from iic_rt.contract import Backend
from iic_rt.options import InpaintOptions
from iic_rt.pipeline.loop import Loop
from iic_rt.pipeline.runner import RegionRunner
from iic_rt.pipeline.upsample import Descriptors

__all__ = ["LARGEST_LOOP", "MOST_BYTES", "SLOTS", "Runners"]

LARGEST_LOOP = 1024  # side in pixels up to which the loop runs at a region's own resolution, without upsampling
MOST_BYTES = 1 << 28  # of buffers that are kept, beside those of the runner in use
SLOTS = 3  # images that may be submitted at once: one in preparation, one on the device, one to be collected

Key = tuple[int, int, bool, bool, int]


class Runners:
    """Makes runners, and keeps those used last; close the backend after their last use."""

    def __init__(self, backend: Backend, *, working_size: int) -> None:
        self._backend, self._size = backend, working_size
        self._loop = Loop(backend, working_size=working_size)
        self._descriptors = Descriptors(backend, self._loop)
        self._full: dict[int, Loop] = {}  # at regions' own resolution, by working size; the one used last is last
        self._kept: dict[Key, RegionRunner] = {}  # likewise

    def runner(self, side: int, *, channels: int, options: InpaintOptions, slot: int) -> RegionRunner:
        """The runner for regions of ``side`` pixels of an image with so many channels; every slot has its own."""
        bgr = options.channel_order == "bgr" and channels != 1
        key = side, channels, bgr, options.upsample, slot
        loop = self._loop if options.upsample else self._loop_at(side)
        found = self._kept.pop(key, None)
        if found is None:
            shapes = RegionShapes(side, loop.working_size, channels, self._backend.limits)
            self._make_room(side * side * channels)
            descriptors = self._descriptors if options.upsample else None
            found = RegionRunner(self._backend, shapes, loop, descriptors, bgr=bgr)
        self._kept[key] = found
        return found

    def close(self) -> None:
        """Drops all runners."""
        while self._kept:
            self._kept.popitem()[1].close()

    def _make_room(self, wanted: int) -> None:
        """Drops the runners used longest ago, so that the memory goes back before the next one takes its own."""
        idle = [key for key, runner in self._kept.items() if not runner.is_running]
        while idle and sum(r.nbytes for r in self._kept.values()) + wanted > MOST_BYTES:
            self._kept.pop(idle.pop(0)).close()

    def _loop_at(self, side: int) -> Loop:
        """The loop at a region's own resolution. As many are kept as together are no larger than the largest."""
        size = _full_size(side)
        if size == self._size:
            return self._loop
        found = self._full.pop(size, None)
        if found is None:
            while self._full and size**2 + sum(kept**2 for kept in self._full) > LARGEST_LOOP**2:
                self._drop_loop(next(iter(self._full)))
            found = Loop(self._backend, working_size=size)
        self._full[size] = found
        return found

    def _drop_loop(self, size: int) -> None:
        """Drops a loop, and the runners that use it."""
        for key, runner in list(self._kept.items()):
            if not key[3] and _full_size(key[0]) == size and not runner.is_running:
                self._kept.pop(key).close()
        del self._full[size]


def _full_size(side: int) -> int:
    """The working size for regions of ``side`` pixels that are filled without upsampling."""
    while side > LARGEST_LOOP:
        side //= 2
    return side
