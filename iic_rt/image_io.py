"""Images on disk: reading with every defect named, writing whole or not at all."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from iic_rt.errors import InputError, OutputError

__all__ = ["IMAGE_SUFFIXES", "read_image", "read_mask", "write_bytes", "write_image"]

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
_JPEG, _PNG, _RIFF = b"\xff\xd8\xff", b"\x89PNG", b"RIFF"


def read_image(path: Path) -> NDArray[np.uint8]:
    """The image as uint8 [H, W], [H, W, 3] (BGR) or [H, W, 4] (BGRA), turned upright as its EXIF says.

    Raises:
        InputError: missing, empty, truncated, not an image, or not 8 bits a channel.
    """
    content = _read(path)
    image = _decode(path, content, cv2.IMREAD_ANYCOLOR | cv2.IMREAD_ANYDEPTH)
    if not content.startswith(_JPEG):  # only this flag keeps alpha; it would leave a JPEG unturned
        unchanged = _decode(path, content, cv2.IMREAD_UNCHANGED)
        if unchanged.ndim == 3 and unchanged.shape[2] == 4:
            image = unchanged
    if image.dtype != np.uint8:
        raise InputError(
            f"{path} has {image.dtype.itemsize * 8} bits a channel; only 8 are taken. "
            "Convert it first, e.g. `magick in.png -depth 8 out.png`"
        )
    return image


def read_mask(path: Path) -> NDArray[np.uint8]:
    """The mask as uint8 [H, W], 0 to 255, turned upright as its EXIF says; colours count by their luminance.

    Raises:
        InputError: missing, empty, truncated or not an image.
    """
    return np.asarray(_decode(path, _read(path), cv2.IMREAD_GRAYSCALE), np.uint8)


def _read(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise InputError(f"{path} does not exist; check the name") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}") from error
    if not content:
        raise InputError(f"{path} is empty; copy it again")
    return content


def _decode(path: Path, content: bytes, flags: int) -> NDArray[Any]:
    image = None if _is_truncated(content) else cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    if image is None:
        known = content.startswith((_JPEG, _PNG, _RIFF))
        what = "is truncated or damaged; copy it again" if known else "is not an image that OpenCV can read"
        raise InputError(f"{path} {what}. Formats read: {', '.join(s[1:] for s in IMAGE_SUFFIXES)}")
    return np.asarray(image)


def _is_truncated(content: bytes) -> bool:
    """Whether the end of a JPEG, PNG or WebP file is missing: decoders fill the rest with grey and say nothing."""
    if content.startswith(_JPEG):
        # Compressed data never holds an end marker, so one behind the last start of scan closes the image itself
        # and not its embedded thumbnail.
        return content.rfind(b"\xff\xd9") < content.rfind(b"\xff\xda")
    if content.startswith(_PNG):
        return b"IEND" not in content[-64:] and b"IEND" not in content
    if content.startswith(_RIFF):
        return len(content) < int.from_bytes(content[4:8], "little") + 8
    return False


def write_image(path: Path, image: NDArray[np.uint8]) -> None:
    """Writes an image (channels as :func:`read_image` gives them) in the format of the path's ending, atomically.

    JPEG is written with quality 95 and full colour resolution; only lossless formats keep known pixels bit for bit.

    Raises:
        OutputError: unknown ending, or the place cannot be written to.
    """
    suffix = path.suffix.lower()
    if suffix not in IMAGE_SUFFIXES:
        allowed = ", ".join(IMAGE_SUFFIXES)
        raise OutputError(f"cannot write {path}: no format for the ending {suffix!r}; allowed: {allowed}")
    parameters: list[int] = []
    if suffix in (".jpg", ".jpeg"):
        if image.ndim == 3 and image.shape[2] == 4:
            raise OutputError(f"cannot write {path}: JPEG has no alpha channel; use .png or .webp")
        sampling = cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444
        parameters = [cv2.IMWRITE_JPEG_QUALITY, 95, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, sampling]
    elif suffix == ".webp":
        parameters = [cv2.IMWRITE_WEBP_QUALITY, 101]  # above 100 is lossless
    done, encoded = cv2.imencode(suffix, image, parameters)
    if not done:
        raise OutputError(f"cannot write {path}: OpenCV refuses an image of shape {image.shape} as {suffix}")
    write_bytes(path, encoded.tobytes())


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a file whole or not at all: under another name in the same folder, then renamed.

    Raises:
        OutputError: the place cannot be written to; nothing is left there.
    """
    partial = None
    try:
        handle, partial = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.chmod(partial, 0o666 & ~_umask())
        os.replace(partial, path)
    except OSError as error:
        if partial is not None:
            Path(partial).unlink(missing_ok=True)
        raise OutputError(
            f"cannot write {path}: {error.strerror}. Check that the folder exists and may be written to"
        ) from error


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
