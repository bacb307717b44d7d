"""Checks of the arrays a caller gives, and their way to and from RGB."""

from __future__ import annotations

import warnings
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from iic_rt.errors import InputError, MaskWarning
from iic_rt.options import InpaintOptions

__all__ = ["check_control", "check_image", "check_mask", "from_rgb", "to_rgb"]

ALMOST_ALL = 0.9  # share of the picture above which a mask looks inverted
Pixels = NDArray[np.uint8]


def check_image(image: object) -> Pixels:
    """The image as an array, if it is uint8 [H, W], [H, W, 1], [H, W, 3] or [H, W, 4] and not empty.

    Raises:
        InputError: it is anything else.
    """
    if not isinstance(image, np.ndarray):
        raise InputError(f"the image is a {type(image).__name__}, not a numpy array; use numpy.asarray on it first")
    if image.dtype != np.uint8:
        raise InputError(f"the image has dtype {image.dtype}; only uint8 (0 to 255) is taken. {_to_uint8_hint(image)}")
    if image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (1, 3, 4)):
        raise InputError(
            f"the image has shape {image.shape}; allowed: [H, W], [H, W, 1], [H, W, 3] or [H, W, 4] (colour last)"
        )
    if 0 in image.shape:
        raise InputError(f"the image has no pixels: its shape is {image.shape}")
    return image


def _to_uint8_hint(image: NDArray[Any]) -> str:
    if image.dtype == np.uint16:
        return "For 16-bit pictures, (image // 257).astype('uint8') keeps the full range"
    if np.issubdtype(image.dtype, np.floating):
        if not np.isfinite(image).all():
            return "It also holds NaN or infinite values: replace them, scale to 0..255 and convert to uint8"
        return "Scale it to 0..255 and convert with .round().astype('uint8')"
    return "Convert it with .astype('uint8') after checking its range"


def check_mask(mask: object, shape: tuple[int, ...], options: InpaintOptions) -> Pixels:
    """The hole as uint8 [H, W] in {0, 1}, 1 = fill.

    ``mask`` is bool or uint8, [H, W] or [H, W, 1]. A uint8 mask counts as white from 128 up, or, when it holds only 0
    and 1, at 1. ``options.mask_hole`` says which end is the hole. ``shape`` is that of the image.

    Raises:
        InputError: wrong type, size or shape, or a hole that covers the whole picture.
    """
    white = _white(mask, shape, "mask")
    hole = white if options.mask_hole == "white" else ~white
    share = float(hole.mean())
    other = "black" if options.mask_hole == "white" else "white"
    if share == 1:
        raise InputError(
            "the mask marks every pixel, so nothing is left to fill the hole from. "
            f"Leave some pixels unmarked; if {other} is what you want removed, set mask_hole={other!r}"
        )
    if share == 0:
        warnings.warn(
            "the mask marks no pixel: the image is returned unchanged. "
            f"If {other} is what you want removed, set mask_hole={other!r}",
            MaskWarning,
            stacklevel=3,
        )
    elif share > ALMOST_ALL:
        warnings.warn(
            f"the mask marks {100 * share:.0f} % of the picture for removal. "
            f"If {other} is what you want removed, set mask_hole={other!r}",
            MaskWarning,
            stacklevel=3,
        )
    checked: Pixels = hole.astype(np.uint8)
    return checked


def _white(mask: object, shape: tuple[int, ...], name: str) -> NDArray[np.bool_]:
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
        raise InputError(f"the {name} has shape {mask.shape}; allowed: [H, W] or [H, W, 1]")
    if mask.shape != shape[:2]:
        raise InputError(
            f"the {name} is {mask.shape[1]}x{mask.shape[0]} and the image {shape[1]}x{shape[0]} pixels "
            "(width x height); they must be equal. Resize it with nearest-neighbour interpolation"
        )
    threshold = 1 if mask.dtype == np.bool_ or mask.max() <= 1 else 128
    return np.asarray(mask >= threshold, np.bool_)


def check_control(avoid: object, prefer: object, hole: Pixels) -> tuple[Pixels | None, Pixels | None]:
    """Known pixels that must not be looked at, and known pixels that may be looked at but not copied.

    Both are uint8 [H, W] in {0, 1}, or None when there are none.

    Args:
        avoid: mask like ``check_mask``'s, white = never copy from here, or None.
        prefer: the same, white = copy from here only, or None.
        hole: uint8 [H, W] in {0, 1}.

    Raises:
        InputError: a mask cannot be used, or together they leave nothing to copy from.
    """
    if avoid is None and prefer is None:
        return None, None
    hidden = np.zeros(hole.shape, np.bool_) if avoid is None else _white(avoid, hole.shape, "avoid mask")
    if avoid is not None and bool((hidden | (hole > 0)).all()):
        raise InputError(
            "the avoid mask covers every known pixel, so nothing is left to fill the hole from; leave some unmarked"
        )
    if prefer is not None:
        wanted = _white(prefer, hole.shape, "prefer mask")
        if not wanted.any():
            raise InputError("the prefer mask marks no pixel; mark the area to copy from, or leave prefer out")
        if not (wanted & (hole == 0)).any():
            raise InputError(
                "the prefer mask lies inside the hole, where there is nothing to copy; mark known pixels outside it"
            )
        if not (wanted & (hole == 0) & ~hidden).any():
            raise InputError("avoid covers all that prefer marks; leave some of it unmarked, or leave one of them out")
    return (
        None if avoid is None else np.asarray(hidden & (hole == 0), np.uint8),
        None if prefer is None else np.asarray(~wanted & (hole == 0), np.uint8),
    )


def to_rgb(image: Pixels, channel_order: str) -> Pixels:
    """A new RGB array [H, W, 3] of any checked image; alpha is left out, grey is repeated."""
    if image.ndim == 2 or image.shape[2] == 1:
        return np.repeat(image.reshape(*image.shape[:2], 1), 3, axis=2)
    colours = image[..., :3]
    return np.array(colours[..., ::-1] if channel_order == "bgr" else colours, order="C")


def from_rgb(rgb: Pixels, image: Pixels, hole: Pixels, channel_order: str) -> Pixels:
    """A new array like ``image`` with the hole's pixels taken from ``rgb``; all others, and alpha, stay bit for bit."""
    result: Pixels = image.copy(order="C")
    inside = hole > 0
    if image.ndim == 2 or image.shape[2] == 1:
        grey = cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY)
        result.reshape(hole.shape)[inside] = grey[inside]
    else:
        result[..., :3][inside] = rgb[inside][:, ::-1] if channel_order == "bgr" else rgb[inside]
    return result
