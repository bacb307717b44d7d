"""Images on disk and in memory: reading with every defect named, writing whole or not at all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from iic_rt.decoder_noise import decoding
from iic_rt.errors import InputError, OutputError
from iic_rt.files import write_bytes
from iic_rt.image_header import ImageHeader, Metadata, plain_png, read_header
from iic_rt.image_metadata import with_metadata
from iic_rt.mask_colours import grey_mask
from iic_rt.no_memory import is_out_of_memory

__all__ = [
    "IMAGE_SUFFIXES",
    "MAX_MEGAPIXELS",
    "check_format",
    "decode_grey",
    "decode_image",
    "decode_mask",
    "encode_image",
    "lost_profile",
    "read_file",
    "read_image",
    "read_mask",
    "write_image",
]

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
LARGEST_SIDES = {".jpg": 65_500, ".jpeg": 65_500, ".webp": 16_383}  # pixels
MAX_MEGAPIXELS = 200.0  # no camera of today takes more, and a few bytes can claim a billion
NONE = Metadata()
TURNS = {  # what to do with an image of an EXIF orientation: transpose first, then flip as cv2.flip has it
    2: (False, 1),
    3: (False, -1),
    4: (False, 0),
    5: (True, None),
    6: (True, 1),
    7: (True, -1),
    8: (True, 0),
}


def read_image(path: Path, *, max_megapixels: float = MAX_MEGAPIXELS) -> NDArray[np.uint8]:
    """The image as uint8 [H, W], [H, W, 3] (BGR) or [H, W, 4] (BGRA), turned upright as its EXIF says.

    Raises:
        InputError: missing, empty, truncated, not an image, too large, not 8 bits a channel, or CMYK.
    """
    return decode_image(read_file(path), str(path), max_megapixels=max_megapixels)


def read_mask(path: Path, *, max_megapixels: float = MAX_MEGAPIXELS) -> NDArray[np.uint8]:
    """The mask as uint8 [H, W], turned upright as its EXIF says; white from 128 up, or at 1 where all are 0 or 1.

    :func:`iic_rt.mask_colours.grey_mask` says what colours and alpha mean.

    Raises:
        InputError: missing, empty, truncated, not an image, too large, or it is not clear what it marks.
    """
    return decode_mask(read_file(path), str(path), max_megapixels=max_megapixels)


def decode_image(content: bytes, name: str, *, max_megapixels: float = MAX_MEGAPIXELS) -> NDArray[np.uint8]:
    """An encoded image as :func:`read_image` gives it; errors call it ``name``."""
    header = _check_header(content, name, max_megapixels)
    if header.bits <= 8 and header.channels == 4:
        raise InputError(f"{name} has the colours of a printer (CMYK); convert it to RGB first")
    bits = header.bits
    if bits <= 8:
        image = _decode(content, name, header)
        if image.dtype == np.uint8:
            return np.asarray(image, np.uint8)
        bits = image.dtype.itemsize * 8
    raise InputError(
        f"{name} has {bits} bits a channel; only 8 are taken. Convert it first, e.g. `magick in.png -depth 8 out.png`"
    )


def decode_mask(
    content: bytes, name: str, *, max_megapixels: float = MAX_MEGAPIXELS, size: tuple[int, int] | None = None
) -> NDArray[np.uint8]:
    """An encoded mask as :func:`read_mask` gives it.

    Args:
        content: of the file.
        name: what errors call it.
        max_megapixels: at most.
        size: height and width of the image, where they are known: a mask of another size is not decoded.
    """
    header = _check_header(content, name, max_megapixels)
    height, width = (header.width, header.height) if header.orientation > 4 else (header.height, header.width)
    if size not in (None, (height, width)) and header.format != "tiff":  # whose header may speak of a tile
        assert size is not None
        raise InputError(
            f"{name} is {width}x{height} and the image {size[1]}x{size[0]} pixels (width x height); they must be "
            "equal. Resize it with nearest-neighbour interpolation"
        )
    pixels = _decode(content, name, header)
    if pixels.dtype == np.uint16:  # of 16 bits, or 8 bits written as 16
        pixels = (pixels >> 8 if pixels.max() > 255 else pixels).astype(np.uint8)
    if pixels.dtype != np.uint8:
        raise InputError(f"{name} has values of {pixels.dtype}; write a mask of 8 bits, 0 and 255")
    return grey_mask(np.asarray(pixels, np.uint8), name)


def decode_grey(content: bytes, name: str, *, max_megapixels: float = MAX_MEGAPIXELS) -> NDArray[np.uint8]:
    """An encoded image as uint8 [H, W], upright: colours by their luminance, without alpha."""
    header = _check_header(content, name, max_megapixels)
    return np.asarray(_decode(content, name, header, cv2.IMREAD_GRAYSCALE), np.uint8)


def read_file(path: Path) -> bytes:
    """What a file holds.

    Raises:
        InputError: it is missing, cannot be read, or is empty.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist; check the name") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    if not content:
        raise InputError(f"{path} is empty; copy it again")
    return content


def _check_header(content: bytes, name: str, max_megapixels: float) -> ImageHeader:
    header = read_header(content, name)
    if header.megapixels > max_megapixels:
        raise InputError(
            f"{name} is {header.width}x{header.height}, {header.megapixels:.4g} megapixels; at most "
            f"{max_megapixels:g} are read. Scale it down, or set max_megapixels"
        )
    return header


def _decode(content: bytes, name: str, header: ImageHeader, colours: int | None = None) -> NDArray[Any]:
    """The pixels, upright, as the file has them unless ``colours`` says otherwise."""
    if colours is None:
        # Only the first keeps alpha, which no JPEG has; only the second gives what every JPEG holds as BGR or grey.
        colours = cv2.IMREAD_UNCHANGED if header.format != "jpeg" else cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH
    with decoding(name):
        image = _imdecode(content, name, header, colours)
    transposed, flip = TURNS.get(header.orientation, (False, None))
    if transposed:
        image = cv2.transpose(image)
    if flip is not None:
        image = cv2.flip(image, flip)
    return np.asarray(image)


def _imdecode(content: bytes, name: str, header: ImageHeader, colours: int) -> NDArray[Any]:
    """The pixels as they are stored."""
    image = None
    whole = plain_png(content) if header.format == "png" else content
    if whole is not None and not _is_truncated(whole, header):
        try:
            image = cv2.imdecode(np.frombuffer(whole, np.uint8), colours | cv2.IMREAD_IGNORE_ORIENTATION)
        except cv2.error as error:  # raised or None, as the decoder likes
            if is_out_of_memory(error):
                raise MemoryError(f"{name} needs more memory than there is") from error
    if image is None:
        raise InputError(
            f"{name} is truncated or damaged; copy it again. Formats read: {', '.join(s[1:] for s in IMAGE_SUFFIXES)}"
        )
    return np.asarray(image)


def _is_truncated(content: bytes, header: ImageHeader) -> bool:
    """Whether the end of a JPEG or WebP file is missing: decoders fill the rest with grey and say nothing."""
    if header.format == "jpeg":
        # Compressed data never holds an end marker, so one behind the last start of scan closes the image itself
        # and not its embedded thumbnail.
        return content.rfind(b"\xff\xd9") < content.rfind(b"\xff\xda")
    if header.format == "webp":
        return len(content) < int.from_bytes(content[4:8], "little") + 8
    return False


def write_image(path: Path, image: NDArray[np.uint8], metadata: Metadata = NONE) -> None:
    """Writes an image (channels as :func:`read_image` gives them) in the format of the path's ending, atomically.

    JPEG is written with quality 95 and full colour resolution; only lossless formats keep known pixels bit for bit.

    Args:
        path: where to.
        image: uint8.
        metadata: of the file that the image comes from; BMP holds its density alone.

    Raises:
        OutputError: unknown ending, the format cannot hold the image, or the place cannot be written to.
    """
    try:
        encoded = encode_image(image, path.suffix.lower(), metadata)
    except OutputError as error:
        raise OutputError(f"cannot write {path}: {error}") from error
    write_bytes(path, encoded)


def check_format(suffix: str, shape: tuple[int, ...] = ()) -> None:
    """Whether a file of this ending can hold an image, where its shape is known, before there is one.

    Raises:
        OutputError: it cannot.
    """
    if suffix not in IMAGE_SUFFIXES:
        allowed = ", ".join(IMAGE_SUFFIXES)
        raise OutputError(f"no format for the ending {suffix!r}; allowed: {allowed}")
    if suffix in (".jpg", ".jpeg") and len(shape) == 3 and shape[2] == 4:
        raise OutputError("JPEG has no alpha channel; use .png or .webp")
    most = LARGEST_SIDES.get(suffix)
    if most is not None and max(shape[:2], default=0) > most:
        raise OutputError(f"{suffix} holds images of at most {most} pixels a side; use .png or .tif")


def lost_profile(path: Path, metadata: Metadata) -> str:
    """The warning that an image will look different in the format of a path's ending; empty where it will not."""
    if path.suffix.lower() != ".bmp" or not metadata.profile:
        return ""
    return f"BMP holds no colour profile, so {path} may look different; .png, .tif and .webp keep it"


def encode_image(image: NDArray[np.uint8], suffix: str, metadata: Metadata = NONE) -> bytes:
    """An image encoded in the format of a file's ending, as :func:`write_image` writes it.

    Raises:
        OutputError: unknown ending, or the format cannot hold the image.
    """
    check_format(suffix, image.shape)
    parameters: list[int] = []
    if suffix in (".jpg", ".jpeg"):
        sampling = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444
        parameters = [cv2.IMWRITE_JPEG_QUALITY, 95, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling]
    elif suffix == ".webp":
        parameters = [cv2.IMWRITE_WEBP_QUALITY, 101]  # above 100 is lossless
    done, encoded = cv2.imencode(suffix, image, parameters)
    if not done:
        raise OutputError(f"OpenCV refuses an image of shape {image.shape} as {suffix}")
    return with_metadata(encoded.tobytes(), metadata, channels=1 if image.ndim == 2 else image.shape[2])
