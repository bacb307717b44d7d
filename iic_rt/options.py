"""The options of one call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from iic_rt.errors import InputError
from iic_rt.masks import LARGEST_GROWTH, Grow, MaskHole

__all__ = ["InpaintOptions", "Output"]

ChannelOrder = Literal["rgb", "bgr"]
Output = Literal["confidence", "hole_left", "history"]


@dataclass(frozen=True, kw_only=True)
class InpaintOptions:
    """How to fill a hole; every field has a default that suits a photograph.

    Attributes:
        iterations: most iterations of Algorithm 1, 1 or more. The loop ends earlier when the hole is empty, or
            when an iteration trusts none of its pixels: all further ones would be the same.
        budget_ms: time in milliseconds after which no further iteration is started, or None. The first iteration of
            every region always runs, since it fills the whole hole; the budget buys refinement.
        mask_hole: which end of the mask marks the pixels to remove, ``"white"`` or ``"black"``.
        grow: pixels by which the hole is grown beyond the mask, 0 to 64, or ``"auto"``: 2 % of the square root of each
            object's area, 3 to 12, less for objects below 24 by 24 pixels and 0 for dust, below 12 by 12. What is
            known outside the *grown* hole comes back bit for bit; ``InpaintResult.hole`` is the grown one.
        channel_order: order of the colours in the arrays, ``"rgb"`` or ``"bgr"`` (as OpenCV reads them).
        context: side of the square region around a hole, as a multiple of the hole's longer side, 1.25 to 16.
        upsample: rebuild the detail from real patches of the image (Sec. 3.3). Without it the loop runs at the
            region's own resolution, above 1024 pixels at a half or a quarter of it (``Ours*`` of the paper): smoother.
        outputs: what the result is to hold beside the image and the hole: ``"confidence"``, ``"hole_left"``,
            ``"history"`` (the image after every iteration, as the loop made it and before it is upsampled). Each costs
            time, and ``"history"`` a wait for the device after every iteration.
    """

    iterations: int = 4
    budget_ms: float | None = None
    mask_hole: MaskHole = "white"
    grow: Grow = "auto"
    channel_order: ChannelOrder = "rgb"
    context: float = 2.0
    upsample: bool = True
    outputs: tuple[Output, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.iterations, int) or self.iterations < 1:
            raise InputError(f"iterations is {self.iterations!r}; give a whole number from 1 up, 4 is the default")
        if self.budget_ms is not None and not self.budget_ms > 0:
            raise InputError(f"budget_ms is {self.budget_ms!r}; give milliseconds above 0, or None for no limit")
        if self.mask_hole not in get_args(MaskHole):
            raise InputError(f"mask_hole is {self.mask_hole!r}; allowed: 'white' (white is removed) or 'black'")
        if self.grow != "auto" and not (
            isinstance(self.grow, int) and not isinstance(self.grow, bool) and 0 <= self.grow <= LARGEST_GROWTH
        ):
            raise InputError(f"grow is {self.grow!r}; give whole pixels from 0 to {LARGEST_GROWTH}, or 'auto'")
        if self.channel_order not in get_args(ChannelOrder):
            raise InputError(f"channel_order is {self.channel_order!r}; allowed: 'rgb' or 'bgr'")
        if not 1.25 <= self.context <= 16:
            raise InputError(f"context is {self.context!r}; give 1.25 to 16 times the hole's longer side")
        unknown = [name for name in self.outputs if name not in get_args(Output)]
        if unknown or isinstance(self.outputs, str):
            allowed = ", ".join(repr(name) for name in get_args(Output))
            raise InputError(f"outputs is {self.outputs!r}; allowed: a tuple of {allowed}")
