"""The browser shows an image the way up that the server gets it, in every format and orientation."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from tests.page.hand import layer, on_screen, open_image, remove, stroke
from tests.page.standin import StandIn
from tests.test_image_io import exif_jpeg

SENT = """async () => {
    const { scene: { image } } = await import("/page/stage.js");
    return [image.width, image.height, Array.from(new Uint8Array(await image.file.arrayBuffer()))];
}"""
COLOURS = {(40, 30): (0, 0, 255), (120, 30): (0, 255, 0), (40, 90): (255, 0, 0), (120, 90): (200, 200, 200)}


def quarters() -> np.ndarray:
    """A quarter of each colour."""
    image = np.zeros((120, 160, 3), np.uint8)
    for (x, y), colour in COLOURS.items():
        image[y - 30 : y + 30, x - 40 : x + 40] = colour
    return image


def turned_png(image: np.ndarray, orientation: int) -> bytes:
    """A PNG with an orientation."""
    tiff = b"MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01" + bytes((0, orientation, 0, 0)) + bytes(4)
    chunk = struct.pack(">I", len(tiff)) + b"eXIf" + tiff + struct.pack(">I", zlib.crc32(b"eXIf" + tiff))
    png = cv2.imencode(".png", image)[1].tobytes()
    return png[:33] + chunk + png[33:]


def check(page: Any, path: Path) -> tuple[bytes, np.ndarray]:
    """What is seen at each quarter is what the server will find there; the file that it gets, and the colours."""
    open_image(page, path)
    width, height, content = page.evaluate(SENT)
    sent = bytes(content)
    got = cv2.imdecode(np.frombuffer(sent, np.uint8), cv2.IMREAD_COLOR)  # turned upright, as the server does
    assert got.shape == (height, width, 3)
    spots = [(width * x, height * y) for y in (0.25, 0.75) for x in (0.25, 0.75)]
    found = np.array([got[round(y), round(x)] for x, y in spots], int)
    box, pixels = page.locator("#stage").bounding_box(), layer(page, "imageLayer")
    seen = [pixels[round(y - box["y"]), round(x - box["x"]), 2::-1] for x, y in on_screen(page, spots)]
    np.testing.assert_allclose(np.array(seen, int), found, atol=24)
    return sent, found


def test_jpegs_in_every_orientation(page: Any, site: StandIn, tmp_path: Path) -> None:
    layouts = set()
    for orientation in range(1, 9):
        path = tmp_path / f"{orientation}.jpg"
        path.write_bytes(exif_jpeg(quarters(), orientation))
        sent, found = check(page, path)
        layouts.add((found // 64).tobytes())
        assert sent == path.read_bytes()  # the file itself, not encoded again
    assert len(layouts) == 8
    stroke(page, [(20, 40), (40, 40)])
    remove(page)
    asked = site.asked[-1]
    assert asked.image().shape[:2] == asked.mask().shape == (160, 120)  # the last was turned by a quarter
    assert asked.mask()[40, 30]
    assert not asked.mask()[120].any()


def test_other_formats(page: Any, tmp_path: Path) -> None:
    plain = {name: cv2.imencode(f".{name}", quarters())[1].tobytes() for name in ("png", "webp", "bmp")}
    turned = {f"{orientation}.png": turned_png(quarters(), orientation) for orientation in (1, 6)}
    for name, content in (plain | turned).items():
        path = tmp_path / f"a.{name}"
        path.write_bytes(content)
        sent, _ = check(page, path)
        assert (sent == content) == (name in ("png", "webp"))  # else drawn by the browser, turned as it is seen
        assert name == "webp" or (sent.startswith(b"\x89PNG") and b"eXIf" not in sent)
