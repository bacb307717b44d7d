"""The options of one call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from iic_rt.errors import InputError
from iic_rt.grow import LARGEST_GROWTH, Grow

__all__ = ["InpaintOptions"]


@dataclass(frozen=True, kw_only=True)
class InpaintOptions:
    """How to fill a hole; every field has a default that suits a photograph.

    Attributes:
        iterations: most iterations of Algorithm 1, 1 or more. The loop ends earlier when the hole is empty.
        budget_ms: time in milliseconds after which no further iteration is started, or None. The first iteration of
            every region always runs, since it fills the whole hole; the budget buys refinement.
        mask_hole: which end of the mask marks the pixels to remove, ``"white"`` or ``"black"``.
        grow: pixels by which the hole is grown beyond the mask, 0 to 64, or ``"auto"``: 2 % of the square root of each
            object's area, 3 to 12, less for objects below 24 by 24 pixels and 0 for dust, below 12 by 12. What is
            known outside the *grown* hole comes back bit for bit; ``InpaintResult.hole`` is the grown one.
        channel_order: order of the colours in the arrays, ``"rgb"`` or ``"bgr"`` (as OpenCV reads them).
        context: side of the square region around a hole, as a multiple of the hole's longer side, 1.25 or more.
        feather: width, inside the hole, over which the result is led into the known pixels; 0 for none. In working
            pixels (each is region side / working size of the picture's), so the seam looks alike at every scale.
        upsample: rebuild the detail from real patches of the picture (Sec. 3.3). Without it the loop runs at the
            region's own resolution, above 1024 pixels at a half or a quarter of it (``Ours*`` of the paper): smoother.
        keep_iterations: keep the picture after every iteration, as the loop made it and before it is upsampled, in
            ``InpaintResult.history``.
    """

    iterations: int = 4
    budget_ms: float | None = None
    mask_hole: Literal["white", "black"] = "white"
    grow: Grow = "auto"
    channel_order: Literal["rgb", "bgr"] = "rgb"
    context: float = 2.0
    feather: float = 2.0
    upsample: bool = True
    keep_iterations: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.iterations, int) or self.iterations < 1:
            raise InputError(f"iterations is {self.iterations!r}; give a whole number from 1 up, 4 is the default")
        if self.budget_ms is not None and not self.budget_ms > 0:
            raise InputError(f"budget_ms is {self.budget_ms!r}; give milliseconds above 0, or None for no limit")
        if self.mask_hole not in ("white", "black"):
            raise InputError(f"mask_hole is {self.mask_hole!r}; allowed: 'white' (white is removed) or 'black'")
        if self.grow != "auto" and not (
            isinstance(self.grow, int) and not isinstance(self.grow, bool) and 0 <= self.grow <= LARGEST_GROWTH
        ):
            raise InputError(f"grow is {self.grow!r}; give whole pixels from 0 to {LARGEST_GROWTH}, or 'auto'")
        if self.channel_order not in ("rgb", "bgr"):
            raise InputError(f"channel_order is {self.channel_order!r}; allowed: 'rgb' or 'bgr'")
        if not 1.25 <= self.context <= 16:
            raise InputError(f"context is {self.context!r}; give 1.25 to 16 times the hole's longer side")
        if not 0 <= self.feather <= 16:
            raise InputError(f"feather is {self.feather!r}; give 0 to 16 working pixels")
