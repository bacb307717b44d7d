"""What an image file says of itself, read before anything of it is decoded."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Literal

from iic_rt.errors import InputError
from iic_rt.exif import clean_exif

__all__ = ["ImageFormat", "ImageHeader", "Metadata", "image_format", "plain_png", "read_header"]

ImageFormat = Literal["png", "jpeg", "webp", "bmp", "tiff", "gif"]

PNG, JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
TIFFS = {b"II*\0": "<", b"MM\0*": ">", b"II+\0": "<", b"MM\0+": ">"}  # the last two are BigTIFF

PNG_PIXELS = frozenset((b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"))
PALETTE = 3  # kind of colours of a PNG
PNG_COLOURS = frozenset((b"cHRM", b"gAMA", b"sRGB", b"cICP"))  # say what the colours mean, as a profile does

MOST_PARTS = 100_000  # chunks, segments or entries that are looked at; a file has a few hundred of them
MOST_SCANS = 100  # of a progressive JPEG, which has about ten; each makes the decoder go over all pixels
MOST_PROFILE = 4 * 2**20  # bytes of a colour profile, which are unpacked
FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # JPEG markers that tell a size
ALONE = frozenset((*range(0xD0, 0xDA), 0x01))  # JPEG markers without a length
# TIFF: numbers of tags, and struct's letters for their types.
WIDTH, HEIGHT, BITS, ORIENTATION, TILE_WIDTH, TILE_HEIGHT, PROFILE = 256, 257, 258, 274, 322, 323, 34675
X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 282, 283, 296
WANTED = frozenset((WIDTH, HEIGHT, BITS, ORIENTATION, TILE_WIDTH, TILE_HEIGHT, PROFILE))
WANTED |= {X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT}
TYPES = {1: "B", 3: "H", 4: "I", 5: "II", 16: "Q"}
INCH, CENTIMETRE, METRE = 1.0, 2.54, 0.0254  # in which dots are counted; by these they become dots per inch


@dataclass(frozen=True)
class Metadata:
    """What a file says beside its pixels, and its result says too.

    Attributes:
        profile: ICC profile, empty where there is none.
        exif: as a result may have it (:func:`iic_rt.exif.clean_exif`), empty where there is none.
        density: dots per inch across and down, None where it is not known.
        colour_chunks: of a PNG, the chunks that say what its colours mean.
    """

    profile: bytes = b""
    exif: bytes = b""
    density: tuple[float, float] | None = None
    colour_chunks: bytes = b""


@dataclass(frozen=True)
class ImageHeader:
    """What is known of an image before it is decoded.

    Attributes:
        format: of the file.
        width, height: pixels to be decoded, before the image is turned upright. Of a TIFF at least the size of a tile.
        bits: of a channel.
        channels: of a JPEG, 4 for CMYK; None where the header of the format does not say it in one place.
        orientation: as EXIF has it, 1 to 8; 1 is upright. Of a TIFF always 1: OpenCV turns those itself.
        metadata: of the upright image.
    """

    format: ImageFormat
    width: int
    height: int
    bits: int = 8
    channels: int | None = None
    orientation: int = 1
    metadata: Metadata = field(default_factory=Metadata)

    @property
    def megapixels(self) -> float:
        """Millions of pixels."""
        return self.width * self.height / 1e6


def image_format(content: bytes) -> ImageFormat | None:
    """The format by the first bytes; None where it is none of those that are read."""
    if content.startswith(PNG):
        return "png"
    if content.startswith(JPEG):
        return "jpeg"
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "webp"
    if content.startswith(b"BM"):
        return "bmp"
    if content[:4] in TIFFS:
        return "tiff"
    if content.startswith((b"GIF87a", b"GIF89a")):
        return "gif"
    return None


def read_header(content: bytes, name: str) -> ImageHeader:
    """Reads sizes, orientation and colour profile; the pixels are not looked at.

    Args:
        content: of the file, whole or its beginning.
        name: what errors call the image.

    Raises:
        InputError: of no known format, or the header is damaged.
    """
    found = image_format(content)
    if found is None:
        raise InputError(f"{name} is not an image of a known format: png, jpg, webp, bmp, tif or gif")
    try:
        header = READERS[found](content)
    except (struct.error, LookupError, ValueError, OverflowError) as error:
        raise InputError(f"{name} is truncated or damaged: its header cannot be read; copy it again") from error
    if header.width < 1 or header.height < 1:
        raise InputError(f"{name} is truncated or damaged: its header says {header.width}x{header.height} pixels")
    return header


def _read_png(content: bytes) -> ImageHeader:
    length, kind, width, height, bits = struct.unpack_from(">I4sIIB", content, 8)
    if kind != b"IHDR" or length != 13:
        raise ValueError
    exif, profile, density, colours = b"", b"", None, b""
    for kind, begin, end in _png_chunks(content):
        if kind == b"eXIf":
            exif = content[begin:end]
        elif kind == b"iCCP":
            profile = _unpacked(content[begin:end].partition(b"\0")[2][1:])
        elif kind == b"pHYs" and content[end - 1 : end] == b"\1":
            density = _density(struct.unpack_from(">II", content, begin), METRE)
        elif kind in PNG_COLOURS and end - begin <= 32:
            colours += content[begin - 8 : end + 4]
    return _upright(ImageHeader("png", width, height, bits), exif, Metadata(profile, b"", density, colours))


def _png_chunks(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kinds of chunks, and where what they hold begins and ends."""
    at = len(PNG)
    for _ in range(MOST_PARTS):
        if at + 8 > len(content):
            return
        length, kind = struct.unpack_from(">I4s", content, at)
        yield kind, at + 8, at + 8 + length
        at += 12 + length


def plain_png(content: bytes) -> bytes | None:
    """A PNG with nothing but its pixels: no text, profile or animation for a decoder to stumble over.

    None where it is cut, a part is missing or a checksum is wrong, of which the decoder would complain on stderr, or
    where a chunk says that it is longer than the file: OpenCV takes as much memory as that says.
    """
    kept, kinds = [PNG], set()
    for kind, begin, end in _png_chunks(content):
        if end + 4 > len(content):
            return None
        if kind in PNG_PIXELS:
            chunk = content[begin - 8 : end + 4]
            if zlib.crc32(memoryview(chunk)[4:-4]) != int.from_bytes(chunk[-4:], "big"):
                return None
            kept.append(chunk)
            kinds.add(kind)
        if kind == b"IEND":
            needed = {b"IDAT", b"PLTE"} if content[25] == PALETTE else {b"IDAT"}
            return b"".join(kept) if needed <= kinds else None
    return None


def _unpacked(packed: bytes) -> bytes:
    """What a zlib stream holds; empty where it is damaged or too much."""
    unpacker = zlib.decompressobj()
    try:
        content = unpacker.decompress(packed, MOST_PROFILE)
    except zlib.error:
        return b""
    return content if unpacker.eof else b""


def _read_jpeg(content: bytes) -> ImageHeader:
    if content.count(b"\xff\xda") > MOST_SCANS:
        raise ValueError
    size: tuple[int, ...] | None = None
    exif, profile, density = b"", [], None
    for marker, data in _jpeg_segments(content):
        if marker in FRAMES:
            if size is not None:
                raise ValueError
            size = struct.unpack_from(">BHHB", data)
        elif marker == 0xE0 and data.startswith(b"JFIF\0") and data[7:8] in (b"\1", b"\2"):
            density = _density(struct.unpack_from(">HH", data, 8), INCH if data[7] == 1 else CENTIMETRE)
        elif marker == 0xE1 and data.startswith(b"Exif\0\0"):
            exif = data[6:]
        elif marker == 0xE2 and data.startswith(b"ICC_PROFILE\0"):
            profile.append((data[12:13], data[14:]))
    if size is None:
        raise ValueError
    bits, height, width, channels = size
    parts = b"".join(part for _, part in sorted(profile))
    metadata = Metadata(parts[:MOST_PROFILE], b"", density)
    return _upright(ImageHeader("jpeg", width, height, bits, channels), exif, metadata)


def _jpeg_segments(content: bytes) -> Iterator[tuple[int, bytes]]:
    """Markers and what they hold, up to the first scan."""
    at = 2
    for _ in range(MOST_PARTS):
        at = content.index(b"\xff", at)
        while content[at] == 0xFF:
            at += 1
        marker = content[at]
        at += 1
        if marker == 0xDA:
            return
        if marker in ALONE or marker == 0:
            continue
        (length,) = struct.unpack_from(">H", content, at)
        yield marker, content[at + 2 : at + length]
        at += max(2, length)
    raise ValueError


def _read_webp(content: bytes) -> ImageHeader:
    kind = content[12:16]
    if kind == b"VP8 ":
        if content[23:26] != b"\x9d\x01\x2a":
            raise ValueError
        width, height = struct.unpack_from("<HH", content, 26)
        return ImageHeader("webp", width & 0x3FFF, height & 0x3FFF)
    if kind == b"VP8L":
        sign, packed = struct.unpack_from("<BI", content, 20)
        if sign != 0x2F:
            raise ValueError
        return ImageHeader("webp", (packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1)
    if kind != b"VP8X" or len(content) < 30:
        raise ValueError
    width, height = (int.from_bytes(content[at : at + 3], "little") + 1 for at in (24, 27))
    exif, profile, at = b"", b"", 30
    for _ in range(MOST_PARTS):
        if at + 8 > len(content):
            break
        kind, length = struct.unpack_from("<4sI", content, at)
        if kind == b"EXIF":
            exif = content[at + 8 : at + 8 + min(length, MOST_PROFILE)].removeprefix(b"Exif\0\0")
        elif kind == b"ICCP":
            profile = content[at + 8 : at + 8 + min(length, MOST_PROFILE)]
        at += 8 + length + length % 2
    return _upright(ImageHeader("webp", width, height), exif, Metadata(profile))


def _read_bmp(content: bytes) -> ImageHeader:
    (size,) = struct.unpack_from("<I", content, 14)
    width, height = struct.unpack_from("<HH" if size == 12 else "<ii", content, 18)
    density = _density(struct.unpack_from("<ii", content, 38), METRE) if size >= 40 and len(content) >= 46 else None
    return ImageHeader("bmp", width, abs(height), metadata=Metadata(density=density))


def _read_gif(content: bytes) -> ImageHeader:
    return ImageHeader("gif", *struct.unpack_from("<HH", content, 6))


def _read_tiff(content: bytes) -> ImageHeader:
    tags = _tiff_tags(content)
    width = max(tags[WIDTH][0], *tags.get(TILE_WIDTH, (0,)))
    height = max(tags[HEIGHT][0], *tags.get(TILE_HEIGHT, (0,)))
    found = ImageHeader("tiff", width, height, max(tags.get(BITS, (1,))), orientation=_orientation(tags))
    # Its tags are EXIF.
    header = _upright(found, content, Metadata(bytes(tags.get(PROFILE, ()))))
    return replace(header, orientation=1)


def _upright(header: ImageHeader, exif: bytes, metadata: Metadata) -> ImageHeader:
    """The header with what EXIF says, and with metadata of the upright image.

    EXIF is often damaged, and the image is none the worse: what cannot be read of it counts as not there.
    """
    try:
        tags = _tiff_tags(exif)
    except (struct.error, ValueError, OverflowError):
        tags = {}
    orientation = _orientation(tags)
    density = metadata.density or _density_of_tags(tags)
    width, height, turned = header.width, header.height, orientation > 4
    if turned:
        width, height, density = height, width, density and density[::-1]
    cleaned = clean_exif(exif, width=width, height=height, turned=turned)
    return replace(header, orientation=orientation, metadata=replace(metadata, exif=cleaned, density=density))


def _orientation(tags: dict[int, tuple[int, ...]]) -> int:
    found = tags.get(ORIENTATION, (1,))[0]
    return found if 1 <= found <= 8 else 1


def _density_of_tags(tags: dict[int, tuple[int, ...]]) -> tuple[float, float] | None:
    across, down = (tags.get(tag, (0, 0)) for tag in (X_RESOLUTION, Y_RESOLUTION))
    unit = {2: INCH, 3: CENTIMETRE}.get(tags.get(RESOLUTION_UNIT, (2,))[0])
    if unit is None or len(across) != 2 or len(down) != 2 or not across[1] or not down[1]:
        return None
    return _density((across[0] / across[1], down[0] / down[1]), unit)


def _density(dots: tuple[float, float], unit: float) -> tuple[float, float] | None:
    """Dots per inch, of dots per unit; None where they cannot be meant."""
    found = tuple(n * unit for n in dots)
    # What was rounded to dots per metre is a whole number of dots per inch again.
    across, down = (float(round(n)) if abs(n - round(n)) < 0.02 else n for n in found)
    return (across, down) if min(found) >= 1 and max(found) <= 65_535 else None


def _tiff_tags(content: bytes) -> dict[int, tuple[int, ...]]:
    """Those tags of the first directory that are needed.

    Raises:
        ValueError, struct.error: it is damaged.
    """
    order = TIFFS.get(content[:4])
    if order is None:
        raise ValueError
    big = content[2:4] in (b"+\0", b"\0+")
    (at,) = struct.unpack_from(f"{order}Q" if big else f"{order}I", content, 8 if big else 4)
    (count,) = struct.unpack_from(f"{order}Q" if big else f"{order}H", content, at)
    at += 8 if big else 2
    entry, inside = (f"{order}HHQ", 8) if big else (f"{order}HHI", 4)
    tags: dict[int, tuple[int, ...]] = {}
    for _ in range(min(count, MOST_PARTS)):
        tag, kind, length = struct.unpack_from(entry, content, at)
        value_at = at + struct.calcsize(entry)
        at = value_at + inside
        if tag not in WANTED:
            continue
        if tag == PROFILE and kind == 7:
            kind = 1
        if kind not in TYPES or not length or length > (MOST_PROFILE if tag == PROFILE else 64):
            continue
        values = order + TYPES[kind] * length if kind == 5 else f"{order}{length}{TYPES[kind]}"
        if struct.calcsize(values) > inside:
            (value_at,) = struct.unpack_from(f"{order}Q" if big else f"{order}I", content, value_at)
        try:
            tags[tag] = struct.unpack_from(values, content, value_at)
        except struct.error:
            if tag not in (X_RESOLUTION, Y_RESOLUTION, PROFILE):
                raise
    return tags


READERS = {
    "png": _read_png,
    "jpeg": _read_jpeg,
    "webp": _read_webp,
    "bmp": _read_bmp,
    "tiff": _read_tiff,
    "gif": _read_gif,
}
