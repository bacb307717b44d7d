"""Sizes, orientation and colour profiles are read before anything is decoded."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest

from iic_rt.errors import InputError
from iic_rt.image_header import image_format, plain_png, read_header
from iic_rt.image_io import decode_image, decode_mask, read_image
from tests.test_image_io import exif_jpeg

FORMATS = {"png": ".png", "jpeg": ".jpg", "webp": ".webp", "bmp": ".bmp", "tiff": ".tif"}


def encoded(suffix: str, shape: tuple[int, ...] = (20, 30, 3), *parameters: int) -> bytes:
    image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
    return cv2.imencode(suffix, image, parameters)[1].tobytes()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png_of(width: int, height: int, bits: int = 8) -> bytes:
    """A header and nothing else that is right."""
    header = struct.pack(">IIBBBBB", width, height, bits, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"\0") + chunk(b"IEND", b"")


def bmp_of(width: int, height: int) -> bytes:
    return (
        b"BM" + struct.pack("<IHHI", 1000, 0, 0, 54) + struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, *[0] * 6)
    )


def tiff_of(order: str, tags: dict[int, tuple[str, int]], *, big: bool = False) -> bytes:
    """A directory and nothing behind it."""
    mark = {"<": b"II", ">": b"MM"}[order]
    kinds = {"H": 3, "I": 4}
    head = struct.pack(f"{order}HHHQ", 43, 8, 0, 16) if big else struct.pack(f"{order}HI", 42, 8)
    directory = struct.pack(f"{order}Q" if big else f"{order}H", len(tags))
    for tag, (kind, value) in tags.items():
        one = struct.pack(f"{order}{kind}", value).ljust(8 if big else 4, b"\0")
        directory += struct.pack(f"{order}HHQ" if big else f"{order}HHI", tag, kinds[kind], 1) + one
    return mark + head + directory + bytes(8)


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("shape", [(20, 30, 3), (7, 5), (1, 1, 3)])
def test_sizes(kind: str, shape: tuple[int, ...]) -> None:
    content = encoded(FORMATS[kind], shape)
    header = read_header(content, "a")
    assert (header.format, header.height, header.width, header.bits) == (kind, *shape[:2], 8)
    assert header.megapixels == shape[0] * shape[1] / 1e6


def test_other_kinds_of_webp_and_jpeg() -> None:
    lossy = encoded(".webp", (20, 30, 3), cv2.IMWRITE_WEBP_QUALITY, 80)
    assert lossy[12:16] == b"VP8 "
    extended = encoded(".webp", (20, 30, 4), cv2.IMWRITE_WEBP_QUALITY, 80)
    assert extended[12:16] == b"VP8X"
    progressive = encoded(".jpg", (20, 30, 3), cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    for content in (lossy, extended, progressive):
        header = read_header(content, "a")
        assert (header.width, header.height) == (30, 20)


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("order", "<>")
def test_tiffs(order: str, big: bool) -> None:
    sizes = {256: ("H", 300), 257: ("I", 200), 258: ("H", 16)}
    header = read_header(tiff_of(order, sizes, big=big), "a")
    assert (header.width, header.height, header.bits) == (300, 200, 16)
    # A tile is decoded whole, however small the image in it is.
    tiled = read_header(tiff_of(order, sizes | {322: ("I", 60_000), 323: ("I", 50_000)}, big=big), "a")
    assert tiled.megapixels == 3000


def test_gif_and_old_bitmaps() -> None:
    gif = read_header(b"GIF89a" + struct.pack("<HH", 30, 20) + bytes(20), "a")
    assert (gif.format, gif.width, gif.height) == ("gif", 30, 20)
    old = read_header(b"BM" + bytes(12) + struct.pack("<IHHHH", 12, 30, 20, 1, 24), "a")
    assert (old.width, old.height) == (30, 20)
    upside_down = read_header(bmp_of(30, -20), "a")
    assert (upside_down.width, upside_down.height) == (30, 20)


@pytest.mark.parametrize("kind", FORMATS)
def test_every_truncation_is_an_error_or_says_the_size(kind: str) -> None:
    content = encoded(FORMATS[kind])
    for length in range(min(len(content), 200)):
        try:
            header = read_header(content[:length], "a")
        except InputError as error:
            assert str(error).startswith("a is ")  # noqa: PT017 - either is right
        else:
            assert (header.width, header.height) == (30, 20)


@pytest.mark.parametrize("kind", FORMATS)
def test_random_bytes_never_raise_anything_else(kind: str) -> None:
    rng, content = np.random.default_rng(1), bytearray(encoded(FORMATS[kind]))
    for _ in range(2000):
        damaged = bytearray(content)
        for at in rng.integers(0, min(len(damaged), 120), 4):
            damaged[at] = rng.integers(256)
        try:
            read_header(bytes(damaged), "a")
        except InputError:
            continue


@pytest.mark.parametrize(
    "content", [png_of(0, 5), bmp_of(5, 0), b"GIF89a" + bytes(10), tiff_of("<", {256: ("H", 5)}), png_of(5, 5)[:20]]
)
def test_impossible_headers(content: bytes) -> None:
    with pytest.raises(InputError, match="a is truncated or damaged"):
        read_header(content, "a")


def test_unknown_formats() -> None:
    for content in (b"", b"hello", b"%PDF-1.7", b"RIFF\0\0\0\0WAVE", b"\0\0\0\x0cJXL "):
        assert image_format(content) is None
        with pytest.raises(InputError, match="a is not an image of a known format"):
            read_header(content, "a")


BOMBS = {
    "png": png_of(50_000, 50_000),
    "bmp": bmp_of(50_000, 50_000),
    "tiff": tiff_of("<", {256: ("I", 50_000), 257: ("I", 50_000), 258: ("H", 8)}),
    "tile": tiff_of("<", {256: ("I", 9), 257: ("I", 9), 258: ("H", 8), 322: ("I", 50_000), 323: ("I", 50_000)}),
    "gif": b"GIF89a" + struct.pack("<HH", 65_000, 65_000) + bytes(20),
    "webp": b"RIFF\x16\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + b"\xff\xff\0" * 2,
    "jpeg": encoded(".jpg").replace(struct.pack(">HH", 20, 30), struct.pack(">HH", 60_000, 60_000)),
}


@pytest.mark.parametrize("kind", BOMBS)
def test_a_bomb_is_refused_before_it_is_decoded(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(cv2, "imdecode", never)
    for decode in (decode_image, decode_mask):
        with pytest.raises(
            InputError, match=r"megapixels; at most 200 are read\. Scale it down, or set max_megapixels"
        ):
            decode(BOMBS[kind], "a")
    (tmp_path / "a").write_bytes(BOMBS[kind])
    with pytest.raises(InputError, match="at most 100 are read"):
        read_image(tmp_path / "a", max_megapixels=100)


def test_a_limit_of_its_own() -> None:
    content = encoded(".png", (100, 200, 3))
    assert decode_image(content, "a", max_megapixels=0.02).shape == (100, 200, 3)
    with pytest.raises(InputError, match=r"a is 200x100, 0\.02 megapixels; at most 0\.0199 are read"):
        decode_image(content, "a", max_megapixels=0.0199)


def test_what_the_decoder_refuses_is_an_input_error() -> None:
    """OpenCV raises its own error for some of these, and says nothing for others."""
    for content in (png_of(40, 30), bmp_of(40, 30), BOMBS["gif"][:6] + struct.pack("<HH", 9, 9) + bytes(20)):
        with pytest.raises(InputError, match="a is truncated or damaged"):
            decode_image(content, "a")


def test_a_progressive_jpeg_of_a_thousand_scans_is_refused() -> None:
    content = encoded(".jpg", (20, 30, 3), cv2.IMWRITE_JPEG_PROGRESSIVE, 1)
    scan = content[content.rindex(b"\xff\xda") : -2]
    with pytest.raises(InputError, match="header cannot be read"):
        read_header(content[:-2] + scan * 1000 + content[-2:], "a")


def test_colours_of_a_printer_are_refused() -> None:
    content = encoded(".jpg")
    at = content.index(b"\xff\xc0")
    header = content[: at + 9] + b"\x04" + content[at + 10 :]
    with pytest.raises(InputError, match="CMYK"):
        decode_image(header, "a")


TURNED = {
    1: lambda a: a,
    2: np.fliplr,
    3: lambda a: np.rot90(a, 2),
    4: np.flipud,
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).transpose(1, 0, 2),
    8: np.rot90,
}


def exif(orientation: int) -> bytes:
    return tiff_of(">", {274: ("H", orientation)})


def oriented_png(image: np.ndarray, orientation: int) -> bytes:
    content = cv2.imencode(".png", image)[1].tobytes()
    return content[:33] + chunk(b"eXIf", exif(orientation)) + content[33:]


def oriented_webp(image: np.ndarray, orientation: int) -> bytes:
    content = cv2.imencode(".webp", image, [cv2.IMWRITE_WEBP_QUALITY, 101])[1].tobytes()
    height, width = image.shape[:2]
    sizes = (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    data = exif(orientation)
    data += b"\0" * (len(data) % 2)
    flags = 0x08 | 0x10 * (image.shape[2] == 4)
    body = b"WEBPVP8X" + struct.pack("<IB3x", 10, flags) + sizes + content[12:]
    body += b"EXIF" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("orientation", TURNED)
def test_orientation(orientation: int, channels: int) -> None:
    image = np.random.default_rng(2).integers(1, 256, (6, 9, channels), np.uint8)
    for content in (oriented_png(image, orientation), oriented_webp(image, orientation)):
        assert read_header(content, "a").orientation == orientation
        np.testing.assert_array_equal(decode_image(content, "a"), TURNED[orientation](image))
    large = np.repeat(np.repeat(image[..., :3], 16, 0), 16, 1)
    turned = decode_image(exif_jpeg(large, orientation), "a")
    assert np.abs(turned.astype(int) - TURNED[orientation](large)).mean() < 8


@pytest.mark.parametrize("orientation", TURNED)
def test_orientation_of_a_tiff_is_applied_once(orientation: int) -> None:
    image = np.random.default_rng(3).integers(0, 256, (6, 9), np.uint8)
    grey = {256: 9, 257: 6, 258: 8, 259: 1, 262: 1, 273: 0, 274: orientation, 277: 1, 278: 6, 279: 54}
    length = len(tiff_of("<", {tag: ("I", value) for tag, value in grey.items()}))
    content = tiff_of("<", {tag: ("I", value) for tag, value in (grey | {273: length}).items()}) + image.tobytes()
    expected = TURNED[orientation](image[..., None])[..., 0]
    np.testing.assert_array_equal(decode_image(content, "a"), expected)


def test_the_decoder_gets_nothing_but_pixels() -> None:
    palette = np.random.default_rng(2).integers(1, 256, (6, 9, 3), np.uint8)
    content = cv2.imencode(".png", palette)[1].tobytes()
    more = chunk(b"tEXt", b"a\0b") + chunk(b"acTL", bytes(8)) + chunk(b"iCCP", b"a") + chunk(b"gAMA", bytes(4))
    cluttered = content[:33] + more + content[33:] + b"behind the end"
    assert plain_png(cluttered) == content
    np.testing.assert_array_equal(decode_image(cluttered, "a"), palette)


def test_a_chunk_that_says_it_is_longer_than_the_file_takes_no_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenCV 5 would take 2.8 GB for this one before it finds that its input ends."""
    content = encoded(".png")
    for kind in (b"IDAT", b"IEND"):
        at = content.rindex(kind) - 4
        longer = content[:at] + b"\xa7" + content[at + 1 :]
        assert plain_png(longer) is None
        monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded"))
        with pytest.raises(InputError, match="a is truncated or damaged"):
            decode_image(longer, "a")
    assert plain_png(content[:-1]) is None
    assert plain_png(content) == content


def test_damaged_exif_is_ignored() -> None:
    image = np.random.default_rng(2).integers(1, 256, (6, 9, 3), np.uint8)
    content = cv2.imencode(".png", image)[1].tobytes()
    for data in (b"", b"MM\0*\xff\xff\xff\xff", exif(99), exif(6)[:14]):
        damaged = content[:33] + chunk(b"eXIf", data) + content[33:]
        np.testing.assert_array_equal(decode_image(damaged, "a"), image)
