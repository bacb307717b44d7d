"""EXIF and other directories of TIFF: read, and written again without what must not come along."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Literal

import numpy as np

__all__ = ["FIRST", "Exif", "clean_exif", "pack_directories", "pack_exif", "read_exif", "swapped", "without_gps"]

Order = Literal["<", ">"]
Tags = dict[int, tuple[int, bytes]]  # type and value, as its bytes are in the file

ORDERS: dict[bytes, Order] = {b"II*\0": "<", b"MM\0*": ">"}
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 129: 1}  # bytes, by type
WORDS = {3: 2, 4: 4, 5: 4, 8: 2, 9: 4, 10: 4, 11: 4, 12: 8}  # bytes that change their order together
SHORT, LONG = 3, 4
# A directory, and tags of it that say where another one is.
FIRST, EXIF, INTEROP, GPS = 0, 34665, 40965, 34853
POINTERS = {FIRST: (EXIF, GPS), EXIF: (INTEROP,), INTEROP: (), GPS: ()}
ORIENTATION, X_RESOLUTION, Y_RESOLUTION, WIDTH, HEIGHT, MAKER_NOTE = 274, 282, 283, 40962, 40963, 37500
# Of the first directory: what says something of the image. Others say how the pixels of one file lie, or are a maker's.
KEPT = frozenset((270, 271, 272, 274, 282, 283, 296, 305, 306, 315, 316, 18246, 18249, 33432, *range(40091, 40096)))
STANDARD = range(33434, 42241)  # tags of EXIF proper
MOST_TAGS = 1000  # of a directory, which has a few dozen
MOST_BYTES = 60_000  # of all values: a segment of a JPEG holds 65,533
LONGEST = 1 / 4  # of these bytes, of one value; a longer one is left out


@dataclass(frozen=True)
class Exif:
    """Directories by the tag that points at them, ``FIRST`` the one that none points at; and their byte order."""

    order: Order
    directories: dict[int, Tags]


def read_exif(content: bytes, most_bytes: int = MOST_BYTES) -> Exif | None:
    """Takes EXIF, or the first directories of a TIFF, apart.

    None where it is damaged, a BigTIFF, or its values have more bytes.
    """
    order, left = ORDERS.get(content[:4]), most_bytes
    if order is None:
        return None
    try:
        offsets = {FIRST: struct.unpack_from(f"{order}I", content, 4)[0]}
        directories: dict[int, Tags] = {}
        for directory in POINTERS:
            if directory not in offsets:
                continue
            tags = _read_directory(content, order, offsets[directory], int(LONGEST * most_bytes))
            left -= sum(len(value) for _, value in tags.values())
            if left < 0:
                return None
            for pointer in POINTERS[directory]:
                kind, value = tags.pop(pointer, (0, b""))
                if kind == LONG and len(value) == 4:
                    (offsets[pointer],) = struct.unpack(f"{order}I", value)
            directories[directory] = tags
    except struct.error:
        return None
    return Exif(order, directories)


def _read_directory(content: bytes, order: Order, at: int, longest: int) -> Tags:
    (count,) = struct.unpack_from(f"{order}H", content, at)
    tags: Tags = {}
    for place in range(at + 2, at + 2 + 12 * min(count, MOST_TAGS), 12):
        tag, kind, length = struct.unpack_from(f"{order}HHI", content, place)
        size, begin = SIZES.get(kind, 0) * length, place + 8
        if size > 4:
            (begin,) = struct.unpack_from(f"{order}I", content, begin)
        value = content[begin : begin + min(size, longest)]
        if size and len(value) == size:  # a camera's mistake in one tag is no reason to lose the others
            tags[tag] = kind, value
    return tags


def clean_exif(content: bytes, *, width: int, height: int, turned: bool) -> bytes:
    """EXIF as a result may have it: upright, and without what may show the image as it was before.

    Thumbnails and what makers of cameras add are left out: both may hold the whole image.

    Args:
        content: EXIF, or a TIFF.
        width, height: of the upright image.
        turned: whether it was turned by a quarter to be upright.

    Returns:
        EXIF, empty where there is none or it is damaged.
    """
    exif = read_exif(content)
    if exif is None:
        return b""
    order, found = exif.order, exif.directories
    first = {tag: value for tag, value in found[FIRST].items() if tag in KEPT}
    more = {tag: value for tag, value in found.get(EXIF, {}).items() if tag in STANDARD and tag != MAKER_NOTE}
    if ORIENTATION in first:
        first[ORIENTATION] = SHORT, struct.pack(f"{order}H", 1)
    if turned and X_RESOLUTION in first and Y_RESOLUTION in first:
        first[X_RESOLUTION], first[Y_RESOLUTION] = first[Y_RESOLUTION], first[X_RESOLUTION]
    for tag, size in ((WIDTH, width), (HEIGHT, height)):
        if tag in more:
            more[tag] = LONG, struct.pack(f"{order}I", size)
    return pack_exif(Exif(order, found | {FIRST: first, EXIF: more}))


def without_gps(content: bytes) -> bytes:
    """EXIF without the place where the image was taken."""
    exif = read_exif(content)
    return b"" if exif is None else pack_exif(Exif(exif.order, exif.directories | {GPS: {}}))


def pack_exif(exif: Exif) -> bytes:
    """EXIF as bytes, empty where it holds no tag."""
    if not any(exif.directories.values()):
        return b""
    mark = {"<": b"II*\0", ">": b"MM\0*"}[exif.order]
    return mark + struct.pack(f"{exif.order}I", 8) + pack_directories(exif, 8)


def pack_directories(exif: Exif, at: int) -> bytes:
    """All directories, the first one first.

    Args:
        exif: what they hold.
        at: where in the file they begin; an even number.
    """
    order, directories = exif.order, {FIRST: dict(exif.directories.get(FIRST, {}))}
    for pointer in (EXIF, GPS, INTEROP):
        if exif.directories.get(pointer):
            directories[pointer] = dict(exif.directories[pointer])
    for directory, pointers in POINTERS.items():
        for pointer in pointers:
            if pointer in directories:
                directories.setdefault(directory, {})[pointer] = LONG, bytes(4)
    offsets, end = {}, at
    for directory, tags in directories.items():
        offsets[directory] = end
        end += 6 + 12 * len(tags) + sum(len(value) + len(value) % 2 for _, value in tags.values() if len(value) > 4)
    for tags in directories.values():
        for pointer in offsets.keys() & tags.keys():
            tags[pointer] = LONG, struct.pack(f"{order}I", offsets[pointer])
    return b"".join(_pack_directory(tags, order, offsets[directory]) for directory, tags in directories.items())


def _pack_directory(tags: Tags, order: Order, at: int) -> bytes:
    entries, values = struct.pack(f"{order}H", len(tags)), b""
    behind = at + 6 + 12 * len(tags)
    for tag, (kind, value) in sorted(tags.items()):
        entries += struct.pack(f"{order}HHI", tag, kind, len(value) // SIZES[kind])
        if len(value) <= 4:
            entries += value.ljust(4, b"\0")
        else:
            entries += struct.pack(f"{order}I", behind + len(values))
            values += value + b"\0" * (len(value) % 2)
    return entries + bytes(4) + values


def swapped(tags: Tags) -> Tags:
    """The same tags in the other byte order."""
    return {
        tag: (kind, np.frombuffer(value, f"u{WORDS[kind]}").byteswap().tobytes() if kind in WORDS else value)
        for tag, (kind, value) in tags.items()
    }
