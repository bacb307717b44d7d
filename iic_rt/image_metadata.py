"""Colour profile, EXIF and density put into encoded images, so that a result says what its source said."""

from __future__ import annotations

import struct
import zlib
from dataclasses import replace

from iic_rt.exif import FIRST, Exif, Tags, pack_directories, pack_exif, read_exif, swapped
from iic_rt.image_header import Metadata, image_format

__all__ = ["with_metadata"]

LONGEST_SEGMENT = 65533 - 14  # bytes of a profile in a segment of a JPEG
MOST_SEGMENTS = 255
HAS_PROFILE, HAS_ALPHA, HAS_EXIF = 0x20, 0x10, 0x08  # flags of a WebP file
METRE = 1 / 0.0254  # inches
# Tags of a TIFF and of EXIF, and their types.
X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT, PROFILE, ORIENTATION = 282, 283, 296, 34675, 274
SHORT, RATIONAL, UNDEFINED = 3, 5, 7
MOST_DIRECTORY = 2**24  # bytes of the values of a TIFF's directory: eight for each strip


def with_metadata(encoded: bytes, metadata: Metadata, *, channels: int) -> bytes:
    """The image with what its source said beside its pixels.

    Args:
        encoded: PNG, JPEG, lossless WebP or TIFF as OpenCV encodes it; of a BMP the density alone is changed.
        metadata: of the source. A profile that is damaged or for other colours is left out.
        channels: of the image, 1, 3 or 4.
    """
    profile = metadata.profile
    colours = b"GRAY" if channels == 1 else b"RGB "
    if profile[36:40] != b"acsp" or profile[16:20] != colours or int.from_bytes(profile[:4], "big") != len(profile):
        metadata = replace(metadata, profile=b"")
    kind = image_format(encoded)
    if kind == "png":
        return _in_png(encoded, metadata)
    if kind == "jpeg":
        return _in_jpeg(encoded, metadata)
    if kind == "webp":
        return _in_webp(encoded, metadata)
    if kind == "tiff":
        return _in_tiff(encoded, metadata)
    if kind == "bmp":
        return _in_bmp(encoded, metadata)
    return encoded


def _in_png(encoded: bytes, metadata: Metadata) -> bytes:
    chunks = metadata.colour_chunks
    if metadata.profile:
        chunks += _chunk(b"iCCP", b"ICC profile\0\0" + zlib.compress(metadata.profile))
    if metadata.density is not None:
        chunks += _chunk(b"pHYs", struct.pack(">IIB", *(round(n * METRE) for n in metadata.density), 1))
    if metadata.exif:
        chunks += _chunk(b"eXIf", metadata.exif)
    return encoded[:33] + chunks + encoded[33:]


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _in_jpeg(encoded: bytes, metadata: Metadata) -> bytes:
    profile, segments = metadata.profile, b""
    if metadata.exif:
        segments += _segment(0xE1, b"Exif\0\0" + metadata.exif)
    parts = [profile[i : i + LONGEST_SEGMENT] for i in range(0, len(profile), LONGEST_SEGMENT)]
    if len(parts) <= MOST_SEGMENTS:
        for number, part in enumerate(parts, 1):
            segments += _segment(0xE2, b"ICC_PROFILE\0" + bytes((number, len(parts))) + part)
    if encoded[2:4] != b"\xff\xe0":
        return encoded[:2] + segments + encoded[2:]
    at = 4 + int.from_bytes(encoded[4:6], "big")  # JFIF comes first
    first = encoded[:at]
    if metadata.density is not None:
        first = first[:13] + struct.pack(">BHH", 1, *(round(n) for n in metadata.density)) + first[18:]
    return first + segments + encoded[at:]


def _segment(marker: int, data: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(data) + 2) + data


def _in_webp(encoded: bytes, metadata: Metadata) -> bytes:
    exif, profile = _with_density(metadata), metadata.profile
    if encoded[12:16] != b"VP8L" or not (exif or profile):  # what is written here is lossless
        return encoded
    packed = int.from_bytes(encoded[21:25], "little")
    width, height, alpha = packed & 0x3FFF, packed >> 14 & 0x3FFF, packed >> 28 & 1
    flags = HAS_PROFILE * bool(profile) | HAS_EXIF * bool(exif) | HAS_ALPHA * alpha
    sizes = width.to_bytes(3, "little") + height.to_bytes(3, "little")
    body = b"WEBP" + _riff(b"VP8X", bytes((flags, 0, 0, 0)) + sizes)
    body += _riff(b"ICCP", profile) if profile else b""
    body += encoded[12:]
    body += _riff(b"EXIF", exif) if exif else b""
    return _riff(b"RIFF", body)


def _riff(kind: bytes, data: bytes) -> bytes:
    return kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def _with_density(metadata: Metadata) -> bytes:
    """The EXIF, where WebP has the density."""
    exif = read_exif(metadata.exif) or Exif("<", {FIRST: {}})
    if metadata.density is None or X_RESOLUTION in exif.directories[FIRST]:
        return metadata.exif
    tags = _density_tags(metadata.density)
    first = exif.directories[FIRST] | (tags if exif.order == "<" else swapped(tags))
    return pack_exif(Exif(exif.order, exif.directories | {FIRST: first}))


def _density_tags(density: tuple[float, float]) -> Tags:
    """In the byte order ``"<"``."""
    across, down = (struct.pack("<II", round(n * 1000), 1000) for n in density)
    return {
        X_RESOLUTION: (RATIONAL, across),
        Y_RESOLUTION: (RATIONAL, down),
        RESOLUTION_UNIT: (SHORT, struct.pack("<H", 2)),
    }


def _in_tiff(encoded: bytes, metadata: Metadata) -> bytes:
    own, exif = read_exif(encoded, MOST_DIRECTORY), read_exif(metadata.exif) or Exif("<", {})
    if own is None or own.order != "<":
        return encoded
    found = exif.directories if exif.order == "<" else {key: swapped(tags) for key, tags in exif.directories.items()}
    first = {tag: value for tag, value in found.get(FIRST, {}).items() if tag != ORIENTATION} | own.directories[FIRST]
    if metadata.density is not None:
        first |= _density_tags(metadata.density)
    if metadata.profile:
        first[PROFILE] = UNDEFINED, metadata.profile
    encoded += b"\0" * (len(encoded) % 2)
    directories = pack_directories(Exif("<", found | {FIRST: first}), len(encoded))
    return encoded[:4] + struct.pack("<I", len(encoded)) + encoded[8:] + directories


def _in_bmp(encoded: bytes, metadata: Metadata) -> bytes:
    if metadata.density is None or int.from_bytes(encoded[14:18], "little") < 40:
        return encoded
    return encoded[:38] + struct.pack("<II", *(round(n * METRE) for n in metadata.density)) + encoded[46:]
