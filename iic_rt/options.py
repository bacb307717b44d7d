"""The options of one call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

from iic_rt.checks import check_choice, check_flag, check_number, check_whole
from iic_rt.errors import InputError
from iic_rt.masks import Grow, MaskHole, check_grow

__all__ = ["InpaintOptions", "Output", "check_options"]

CONTEXT = "1.25 to 16 times the hole's longer side"

ChannelOrder = Literal["rgb", "bgr"]
Output = Literal["confidence", "hole_left", "history"]


@dataclass(frozen=True, kw_only=True)
class InpaintOptions:
    """How to fill a hole; every field has a default that suits a photograph.

    Attributes:
        iterations: most iterations of Algorithm 1, 1 or more. The loop ends earlier when 1 % of the hole or less is
            left, or when an iteration trusts none of it: all further ones would be the same.
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
        checked: dict[str, Any] = {
            "iterations": check_whole(
                self.iterations, "iterations", "a whole number from 1 up, 4 is the default", least=1
            ),
            "context": check_number(self.context, "context", CONTEXT, least=1.25),
            "upsample": check_flag(self.upsample, "upsample"),
        }
        if checked["context"] > 16:
            raise InputError(f"context is {self.context!r}; give {CONTEXT}")
        if self.budget_ms is not None:
            allowed = "milliseconds above 0, or None for no limit"
            checked["budget_ms"] = check_number(self.budget_ms, "budget_ms", allowed, above=0)
        check_choice(self.mask_hole, "mask_hole", get_args(MaskHole))
        checked["grow"] = check_grow(self.grow)
        check_choice(self.channel_order, "channel_order", get_args(ChannelOrder))
        if not isinstance(self.outputs, tuple | list) or any(name not in get_args(Output) for name in self.outputs):
            allowed = ", ".join(repr(name) for name in get_args(Output))
            raise InputError(f"outputs is {self.outputs!r}; allowed: a tuple of {allowed}")
        checked["outputs"] = tuple(self.outputs)
        for name, value in checked.items():
            object.__setattr__(self, name, value)  # numpy's numbers as Python's; the class is frozen


def check_options(options: object) -> InpaintOptions:
    """The options, if they are some.

    Raises:
        TypeError: they are anything else.
    """
    if isinstance(options, InpaintOptions):
        return options
    hint = "InpaintOptions(**options)" if isinstance(options, dict) else "InpaintOptions(iterations=4)"
    raise TypeError(f"options is a {type(options).__name__}; give an InpaintOptions, e.g. {hint}, or None")
