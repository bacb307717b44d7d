"""Damaged files of every format are an InputError, and take little memory."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from iic_rt.errors import InputError
from iic_rt.image_io import decode_image, decode_mask
from tests.test_exif import camera_jpeg
from tests.test_image_header import encoded
from tests.test_mask_colours import CASES

FILES = {
    "png": encoded(".png"),
    "palette": CASES["a palette"],
    "16 bits": CASES["16 bits"],
    "jpeg": camera_jpeg(np.arange(1800, dtype=np.uint8).reshape(20, 30, 3), 6),
    "progressive": encoded(".jpg", (20, 30, 3), cv2.IMWRITE_JPEG_PROGRESSIVE, 1),
    "webp": encoded(".webp", (20, 30, 4)),
    "bmp": encoded(".bmp"),
    "tiff": encoded(".tif"),
}


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """Some bytes changed, more often near the beginning; some files cut."""
    mutated = bytearray(content)
    reach = int(rng.choice((40, 200, len(mutated))))
    for at in rng.integers(0, min(reach, len(mutated)), rng.integers(1, 6)):
        mutated[at] = rng.choice((0, 1, 128, 255, int(rng.integers(256))))
    return bytes(mutated[: rng.integers(1, len(mutated))] if rng.random() < 0.2 else mutated)


@pytest.mark.parametrize("name", FILES)
def test_whatever_is_damaged_is_an_input_error(name: str) -> None:
    rng = np.random.default_rng(3)
    for _ in range(250):
        content = damaged(FILES[name], rng)
        for decode in (decode_image, decode_mask):
            try:
                decode(content, "a", max_megapixels=4)
            except InputError as error:
                assert str(error).startswith("a ")  # noqa: PT017 - either is right


def test_damaged_masks_take_no_memory() -> None:
    """A mask with one byte changed once took 4.3 GB."""
    code = (
        "import resource\n"
        "from iic_rt.errors import InputError\n"
        "from iic_rt.image_io import decode_mask\n"
        "from tests.test_decoding import FILES\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024\n"
        "before = peak()\n"
        "for name in ('png', 'palette', '16 bits'):\n"
        "    for at in range(len(FILES[name])):\n"
        "        content = bytearray(FILES[name])\n"
        "        content[at] ^= 0xA7\n"
        "        try:\n"
        "            decode_mask(bytes(content), 'a', max_megapixels=4)\n"
        "        except InputError:\n"
        "            pass\n"
        "print(peak() - before)"
    )
    root = Path(__file__).parent.parent
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, check=True)
    assert int(done.stdout) < 64  # MiB
    assert done.stderr == b""  # the checksums are looked at before libpng does, which would complain
