"""From encoded images to arrays and back, with alpha and metadata kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from iic_rt.image_header import ImageFormat, ImageHeader, Metadata
from iic_rt.image_io import decode_grey, decode_image, decode_mask, encode_image
from iic_rt.mask_colours import THRESHOLD
from iic_rt.server.answers import ApiError
from iic_rt.server.upload import Upload, called, check_image

__all__ = ["IMAGES", "Decoded", "check_images", "decode_images", "encode"]

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


def decode_images(upload: Upload, max_megapixels: float, *, colours: bool) -> Decoded:
    """Decodes what :func:`check_images` has looked at.

    Args:
        colours: whether the colours and the alpha of a mask say something (:func:`iic_rt.image_io.decode_mask`), or
            its luminance alone, white from 128 up.

    Raises:
        InputError: one is damaged or not 8 bits a channel, or it is not clear what a mask marks.
    """
    image = decode_image(upload.image("image"), "the image", max_megapixels=max_megapixels)
    height, width = image.shape[:2]
    masks = {}
    for name in IMAGES[1:]:
        if name not in upload.images:
            continue
        content = upload.images[name]
        if colours:
            size = height, width
            masks[name] = decode_mask(content, called(name), max_megapixels=max_megapixels, size=size)
        else:
            grey = decode_grey(content, called(name), max_megapixels=max_megapixels)
            masks[name] = np.asarray(cv2.threshold(grey, THRESHOLD - 1, 255, cv2.THRESH_BINARY)[1], np.uint8)
    return Decoded(image, masks)


def encode(image: Pixels, kind: ImageFormat, metadata: Metadata | None = None) -> bytes:
    """An image as it is sent, in a format that is written: not GIF.

    Raises:
        ApiError: the format has no alpha, and the image has.
        OutputError: the format cannot hold the image.
    """
    if kind == "jpeg" and image.ndim == 3 and image.shape[2] == 4:
        raise ApiError(422, "field", "format: the image has alpha, which jpeg cannot hold; ask for png or webp")
    return encode_image(image, SUFFIXES[kind], metadata or Metadata())
