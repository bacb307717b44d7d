"""What a call costs at least: operations and bytes counted from its sizes, and the roofline they make."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Peaks", "Work", "count_match", "count_replace", "count_search"]


@dataclass(frozen=True)
class Peaks:
    """What the device reached in the same run: a product of two large matrices and a large copy."""

    flops: float  # a second, in the type of the kernel
    bytes: float  # a second, read and written


@dataclass(frozen=True)
class Work:
    flops: int
    bytes: int

    def roofline_ms(self, peaks: Peaks) -> float:
        """The time below which no implementation can come on a device of these peaks."""
        return 1e3 * max(self.flops / peaks.flops, self.bytes / peaks.bytes)


def count_search(patches: int, descriptor: int, *, rows: int, valid: int, best: int, half: bool) -> Work:
    """Counts one image: the product over hole rows and valid patches, and each descriptor read once.

    What a kernel computes or reads twice is not counted: that is its own loss.
    """
    descriptors = min(rows + valid, patches) * descriptor * (2 if half else 4)
    maps = (2 + 3 * best) * 4 * patches  # hole, weight; two numbers of offset, share
    return Work(2 * rows * valid * descriptor, descriptors + maps)


def count_match(patches: int, channels: int, *, holes: int, sweeps: int, half: bool) -> Work:
    """Counts one image: the own offset once and eight others a sweep, as where all neighbours agree, each of 16 pixels.

    The pixels of each hole patch and of its source are read once, with ``valid`` of the source: what else is compared
    lies around them, and the cache holds it. Calls are bound by the latency of their launches rather than by this.
    """
    compared = holes * (1 + 8 * sweeps) * 16 * channels
    pixels = holes * 16 * (2 * channels * (2 if half else 4) + 4)
    maps = 6 * 4 * patches  # two numbers of offset, share; two of matched, cost
    return Work(3 * compared, pixels + maps)


def count_replace(pixels: int, channels: int, *, inside: int, patches: int, best: int, half: bool) -> Work:
    """Counts one image: pixels outside the hole read once, all of them written once, four patches over each pixel
    inside, whose pixels the cache holds."""
    size = 2 if half else 4
    read, written = (pixels - inside) * channels, pixels * channels
    maps = 2 * pixels  # inside, missing
    return Work(8 * inside * channels, (read + written + maps) * size + 12 * best * patches)
