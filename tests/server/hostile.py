"""Uploads that nobody sends by accident, made up from a seed."""

from __future__ import annotations

import base64
import json
import struct
import zlib
from collections.abc import Callable

import cv2
import numpy as np

from tests.server.calls import BOUNDARY, form
from tests.test_image_header import BOMBS, bmp_of, chunk, png_of, tiff_of

__all__ = ["Upload", "make_upload"]

FORM = f"multipart/form-data; boundary={BOUNDARY}"
JSON = "application/json"
PATHS = ("/v1/remove", "/v1/object", "/api/v1/inpaint", "/inpaint", "/api/v1/adjust_mask")
SUFFIXES = (".png", ".jpg", ".webp", ".bmp", ".tif", ".gif")

Upload = tuple[str, str, bytes]  # path, content type, body
Rng = np.random.Generator


def _image(rng: Rng, suffix: str | None = None) -> bytes:
    """A right one."""
    suffix = suffix or str(rng.choice(SUFFIXES))
    shape = (20, 26, int(rng.choice((3, 4)))) if suffix in (".png", ".webp", ".tif") else (20, 26, 3)
    return cv2.imencode(suffix, rng.integers(0, 256, shape, np.uint8))[1].tobytes()


def _mask() -> bytes:
    mask = np.zeros((20, 26), np.uint8)
    mask[5:12, 5:12] = 255
    return cv2.imencode(".png", mask)[1].tobytes()


def _flipped(rng: Rng, content: bytes, most: int = 12) -> bytes:
    damaged = bytearray(content)
    for at in rng.integers(0, len(damaged), rng.integers(1, most)):
        damaged[at] = rng.integers(256)
    return bytes(damaged)


def _cut(rng: Rng, content: bytes) -> bytes:
    return content[: rng.integers(0, len(content))]


def _headers_damaged(rng: Rng) -> bytes:
    content = bytearray(_image(rng))
    for at in rng.integers(0, min(len(content), 64), 3):
        content[at] = rng.integers(256)
    return bytes(content)


def _deep(rng: Rng) -> bytes:
    deep = rng.integers(0, 2**16, (20, 26, 3), np.uint16)
    return cv2.imencode(str(rng.choice((".png", ".tif"))), deep)[1].tobytes()


def _float(rng: Rng) -> bytes:
    return cv2.imencode(".tif", rng.random((20, 26, 3)).astype(np.float32))[1].tobytes()


def _cmyk(rng: Rng) -> bytes:
    content = _image(rng, ".jpg")
    at = content.index(b"\xff\xc0")
    return content[: at + 9] + b"\x04" + content[at + 10 :]


def _scans(rng: Rng) -> bytes:
    content = cv2.imencode(".jpg", rng.integers(0, 256, (20, 26, 3), np.uint8), [cv2.IMWRITE_JPEG_PROGRESSIVE, 1])[1]
    jpeg = content.tobytes()
    scan = jpeg[jpeg.rindex(b"\xff\xda") : -2]
    return jpeg[:-2] + scan * int(rng.integers(1, 500)) + jpeg[-2:]


def _chunks(rng: Rng) -> bytes:
    """Texts that unpack to much, frames that are not there, and pixels of another length than the header says."""
    packed = zlib.compress(bytes(2**20))
    more = [
        chunk(b"zTXt", b"a\0\0" + packed),
        chunk(b"iCCP", b"a\0\0" + packed),
        chunk(b"iTXt", b"a\0\1\0\0\0" + packed),
        chunk(b"acTL", struct.pack(">II", 2**31, 0)),
        chunk(b"fcTL", struct.pack(">IIIIIHHBB", 0, 2**30, 2**30, 0, 0, 0, 0, 0, 0)),
        chunk(b"PLTE", bytes(3 * 200)),
        chunk(b"eXIf", bytes(rng.integers(0, 256, 40, np.uint8))),
    ]
    content = _image(rng, ".png")
    if rng.random() < 0.5:
        return content[:33] + more[rng.integers(len(more))] * int(rng.integers(1, 4)) + content[33:]
    pixels = chunk(b"IDAT", zlib.compress(bytes(int(rng.integers(0, 5000)))))
    return content[:33] + pixels + chunk(b"IEND", b"")


def _sizes(rng: Rng) -> bytes:
    """Headers that claim any size, with nothing behind them."""
    width, height = (int(2 ** rng.uniform(0, 31)) for _ in range(2))
    tags = {256: ("I", width), 257: ("I", height), 258: ("H", 8), 273: ("I", 8), 279: ("I", 2**31)}
    return [
        png_of(width, height, int(rng.choice((1, 8, 16)))),
        bmp_of(width % 2**31, -(height % 2**31)),
        tiff_of("<>"[rng.integers(2)], tags, big=bool(rng.integers(2))),
        BOMBS[str(rng.choice(list(BOMBS)))],
    ][rng.integers(4)]


def _other(rng: Rng) -> bytes:
    svg = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
    zipped = b"PK\3\4" + bytes(50)
    noise = bytes(rng.integers(0, 256, int(rng.integers(0, 3000)), np.uint8))
    return [svg, zipped, b"%PDF-1.7 ", b"GIF89a", b"BM", b"\xff\xd8\xff", noise, b"\0" * 5000][rng.integers(8)]


IMAGES: tuple[Callable[[Rng], bytes], ...] = (
    lambda rng: _flipped(rng, _image(rng)),
    lambda rng: _cut(rng, _image(rng)),
    _headers_damaged,
    _deep,
    _float,
    _cmyk,
    _scans,
    _chunks,
    _sizes,
    _other,
)


def _files(rng: Rng) -> dict[str, bytes]:
    files = {"image": _image(rng), "mask": _mask()}
    files[str(rng.choice(("image", "mask", "avoid", "prefer")))] = IMAGES[rng.integers(len(IMAGES))](rng)
    return files


def _form_of_bad_images(rng: Rng) -> tuple[str, bytes]:
    return FORM, form(_files(rng) | {"box": b"2,2,20,15", "operate": b"expand"})


def _damaged_form(rng: Rng) -> tuple[str, bytes]:
    body = form({"image": _image(rng), "mask": _mask()})
    return FORM, _cut(rng, body) if rng.random() < 0.5 else _flipped(rng, body[:300], 30) + body[300:]


def _odd_form(rng: Rng) -> tuple[str, bytes]:
    name = "a" * int(rng.integers(1, 20_000))
    head = f"--{BOUNDARY}\r\nContent-Disposition: form-data; name="
    return FORM, [
        f'{head}"{name}"\r\n\r\nx\r\n--{BOUNDARY}--\r\n'.encode(),
        f'{head}"image"\r\n'.encode() + b"X: y\r\n" * 300 + f"\r\n\r\n--{BOUNDARY}--\r\n".encode(),
        f'{head}"image"; filename="../../{name[:200]}\0"\r\n\r\nx\r\n--{BOUNDARY}--\r\n'.encode(),
        f'{head}"grow"\r\n\r\n{name}\r\n--{BOUNDARY}--\r\n'.encode(),
        f'{head}"a"\r\n\r\nx\r\n'.encode() * 150 + f"--{BOUNDARY}--\r\n".encode(),
        f"--{BOUNDARY}--\r\n".encode(),
        f"--{BOUNDARY}\r\n".encode() * 2000,
    ][rng.integers(7)]


def _odd_json(rng: Rng) -> tuple[str, bytes]:
    deep = int(rng.integers(1, 50_000))
    values = [None, True, -1, 1e308, "a" * 1000, [], {"a": []}, "../../etc/passwd", "nan", 10**300]
    fields = (
        "grow",
        "iterations",
        "budget_ms",
        "format",
        "outputs",
        "sd_seed",
        "box",
        "kernel_size",
        "operate",
        "name",
    )
    right = {"image": base64.b64encode(_image(rng)).decode(), "mask": base64.b64encode(_mask()).decode()}
    odd = {str(rng.choice(fields)): values[rng.integers(len(values))] for _ in range(3)}
    return JSON, [
        b"[" * deep,
        b'{"a":' * deep + b"1" + b"}" * deep,
        b'{"image": ' + b"9" * deep + b"}",
        b'{"image": "\xff\xfe", "mask": ""}',
        b'{"image": "\\ud800", "mask": "\\ud800"}',
        b'{"grow": NaN, "budget_ms": Infinity}',
        json.dumps(right | odd).encode(),
        json.dumps(right | {"image": values[rng.integers(len(values))]}).encode(),
        _flipped(rng, json.dumps(right).encode(), 40),
        _cut(rng, json.dumps(right).encode()),
    ][rng.integers(10)]


def _bad_images_as_json(rng: Rng) -> tuple[str, bytes]:
    texts = {name: base64.b64encode(content).decode() for name, content in _files(rng).items()}
    return JSON, json.dumps(texts | {"box": "2,2,20,15", "operate": "shrink"}).encode()


def _odd_type(rng: Rng) -> tuple[str, bytes]:
    kinds = ("", "text/plain", "multipart/form-data", "multipart/form-data; boundary=", "image/png", "a" * 3000)
    kinds = (*kinds, "multipart/form-data; boundary=" + "b" * 200, 'application/json; charset="x', ";;;=", "/")
    return kinds[rng.integers(len(kinds))], form({"image": _image(rng), "mask": _mask()})


BODIES = (_form_of_bad_images, _form_of_bad_images, _bad_images_as_json, _damaged_form, _odd_form, _odd_json, _odd_type)


def make_upload(number: int) -> Upload:
    """The one of this number, always the same."""
    rng = np.random.default_rng([11, number])
    kind, body = BODIES[rng.integers(len(BODIES))](rng)
    return PATHS[rng.integers(len(PATHS))], kind, body
