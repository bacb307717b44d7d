"""From encoded images to arrays and back, with alpha and colour profile kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from iic_rt.image_header import ImageFormat, ImageHeader
from iic_rt.image_io import decode_image, decode_mask, encode_image
from iic_rt.image_profile import with_profile
from iic_rt.server.answers import ApiError
from iic_rt.server.upload import Upload, called, check_image

__all__ = ["IMAGES", "Decoded", "check_images", "decode_any_mask", "decode_images", "encode"]

Pixels = NDArray[np.uint8]

IMAGES = ("image", "mask", "avoid", "prefer")
SUFFIXES: dict[ImageFormat, str] = {"png": ".png", "jpeg": ".jpg", "webp": ".webp", "bmp": ".bmp", "tiff": ".tif"}


@dataclass(frozen=True)
class Decoded:
    """What a request asks to be filled.

    Attributes:
        image: uint8 [H, W], [H, W, 3] (BGR) or [H, W, 4] (BGRA), upright.
        masks: uint8 [H, W] each: ``mask``, and ``avoid`` and ``prefer`` where they came.
    """

    image: Pixels
    masks: Mapping[str, Pixels]


def check_images(upload: Upload, max_megapixels: float) -> dict[str, ImageHeader]:
    """The headers of all images of a request, by name.

    Raises:
        ApiError: ``image`` or ``mask`` is missing, or one is of an unknown format or too large.
        InputError: one is damaged.
    """
    for name in ("image", "mask"):
        upload.image(name)
    return {name: check_image(content, name, max_megapixels) for name, content in upload.images.items()}


def decode_images(upload: Upload, max_megapixels: float, *, alpha: bool) -> Decoded:
    """Decodes what :func:`check_images` has looked at.

    Args:
        alpha: whether the alpha of a mask says something (:func:`decode_any_mask`), or its colours alone.

    Raises:
        InputError: one is damaged, or not 8 bits a channel.
    """
    image = decode_image(upload.image("image"), "the image", max_megapixels=max_megapixels)
    masks = {}
    for name in IMAGES[1:]:
        if name in upload.images:
            read = decode_any_mask if alpha else decode_mask
            grey = read(upload.images[name], called(name), max_megapixels=max_megapixels)
            masks[name] = np.asarray(cv2.threshold(grey, 127, 255, cv2.THRESH_BINARY)[1], np.uint8)
    return Decoded(image, masks)


def decode_any_mask(content: bytes, name: str, *, max_megapixels: float) -> Pixels:
    """A mask that may have been drawn on nothing: what is transparent is not marked.

    Of what is not transparent, white is marked; where nothing is white, all of it is, so that strokes may have any
    colour.

    Returns:
        uint8 [H, W], 0 to 255.

    Raises:
        InputError: it is damaged, or not 8 bits a channel.
    """
    pixels = decode_image(content, name, max_megapixels=max_megapixels)
    if pixels.ndim == 2:
        return pixels
    if pixels.shape[2] == 3:
        return np.asarray(cv2.cvtColor(pixels, cv2.COLOR_BGR2GRAY), np.uint8)
    grey, alpha = cv2.cvtColor(pixels, cv2.COLOR_BGRA2GRAY), pixels[..., 3]
    if alpha.min() == alpha.max():
        return np.asarray(grey, np.uint8)
    white = np.minimum(grey, alpha)
    return np.asarray(white if (white > 127).any() else alpha, np.uint8)


def encode(image: Pixels, kind: ImageFormat, profile: bytes) -> bytes:
    """An image as it is sent, in a format that is written: not GIF.

    Raises:
        ApiError: the format has no alpha, and the image has.
        OutputError: the format cannot hold the image.
    """
    if kind == "jpeg" and image.ndim == 3 and image.shape[2] == 4:
        raise ApiError(422, "field", "format: the image has alpha, which jpeg cannot hold; ask for png or webp")
    channels = 1 if image.ndim == 2 else image.shape[2]
    content = encode_image(image, SUFFIXES[kind])
    return with_profile(content, profile, channels=channels)
