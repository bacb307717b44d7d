"""A colour profile goes into an encoded image and comes out the same."""

from __future__ import annotations

import struct
import zlib

import cv2
import numpy as np
import pytest

from iic_rt.image_header import MOST_PROFILE, Metadata, read_header
from iic_rt.image_io import decode_image, encode_image
from iic_rt.image_metadata import with_metadata
from tests.test_image_header import chunk


def with_profile(encoded: bytes, content: bytes, *, channels: int) -> bytes:
    return with_metadata(encoded, Metadata(content), channels=channels)


def profile(size: int = 600, colours: bytes = b"RGB ") -> bytes:
    """What a profile looks like from outside."""
    head = struct.pack(">I", size) + bytes(12) + colours + bytes(16) + b"acsp"
    return head + np.random.default_rng(0).integers(0, 256, size - len(head), np.uint8).tobytes()


def jpeg_with(pixels: np.ndarray, exif: bytes, icc: bytes = b"") -> bytes:
    """A JPEG with EXIF as it is given, and without a density of its own."""
    plain = encode_image(np.asarray(pixels, np.uint8), ".jpg")
    assert plain[2:4] == b"\xff\xe0"
    return with_metadata(plain, Metadata(icc, exif), channels=3)


@pytest.mark.parametrize("size", [200, 601, 70_000, 200_001])
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
def test_there_and_back(suffix: str, size: int, rng: np.random.Generator) -> None:
    image = rng.integers(0, 256, (20, 31, 3), np.uint8)
    plain = encode_image(image, suffix)
    content = with_profile(plain, profile(size), channels=3)
    header = read_header(content, "a")
    assert header.metadata.profile == profile(size)
    assert (header.width, header.height) == (31, 20)
    np.testing.assert_array_equal(decode_image(content, "a"), decode_image(plain, "a"))


@pytest.mark.parametrize("suffix", [".png", ".webp"])
def test_alpha_stays(suffix: str, rng: np.random.Generator) -> None:
    image = rng.integers(1, 256, (20, 30, 4), np.uint8)
    content = with_profile(encode_image(image, suffix), profile(), channels=4)
    np.testing.assert_array_equal(decode_image(content, "a"), image)


def test_grey_takes_a_grey_profile_alone(rng: np.random.Generator) -> None:
    plain = encode_image(rng.integers(0, 256, (20, 30), np.uint8), ".png")
    assert with_profile(plain, profile(), channels=1) == plain
    assert read_header(with_profile(plain, profile(colours=b"GRAY"), channels=1), "a").metadata.profile


@pytest.mark.parametrize("wrong", [b"", b"short", profile()[:-1], profile(colours=b"CMYK"), bytes(600)])
def test_what_is_no_profile_is_left_out(wrong: bytes) -> None:
    plain = encode_image(np.zeros((4, 4, 3), np.uint8), ".png")
    assert with_profile(plain, wrong, channels=3) == plain


def test_a_bitmap_stays_as_it_is() -> None:
    plain = encode_image(np.zeros((4, 4, 3), np.uint8), ".bmp")
    assert with_profile(plain, profile(), channels=3) == plain


def test_lossy_webp_stays_as_it_is() -> None:
    plain = cv2.imencode(".webp", np.zeros((4, 4, 3), np.uint8), [cv2.IMWRITE_WEBP_QUALITY, 80])[1].tobytes()
    assert with_profile(plain, profile(), channels=3) == plain


def test_a_profile_that_unpacks_to_too_much_is_left_out() -> None:
    bomb = zlib.compress(bytes(MOST_PROFILE + 1))
    plain = encode_image(np.zeros((4, 4, 3), np.uint8), ".png")
    content = plain[:33] + chunk(b"iCCP", b"a\0\0" + bomb) + plain[33:]
    assert read_header(content, "a").metadata.profile == b""


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif", ".bmp"])
@pytest.mark.parametrize("density", [(300.0, 300.0), (72.0, 96.0), (118.11, 118.11)])
def test_density(suffix: str, density: tuple[float, float]) -> None:
    image = np.full((20, 30, 3), 9, np.uint8)
    content = encode_image(image, suffix, Metadata(density=density))
    found = read_header(content, "a").metadata.density
    assert found == pytest.approx(density, abs=0.5 if suffix == ".jpg" else 0.02)
    np.testing.assert_array_equal(decode_image(content, "a"), decode_image(encode_image(image, suffix), "a"))


def test_what_a_png_says_of_its_colours_stays_in_a_png() -> None:
    colours = chunk(b"gAMA", struct.pack(">I", 45455)) + chunk(b"cICP", bytes((12, 13, 0, 1)))
    plain = encode_image(np.zeros((4, 4, 3), np.uint8), ".png")
    metadata = read_header(plain[:33] + colours + plain[33:], "a").metadata
    assert metadata == Metadata(colour_chunks=colours)
    assert colours in with_metadata(plain, metadata, channels=3)
    assert with_metadata(encode_image(np.zeros((4, 4, 3), np.uint8), ".jpg"), metadata, channels=3).count(b"cICP") == 0


def test_a_tiff_of_many_strips(rng: np.random.Generator) -> None:
    image = rng.integers(0, 256, (3000, 1000, 3), np.uint8)
    content = encode_image(image, ".tif", Metadata(profile(), density=(300.0, 300.0)))
    np.testing.assert_array_equal(decode_image(content, "a"), image)
    found = read_header(content, "a").metadata
    assert (found.profile, found.density) == (profile(), (300.0, 300.0))
