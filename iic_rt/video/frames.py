"""What a stream of frames is told, and what it gives out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from iic_rt.checks import check_choice, check_flag, check_number, check_whole, is_whole
from iic_rt.errors import InpaintWarning, InputError
from iic_rt.pipeline.image import check_image, is_on_device
from iic_rt.result import InpaintResult

__all__ = [
    "Blank",
    "DroppedAs",
    "FailedAs",
    "LateAs",
    "Policy",
    "Settings",
    "Status",
    "Substitute",
    "VideoFrame",
    "VideoStats",
    "blank_image",
    "frame_shape",
]

Policy = Literal["block", "newest"]
LateAs = Literal["last", "blank", "unfilled"]
FailedAs = Literal["last", "blank", "unfilled", "raise"]
DroppedAs = Literal["nothing", "last", "blank"]
Status = Literal["filled", "untouched", "late", "failed", "dropped"]
Substitute = Literal["last", "blank", "unfilled"]
Blank = int | tuple[int, int, int]

FEWEST_SLOTS, MOST_SLOTS = 2, 64
MOST_LOOKAHEAD = 64  # frames, each of which is held in memory


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a stream behaves; the fields are the arguments of :class:`iic_rt.video.VideoInpainter`.

    Raises:
        InputError: a value is none of those allowed.
    """

    slots: int = 4
    policy: Policy = "block"
    deadline_ms: float | None = None
    late_as: LateAs = "last"
    failed_as: FailedAs = "last"
    dropped_as: DroppedAs = "nothing"
    blank: Blank = 0
    memory: bool = True
    lookahead: int = 0

    def __post_init__(self) -> None:
        slots = f"a whole number from {FEWEST_SLOTS} to {MOST_SLOTS}"
        ahead = f"a whole number of frames from 0 to {MOST_LOOKAHEAD}"
        checked: dict[str, Any] = {
            "slots": check_whole(self.slots, "slots", slots, least=FEWEST_SLOTS, most=MOST_SLOTS),
            "memory": check_flag(self.memory, "memory"),
            "lookahead": check_whole(self.lookahead, "lookahead", ahead, least=0, most=MOST_LOOKAHEAD),
        }
        if self.lookahead and not self.memory:
            raise InputError("lookahead needs memory=True, which takes what later frames show; set lookahead=0 without")
        if self.deadline_ms is not None:
            allowed = "milliseconds above 0, or None for no deadline"
            checked["deadline_ms"] = check_number(self.deadline_ms, "deadline_ms", allowed, above=0)
        choices = (("policy", Policy), ("late_as", LateAs), ("failed_as", FailedAs), ("dropped_as", DroppedAs))
        for name, kind in choices:
            check_choice(getattr(self, name), name, get_args(kind))
        values = self.blank if isinstance(self.blank, tuple) and len(self.blank) == 3 else (self.blank,)
        if not all(is_whole(value, 0, 255) for value in values):
            raise InputError(f"blank is {self.blank!r}; give a grey value from 0 to 255, or three for the colours")
        whole = tuple(int(value) for value in values)
        checked["blank"] = whole if len(whole) == 3 else whole[0]
        for name, value in checked.items():
            object.__setattr__(self, name, value)  # numpy's numbers as Python's; the class is frozen


@dataclass(frozen=True, kw_only=True, eq=False)
class VideoFrame:
    """A frame as it leaves the stream.

    Attributes:
        image: uint8, shape and channel order of the frame that was put; on the device when that was. It belongs to the
            caller, except that ``"last"`` is the very array given out before: copy it before you draw on it. A blank
            image is a numpy array also where frames are on the device.
        pts: as it was put.
        index: of the frame, counted from 0 in the order of :meth:`VideoInpainter.put`.
        latency_ms: milliseconds from when ``put`` took the frame until it was given out.
        status: ``"filled"``; ``"untouched"``, since its mask was None or empty; ``"late"``, not done by the deadline;
            ``"failed"``; or ``"dropped"``.
        substitute: what ``image`` is in place of the frame's own result: ``"last"``, ``"blank"`` or ``"unfilled"``;
            None where it is the result. A late frame has its own result if that was there when it was asked for.
        result: of the inpainter, None where ``image`` is not its image.
        remembered: share of the hole that came from the memory of the stream, 0 to 1.
        error: text of the error that made the frame fail, else empty.
    """

    image: Any = field(repr=False)
    pts: Any
    index: int
    latency_ms: float
    status: Status
    substitute: Substitute | None = None
    result: InpaintResult | None = None
    remembered: float = 0.0
    error: str = ""

    @property
    def hole(self) -> NDArray[np.uint8] | None:
        """uint8 [H, W] in {0, 1}, what was filled: the mask, grown; None where ``result`` is."""
        return None if self.result is None else self.result.hole

    @property
    def iterations(self) -> int:
        """Iterations that the time allowed; 0 where nothing was filled."""
        return 0 if self.result is None else self.result.iterations

    @property
    def warnings(self) -> tuple[InpaintWarning, ...]:
        """Those of the result."""
        return () if self.result is None else self.result.warnings


@dataclass(frozen=True, kw_only=True)
class VideoStats:
    """Counts since the stream began; every frame is in exactly one of them.

    ``put`` is the sum of ``filled``, ``untouched``, ``late``, ``failed``, all of ``dropped``, and ``held``.

    Attributes:
        put: frames that ``put`` took.
        filled: frames given out with their own result, in time.
        remembered: frames whose whole hole came from the memory of the stream: nothing had to be inpainted.
        untouched: frames given out as they are, since there was nothing to remove.
        late: frames that were not done by their deadline.
        failed: frames with an error.
        dropped: frames that were never filled or never given out, by reason: ``"newer"``, a newer one came while it
            waited; ``"not got"``, it was done and a newer one needed its slot; ``"closed"``.
        held: frames waiting, in work, or done and not given out yet.
        substituted: frames given out with another image than their own result, by what it was: ``"last"``, ``"blank"``,
            ``"unfilled"``.
        latency_p50_ms: median of ``VideoFrame.latency_ms`` over the last 1000 frames; None before the first.
        latency_p90_ms: 90 % were not slower.
        latency_p99_ms: 99 % were not slower.
        fps: frames given out a second, over the last 1000; None before the second.
    """

    put: int
    filled: int
    remembered: int
    untouched: int
    late: int
    failed: int
    dropped: Mapping[str, int]
    held: int
    substituted: Mapping[str, int]
    latency_p50_ms: float | None
    latency_p90_ms: float | None
    latency_p99_ms: float | None
    fps: float | None


def frame_shape(frame: Any) -> tuple[int, ...]:
    """Shape of a frame on the host or the device.

    Raises:
        InputError: it is no image.
    """
    if not is_on_device(frame):
        return check_image(frame).shape
    # A bare exporter of the interface need not have the attribute.
    found = getattr(frame, "shape", None) or getattr(frame, "__cuda_array_interface__", {}).get("shape", ())
    shape = tuple(int(size) for size in found)
    if len(shape) not in (2, 3) or (len(shape) == 3 and shape[2] not in (1, 3, 4)) or 0 in shape:
        raise InputError(
            f"the frame has shape {shape}; allowed: [H, W], [H, W, 1], [H, W, 3] or [H, W, 4] (colour last)"
        )
    return shape


def blank_image(shape: tuple[int, ...], colour: Blank) -> NDArray[np.uint8]:
    """uint8 of that shape, all of one colour: in the frames' order of channels, grey as its mean, alpha 255."""
    values = (colour,) * 3 if isinstance(colour, int) else colour
    image = np.empty(shape, np.uint8)
    channels = 1 if len(shape) == 2 else shape[2]
    image.reshape(*shape[:2], channels)[...] = (round(sum(values) / 3),) if channels == 1 else (*values, 255)[:channels]
    return image
