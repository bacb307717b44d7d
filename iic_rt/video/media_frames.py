"""Pixels between PyAV's frames and the runtime's images; what is known stays as it was decoded."""

from __future__ import annotations

import math
import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Look", "frame_of", "image_of", "look_of", "rotation_of"]

Pixels = NDArray[np.uint8]

# FFmpeg's AVColorSpace to the matrices that PyAV converts with; where it is not told, both ways use BT.601.
MATRICES = {1: "ITU709", 4: "FCC", 5: "ITU601", 6: "ITU601", 7: "SMPTE240M", 9: "BT2020", 10: "BT2020"}
UNKNOWN = 2  # of colour space, primaries and transfer
LIMITED, FULL = 1, 2  # FFmpeg's AVColorRange


@dataclass(frozen=True)
class Look:
    """How the numbers of a frame become colours.

    Attributes:
        pix_fmt: FFmpeg's name of the pixel format.
        space, range, primaries, transfer: FFmpeg's numbers.
        aspect: of a pixel, width to height; (0, 1) where it is not told.
    """

    pix_fmt: str = "yuv420p"
    space: int = UNKNOWN
    range: int = 0
    primaries: int = UNKNOWN
    transfer: int = UNKNOWN
    aspect: tuple[int, int] = (0, 1)

    @property
    def is_full(self) -> bool:
        """Whether 0 is black, and not 16."""
        return self.range == FULL or (self.range == 0 and self.pix_fmt.startswith("yuvj"))

    @property
    def matrix(self) -> str:
        """PyAV's name of the conversion."""
        from av.video.reformatter import Colorspace

        name = MATRICES.get(self.space, "ITU601")
        return name if hasattr(Colorspace, name) else "ITU709"  # PyAV 17 has no BT.2020


def look_of(frame: Any, context: Any) -> Look:
    """The look of a decoded frame.

    Args:
        frame: ``av.VideoFrame``.
        context: ``av.VideoCodecContext`` that it came from.
    """
    aspect = context.sample_aspect_ratio
    return Look(
        frame.format.name,
        int(frame.colorspace),
        int(frame.color_range),
        int(context.color_primaries),
        int(context.color_trc),
        (0, 1) if not aspect else (aspect.numerator, aspect.denominator),
    )


def rotation_of(frame: Any) -> int:
    """By how many quarter turns counter-clockwise a decoded frame is to be turned to stand upright, 0 to 3."""
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return 0
    a, b = struct.unpack("<2i", bytes(matrix)[:8])
    # FFmpeg's av_display_rotation_get: the matrix turns by -atan2(b, a), counter-clockwise.
    return round(-math.atan2(b, a) / (math.pi / 2)) % 4


def image_of(frame: Any, look: Look, size: tuple[int, int] | None = None) -> tuple[Pixels, Any]:
    """A decoded frame as uint8 [H, W, 3], BGR, and the frame at that size.

    Args:
        frame: ``av.VideoFrame``.
        look: of it.
        size: width and height to scale to, None for the frame's own.
    """
    if size is not None and size != (frame.width, frame.height):
        frame = frame.reformat(width=size[0], height=size[1], interpolation="AREA")
    source = LIMITED + look.is_full
    turned = frame.reformat(format="bgr24", src_colorspace=look.matrix, src_color_range=source, dst_color_range=FULL)
    return turned.to_ndarray(), frame


def frame_of(image: Pixels, look: Look, *, original: Any = None, hole: Pixels | None = None) -> Any:
    """An ``av.VideoFrame`` of an image.

    Args:
        image: uint8 [H, W, 3], BGR.
        look: of the frame to make.
        original: the decoded frame; outside the hole its numbers are taken over as they are, since every conversion
            costs half a grey level and the finer steps of more than 8 bits.
        hole: uint8 [H, W] in {0, 1}; None for none of the original.
    """
    import av

    wanted = LIMITED + look.is_full
    made = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="bgr24").reformat(
        format=look.pix_fmt, dst_colorspace=look.matrix, src_color_range=FULL, dst_color_range=wanted
    )
    if original is not None and hole is not None:
        _take_over(made, original.reformat(format=look.pix_fmt), hole)
    return made


def _take_over(made: Any, original: Any, hole: Pixels) -> None:
    if any(component.bits > 8 for component in made.format.components) and "le" not in made.format.name:
        return  # of 8 bits and 16 little-endian ones only
    kind: Any = np.uint8 if made.format.components[0].bits <= 8 else np.dtype("<u2")
    kept: dict[tuple[int, int], NDArray[np.bool_]] = {}
    for into, of in zip(made.planes, original.planes, strict=True):
        shape = into.height, into.width
        if shape not in kept:
            kept[shape] = ~_reduced(hole, *shape)
        np.copyto(_plane(into, kind), _plane(of, kind), where=kept[shape])


def _plane(plane: Any, kind: Any) -> NDArray[Any]:
    rows = np.frombuffer(plane, kind).reshape(-1, plane.line_size // np.dtype(kind).itemsize)
    return rows[: plane.height, : plane.width]


def _reduced(hole: Pixels, height: int, width: int) -> NDArray[np.bool_]:
    """The hole on a plane with fewer pixels; one of them is in it as soon as a part of it is."""
    down, across = -(-hole.shape[0] // height), -(-hole.shape[1] // width)
    if (down, across) == (1, 1):
        return hole > 0
    padded = np.pad(hole, ((0, down * height - hole.shape[0]), (0, across * width - hole.shape[1])))
    found = np.zeros((height, width), np.uint8)
    for y in range(down):
        for x in range(across):
            found |= padded[y::down, x::across]
    return found > 0
