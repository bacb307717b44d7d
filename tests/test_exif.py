"""EXIF is written again without what must not come along."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from iic_rt.exif import (
    EXIF,
    FIRST,
    GPS,
    INTEROP,
    MAKER_NOTE,
    Exif,
    clean_exif,
    pack_exif,
    read_exif,
    swapped,
    without_gps,
)
from iic_rt.image_header import read_header
from tests.test_image_metadata import jpeg_with, profile

CAMERA = b"A Camera of 2026"
THUMBNAIL = b"\xff\xd8 the image as it was \xff\xd9"


def camera_exif(orientation: int, order: str = ">") -> bytes:
    """As a camera writes it, with a thumbnail in a second directory and a preview in its own note."""
    half, whole = (lambda n: struct.pack(f"{order}H", n)), (lambda n: struct.pack(f"{order}I", n))
    first = {
        272: (2, CAMERA),
        274: (3, half(orientation)),
        282: (5, whole(300) + whole(1)),
        283: (5, whole(240) + whole(1)),
        296: (3, half(2)),
        50341: (7, b"PrintIM of a maker"),
    }
    more = {36867: (2, b"2026:11:27 04:00:00\0"), 40962: (4, whole(60)), 40963: (4, whole(70))}
    more[MAKER_NOTE] = 7, b"a preview " * 20
    place = {1: (2, b"N\0"), 2: (2, b"51 degrees")}
    packed = pack_exif(
        Exif(order, {FIRST: first, EXIF: more, INTEROP: {1: (2, b"R03\0")}, GPS: place})  # type: ignore[arg-type]
    )
    next_at = 8 + 2 + 12 * (len(first) + 2)
    second = half(1) + struct.pack(f"{order}HHII", 513, 4, 1, len(packed) + 18) + whole(0)
    return packed[:next_at] + whole(len(packed)) + packed[next_at + 4 :] + second + THUMBNAIL


def camera_jpeg(pixels: np.ndarray, orientation: int) -> bytes:
    return jpeg_with(pixels, camera_exif(orientation), profile())


@pytest.mark.parametrize("order", "<>")
def test_a_result_is_upright_and_does_not_show_what_was_removed(order: str) -> None:
    cleaned = clean_exif(camera_exif(6, order), width=70, height=60, turned=True)
    found = read_exif(cleaned)
    assert found is not None
    assert found.order == order
    first, more = found.directories[FIRST], found.directories[EXIF]
    assert first[272] == (2, CAMERA)
    assert first[274] == (3, struct.pack(f"{order}H", 1))
    assert [struct.unpack(f"{order}II", first[tag][1]) for tag in (282, 283)] == [(240, 1), (300, 1)]
    assert [struct.unpack(f"{order}I", more[tag][1]) for tag in (40962, 40963)] == [(70,), (60,)]
    assert found.directories[INTEROP] == {1: (2, b"R03\0")}
    assert found.directories[GPS][2] == (2, b"51 degrees")
    for gone in (THUMBNAIL, b"a preview", b"PrintIM"):
        assert gone not in cleaned
    assert clean_exif(cleaned, width=70, height=60, turned=False) == cleaned


def test_the_place_is_left_out_on_request() -> None:
    cleaned = without_gps(clean_exif(camera_exif(1), width=60, height=70, turned=False))
    assert b"51 degrees" not in cleaned
    assert CAMERA in cleaned
    assert without_gps(b"") == b""


def test_the_other_byte_order() -> None:
    found = read_exif(camera_exif(6, ">"))
    other = read_exif(camera_exif(6, "<"))
    assert found is not None
    assert other is not None
    assert {key: swapped(tags) for key, tags in found.directories.items()} == other.directories


def test_damaged_exif_is_left_out_and_never_raises() -> None:
    content, rng = camera_exif(6), np.random.default_rng(1)
    for length in range(len(content)):
        clean_exif(content[:length], width=70, height=60, turned=False)
    for _ in range(3000):
        damaged = bytearray(content)
        for at in rng.integers(0, len(content), 5):
            damaged[at] = rng.integers(256)
        cleaned = clean_exif(bytes(damaged), width=70, height=60, turned=False)
        assert len(cleaned) < 64_000
    assert clean_exif(b"no exif", width=7, height=6, turned=False) == b""


def test_directories_that_point_at_each_other_take_no_memory() -> None:
    """A thousand tags of one value each, which are all the same bytes."""
    tags = b"".join(struct.pack("<HHII", 40_000 + i, 7, 12_000, 0) for i in range(1000))
    content = b"II*\0" + struct.pack("<IH", 8, 1) + struct.pack("<HHII", EXIF, 4, 1, 26) + bytes(4)
    content += struct.pack("<H", 1000) + tags + bytes(12_000)
    assert read_exif(content) is None


def test_a_jpeg_of_a_camera() -> None:
    header = read_header(camera_jpeg(np.zeros((70, 60, 3), np.uint8), 6), "a")
    assert header.orientation == 6
    assert header.metadata.density == (240.0, 300.0)
    assert CAMERA in header.metadata.exif
