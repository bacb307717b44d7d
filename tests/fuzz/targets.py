"""What is fuzzed: all that reads bytes of others. A target takes bytes and lets only the promised errors pass."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from iic_rt.bundle.manifest import MANIFEST, SHIPPED, load_bundle
from iic_rt.errors import BundleError, InputError
from iic_rt.image_header import read_header
from iic_rt.image_io import decode_image, decode_mask
from iic_rt.server.answers import ApiError
from iic_rt.server.remove import RemoveFields
from iic_rt.server.upload import _from_form, _from_json
from iic_rt.video.json_masks import JsonMasks

__all__ = ["TARGETS", "seeds"]

MEGAPIXELS = 0.25  # a fuzzer learns nothing from large images
SHAPE = (24, 32, 3)  # of the frames that masks are drawn for
BOUNDARY = b"boundary"
IMAGES = ("image", "mask")
FOLDER = Path(tempfile.mkdtemp(prefix="iic-rt-fuzz-", dir="/dev/shm" if Path("/dev/shm").is_dir() else None))


def image(content: bytes) -> None:
    try:
        found = decode_image(content, "image", max_megapixels=MEGAPIXELS)
    except InputError:
        return
    assert found.dtype == np.uint8
    assert found.ndim == 2 or found.shape[2] in (3, 4)


def mask(content: bytes) -> None:
    try:
        found = decode_mask(content, "mask", max_megapixels=MEGAPIXELS)
    except InputError:
        return
    assert found.dtype == np.uint8
    assert found.ndim == 2


def header(content: bytes) -> None:
    try:
        read_header(content, "image")
    except InputError:
        return


def manifest(content: bytes) -> None:
    (FOLDER / MANIFEST).write_bytes(content)
    try:
        load_bundle(FOLDER)
    except BundleError:
        return
    raise AssertionError("a bundle without its files was loaded")


def json_masks(content: bytes) -> None:
    path = FOLDER / "masks.json"
    path.write_bytes(content)
    try:
        masks = JsonMasks.read(path)
        for index in range(2):
            masks.mask(np.zeros(SHAPE, np.uint8), index, index / 25)
    except InputError:
        return


def form(content: bytes) -> None:
    try:
        _from_form(content, BOUNDARY, IMAGES).read(RemoveFields)
    except ApiError:
        return


def json_body(content: bytes) -> None:
    try:
        _from_json(content, IMAGES).read(RemoveFields)
    except ApiError:
        return


TARGETS: dict[str, Callable[[bytes], None]] = {
    "image": image,
    "mask": mask,
    "header": header,
    "manifest": manifest,
    "json-masks": json_masks,
    "form": form,
    "json-body": json_body,
}


def encoded() -> list[bytes]:
    """Small images of every format and kind."""
    rng = np.random.default_rng(0)
    found = []
    for channels in (1, 3, 4):
        pixels = rng.integers(0, 256, (9, 7, channels), np.uint8)
        for suffix in (".png", ".jpg", ".webp", ".bmp", ".tiff"):
            if not (suffix == ".jpg" and channels == 4):
                found.append(cv2.imencode(suffix, pixels)[1].tobytes())
    found.append(cv2.imencode(".png", pixels.astype(np.uint16) * 257)[1].tobytes())
    return found


def seeds(target: str) -> list[bytes]:
    """What the fuzzer begins with."""
    if target in ("image", "mask", "header"):
        return encoded()
    if target == "manifest":
        return [(SHIPPED / "edge" / MANIFEST).read_bytes(), b"{}", b"[]"]
    if target == "json-masks":
        square = {"frame": 0, "boxes": [[1, 2, 9, 9]], "polygons": [[[0, 0], [5, 0], [5, 5.5]]]}
        document = {"width": 32, "height": 24, "interpolate": True, "frames": [square, square | {"frame": 4}]}
        return [json.dumps(document).encode(), json.dumps({"frames": [{"t": 0.5, "boxes": []}]}).encode()]
    fields = {"grow": "auto", "iterations": "4", "budget_ms": "12.5", "format": "png", "outputs": "confidence"}
    if target == "json-body":
        return [json.dumps(fields | {"image": "aGVsbG8=", "mask": "data:image/png;base64,aGVsbG8="}).encode()]
    parts = [f'form-data; name="{name}"\r\n\r\n{value}' for name, value in fields.items()]
    parts.append('form-data; name="image"; filename="a.png"\r\nContent-Type: image/png\r\n\r\nhello')
    joined = "".join(f"--{BOUNDARY.decode()}\r\nContent-Disposition: {part}\r\n" for part in parts)
    return [f"{joined}--{BOUNDARY.decode()}--\r\n".encode()]
