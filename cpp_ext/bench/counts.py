"""What a call costs at least: operations and bytes counted from its sizes, and the roofline they make."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Peaks", "Work", "count_work"]


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


def count_work(patches: int, descriptor: int, width: int, *, rows: int, valid: int, half: bool) -> Work:
    """Counts one picture: both products over hole rows and valid patches, and each needed value read or written once.

    Rows of ``v`` that are neither valid nor pass are not read. What a kernel computes twice is not counted: that is its
    own loss.
    """
    size = 2 if half else 4
    read_descriptors = (rows + valid) * descriptor * size
    # In a picture each patch is a hole, or valid, or both (partly known); the passing rows are the others.
    read_values = max(valid, patches - rows) * width * size
    written = patches * width * size
    flags = 3 * 4 * patches  # hole, weight, replaced
    return Work(2 * rows * valid * (descriptor + width), read_descriptors + read_values + written + flags)
