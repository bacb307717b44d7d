"""The masks of a call: which pixels are filled, which may be looked at, and which may be copied."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from iic_rt.checks import check_whole
from iic_rt.components import find_components
from iic_rt.errors import InpaintWarning, InputError
from iic_rt.mask_colours import THRESHOLD

__all__ = ["LARGEST_GROWTH", "Grow", "MaskHole", "Masks", "check_grow", "grow_hole", "read_masks"]

Pixels = NDArray[np.uint8]
Grow = int | Literal["auto"]
MaskHole = Literal["white", "black"]

ALMOST_ALL = 0.9  # share of the image above which a mask looks inverted
LARGEST_GROWTH = 64  # pixels
# "auto", from the look of hand-drawn and of tight masks (benchmarks.grow). It goes by the square root of an object's
# area: soft edges grow with the size, and on small objects three pixels would be much.
AUTO_SHARE = 0.02
AUTO_LEAST, AUTO_MOST = 3, 12  # pixels; the least for objects from 24 pixels up, below it goes by AUTO_SMALL_SHARE
AUTO_SMALL_SHARE = 1 / 8
AUTO_SMALLEST = 12.0  # pixels: dust and scratches are marked wholly or not at all


@dataclass(frozen=True)
class Masks:
    """Three masks of an image, or of a part of it, uint8 [H, W] in {0, 1}.

    Attributes:
        hole: pixels to fill.
        visible: known pixels that the networks may look at; None: all outside the hole.
        copyable: visible pixels whose detail may be copied; None: all that are visible.
    """

    hole: Pixels
    visible: Pixels | None = None
    copyable: Pixels | None = None


def read_masks(
    mask: object, avoid: object, prefer: object, *, shape: tuple[int, ...], mask_hole: MaskHole, grow: Grow
) -> tuple[Masks, tuple[InpaintWarning, ...]]:
    """The caller's masks, checked, the hole grown; and what looks odd about them.

    Args:
        mask: bool or uint8 [H, W] or [H, W, 1]. A uint8 mask counts as white from 128 up, or, when it holds only 0 and
            1, at 1.
        avoid: the same, white = neither look at it nor copy from it; or None.
        prefer: the same, white = copy from here only; or None.
        shape: of the image.
        mask_hole: which end of ``mask`` is the hole.
        grow: as in :func:`grow_hole`.

    Raises:
        InputError: wrong type, size or shape, a hole that covers the whole image, or nothing left to copy from.
    """
    given = _read(mask, shape, "mask", inverted=mask_hole == "black")
    warnings = _check_share(given, mask, mask_hole)
    hole = grow_hole(given, grow)
    visible = copyable = None
    if avoid is not None:
        visible = _read(avoid, shape, "avoid mask", inverted=True)
        visible &= 1 - hole
        if not visible.any():
            raise InputError(
                "the avoid mask covers every known pixel, so nothing is left to fill the hole from; leave some unmarked"
            )
    if prefer is not None:
        copyable = _read(prefer, shape, "prefer mask")
        if not copyable.any():
            raise InputError("the prefer mask marks no pixel; mark the area to copy from, or leave prefer out")
        copyable &= 1 - hole
        if not copyable.any():
            raise InputError(
                "the prefer mask lies inside the hole, where there is nothing to copy; mark known pixels outside it"
            )
        if visible is not None:
            copyable &= visible
            if not copyable.any():
                raise InputError(
                    "avoid covers all that prefer marks; leave some of it unmarked, or leave one of them out"
                )
    return Masks(hole, visible, copyable), warnings


def _read(mask: object, shape: tuple[int, ...], name: str, *, inverted: bool = False) -> Pixels:
    """uint8 [H, W] in {0, 1}, 1 = white, or black where ``inverted``."""
    if not isinstance(mask, np.ndarray):
        raise InputError(f"the {name} is a {type(mask).__name__}, not a numpy array; use numpy.asarray on it first")
    if mask.dtype not in (np.uint8, np.bool_):
        raise InputError(
            f"the {name} has dtype {mask.dtype}; allowed: bool or uint8 (0 and 1, or 0 and 255). "
            "Compare it with a threshold first, e.g. mask > 0.5"
        )
    if mask.ndim == 3 and mask.shape[2] == 1:
        mask = mask[..., 0]
    if mask.ndim != 2:
        hint = {(3,): ". If its colours mark what is not black: mask.max(axis=2)", (4,): ". Its alpha is mask[..., 3]"}
        raise InputError(
            f"the {name} has shape {mask.shape}; allowed: [H, W] or [H, W, 1]{hint.get(mask.shape[2:], '')}"
        )
    if mask.shape != shape[:2]:
        raise InputError(
            f"the {name} is {mask.shape[1]}x{mask.shape[0]} and the image {shape[1]}x{shape[0]} pixels "
            "(width x height); they must be equal. Resize it with nearest-neighbour interpolation"
        )
    values = np.ascontiguousarray(mask).view(np.uint8)
    threshold = 0 if cv2.minMaxLoc(values)[1] <= 1 else THRESHOLD - 1
    kind = cv2.THRESH_BINARY_INV if inverted else cv2.THRESH_BINARY
    return np.asarray(cv2.threshold(values, threshold, 1, kind)[1], np.uint8)


def _check_share(hole: Pixels, mask: Any, mask_hole: MaskHole) -> tuple[InpaintWarning, ...]:
    share = cv2.countNonZero(hole) / hole.size
    other = "black" if mask_hole == "white" else "white"
    if share == 1:
        raise InputError(
            "the mask marks every pixel, so nothing is left to fill the hole from. "
            f"Leave some pixels unmarked; if {other} is what you want removed, set mask_hole={other!r}"
        )
    if share == 0:
        if mask_hole == "white":
            brightest = int(mask.max())
            values = f"its one channel is at most {brightest}, and values from {THRESHOLD} up are white"
            if brightest:
                values += "; if all above 0 are meant, use mask > 0"
        else:
            values = f"its one channel is at least {int(mask.min())}, and values up to {THRESHOLD - 1} are black"
        text = (
            f"the mask marks no pixel, so the image is returned unchanged: {values}. "
            f"If {other} is what you want removed, set mask_hole={other!r}"
        )
        return (InpaintWarning("empty", text),)
    if share > ALMOST_ALL:
        text = (
            f"the mask marks {100 * share:.0f} % of the image for removal. "
            f"If {other} is what you want removed, set mask_hole={other!r}"
        )
        return (InpaintWarning("almost all", text),)
    return ()


def check_grow(grow: Any) -> Grow:
    """By how many pixels a hole is grown, as int or ``"auto"``.

    Raises:
        InputError: it is neither, or out of range.
    """
    if isinstance(grow, str) and grow == "auto":
        return "auto"
    return check_whole(
        grow, "grow", f"whole pixels from 0 to {LARGEST_GROWTH}, or 'auto'", least=0, most=LARGEST_GROWTH
    )


def grow_hole(hole: Pixels, grow: Grow) -> Pixels:
    """The hole and all pixels up to a distance of it: masks drawn tightly leave a rim of soft edges and of shadow.

    Args:
        hole: uint8 [H, W] in {0, 1}.
        grow: distance in pixels, or ``"auto"`` for each connected part by its own size.

    Returns:
        uint8 [H, W] in {0, 1}; the hole as it was where growing would leave no known pixel.
    """
    if grow == 0:
        return hole
    components = find_components(hole)
    if not components:
        return hole
    grown = np.zeros_like(hole)
    margin = AUTO_MOST if grow == "auto" else grow
    for component in components:
        window = component.box.grown(margin, *hole.shape)
        offset = component.box.moved(-window.top, -window.left)
        part = np.zeros((window.bottom - window.top, window.right - window.left), np.uint8)
        part[offset.slices] = component.mask
        grown[window.slices] |= _near(part, grow)
    return hole if cv2.countNonZero(grown) == hole.size else grown


def _near(part: Pixels, grow: Grow) -> NDArray[np.bool_]:
    """Pixels within the distance of a hole, the hole among them."""
    if grow != "auto":
        return np.asarray(cv2.distanceTransform(1 - part, cv2.DIST_L2, cv2.DIST_MASK_5) <= grow)
    distance, labels = cv2.distanceTransformWithLabels(1 - part, cv2.DIST_L2, cv2.DIST_MASK_5)
    size = np.sqrt(np.bincount(labels[part > 0]))  # of each connected part, which the labels are of
    least = np.minimum(AUTO_LEAST, AUTO_SMALL_SHARE * size)
    radius = np.minimum(AUTO_MOST, np.ceil(np.maximum(AUTO_SHARE * size, least)))
    radius[size < AUTO_SMALLEST] = 0
    return np.asarray(distance <= radius[labels])
