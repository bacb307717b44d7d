"""Colour profiles (ICC) put into encoded images, so that colours stay what they were."""

from __future__ import annotations

import struct
import zlib

from iic_rt.image_header import image_format

__all__ = ["with_profile"]

LONGEST_SEGMENT = 65533 - 14  # bytes of a profile in a segment of a JPEG
MOST_SEGMENTS = 255
HAS_PROFILE, HAS_ALPHA = 0x20, 0x10  # flags of a WebP file


def with_profile(encoded: bytes, profile: bytes, *, channels: int) -> bytes:
    """The image with the profile in it.

    Args:
        encoded: as OpenCV encodes it. Other formats than PNG, JPEG and WebP are given back as they are.
        profile: as the image that was read had it. One that is empty, damaged or for other colours is left out.
        channels: of the image, 1, 3 or 4.
    """
    colours = b"GRAY" if channels == 1 else b"RGB "
    if profile[36:40] != b"acsp" or profile[16:20] != colours or int.from_bytes(profile[:4], "big") != len(profile):
        return encoded
    kind = image_format(encoded)
    if kind == "png":
        return _in_png(encoded, profile)
    if kind == "jpeg":
        return _in_jpeg(encoded, profile)
    if kind == "webp":
        return _in_webp(encoded, profile)
    return encoded


def _in_png(encoded: bytes, profile: bytes) -> bytes:
    data = b"ICC profile\0\0" + zlib.compress(profile)
    kind_and_data = b"iCCP" + data
    chunk = struct.pack(">I", len(data)) + kind_and_data + struct.pack(">I", zlib.crc32(kind_and_data))
    return encoded[:33] + chunk + encoded[33:]


def _in_jpeg(encoded: bytes, profile: bytes) -> bytes:
    parts = [profile[i : i + LONGEST_SEGMENT] for i in range(0, len(profile), LONGEST_SEGMENT)]
    if len(parts) > MOST_SEGMENTS:
        return encoded
    segments = b"".join(
        b"\xff\xe2" + struct.pack(">H", len(part) + 16) + b"ICC_PROFILE\0" + bytes((number, len(parts))) + part
        for number, part in enumerate(parts, 1)
    )
    at = 2
    if encoded[2:4] == b"\xff\xe0":  # JFIF comes first
        at = 4 + int.from_bytes(encoded[4:6], "big")
    return encoded[:at] + segments + encoded[at:]


def _in_webp(encoded: bytes, profile: bytes) -> bytes:
    if encoded[12:16] != b"VP8L":  # what is written here is lossless
        return encoded
    packed = int.from_bytes(encoded[21:25], "little")
    width, height, alpha = packed & 0x3FFF, packed >> 14 & 0x3FFF, packed >> 28 & 1
    flags = HAS_PROFILE | (HAS_ALPHA if alpha else 0)
    sizes = width.to_bytes(3, "little") + height.to_bytes(3, "little")
    body = b"WEBP" + _riff(b"VP8X", bytes((flags, 0, 0, 0)) + sizes) + _riff(b"ICCP", profile) + encoded[12:]
    return _riff(b"RIFF", body)


def _riff(kind: bytes, data: bytes) -> bytes:
    return kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)
