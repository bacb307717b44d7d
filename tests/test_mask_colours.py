"""Masks with colours or alpha mark what people mean, or the error says what to write."""

from __future__ import annotations

import struct
import zlib
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest

from iic_rt import Inpainter, InpaintOptions
from iic_rt.cli import remove
from iic_rt.cli.main import main
from iic_rt.errors import InputError
from iic_rt.image_io import decode_mask, write_image
from iic_rt.mask_colours import grey_mask
from tests.test_image_header import chunk

MARKED = np.zeros((60, 70), bool)
MARKED[20:40, 20:40] = True
RED, WHITE, BLACK, GREY = (0, 0, 255), (255, 255, 255), (0, 0, 0), (100, 100, 100)


def drawn(colour: tuple[int, ...], ground: tuple[int, ...]) -> np.ndarray:
    return np.where(MARKED[..., None], np.uint8(colour), np.uint8(ground))


def encoded(pixels: np.ndarray, suffix: str = ".png", *parameters: int) -> bytes:
    return cv2.imencode(suffix, pixels, parameters)[1].tobytes()


def palette_png(indices: np.ndarray, colours: list[tuple[int, int, int]], *, transparent: bool = False) -> bytes:
    """As DAVIS has its masks: numbers of objects, and a palette that shows them."""
    height, width = indices.shape
    head = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    rows = b"".join(b"\0" + row.tobytes() for row in indices.astype(np.uint8))
    palette = b"".join(bytes(colour) for colour in colours)
    parts = [chunk(b"IHDR", head), chunk(b"PLTE", palette)]
    if transparent:
        parts.append(chunk(b"tRNS", b"\0"))
    parts += [chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def photograph() -> np.ndarray:
    small = np.random.default_rng(0).integers(0, 256, (6, 7, 3), np.uint8)
    return np.asarray(cv2.resize(small, (70, 60), interpolation=cv2.INTER_CUBIC), np.uint8)


def on_opaque(colour: tuple[int, ...], ground: tuple[int, ...]) -> np.ndarray:
    """Drawn on an opaque ground; the first rows are red and transparent."""
    pixels = drawn((*colour, 255), (*ground, 255))
    pixels[:5] = (*RED, 0)
    return pixels


DAVIS = [(0, 0, 0), (128, 0, 0), (0, 128, 0), (128, 128, 0), (0, 0, 128), (128, 0, 128), (0, 128, 128), (64, 0, 0)]
OBJECTS = MARKED * np.where(np.arange(70) < 30, 1, 7)
CASES = {
    "white on black": encoded(drawn(WHITE, BLACK)),
    "0 and 1": encoded(MARKED.astype(np.uint8)),
    "0 and 1 in colour": encoded(drawn((1, 1, 1), BLACK)),
    "16 bits": encoded(MARKED * np.uint16(65535)),
    "16 bits of 8": encoded(MARKED * np.uint16(255)),
    "0 and 1 of 16 bits": encoded(MARKED * np.uint16(1)),
    "a palette": palette_png(OBJECTS, DAVIS),
    "a palette with a transparent ground": palette_png(OBJECTS, DAVIS, transparent=True),
    "red on black": encoded(drawn(RED, BLACK)),
    "red on black as JPEG": encoded(drawn(RED, BLACK), ".jpg", cv2.IMWRITE_JPEG_QUALITY, 95),
    "a bitmap": encoded(drawn(RED, BLACK), ".bmp"),
    "white strokes on nothing": encoded(drawn((*WHITE, 255), (0, 0, 0, 0))),
    "red strokes on nothing": encoded(drawn((*RED, 255), (0, 0, 0, 0))),
    "black strokes on nothing": encoded(drawn((*BLACK, 255), (255, 255, 255, 0))),
    "grey strokes on nothing": encoded(drawn((*GREY, 255), (0, 0, 0, 0))),
    "white that is transparent": encoded(drawn((*WHITE, 255), (*WHITE, 0))),
    "alpha that says nothing": encoded(drawn((*WHITE, 255), (*BLACK, 255))),
    "opaque from 128 up": encoded(drawn((*WHITE, 128), (*WHITE, 127))),
    "coloured from a difference of 32 up, and not black": encoded(drawn((0, 0, 32), (0, 0, 31))),
    "a palette of 16 levels": palette_png(
        MARKED * (1 + np.arange(70) % 15), [(12 * i, 0, 0) for i in (0, *range(3, 18))]
    ),
    "white on what is not, beside transparent red": encoded(on_opaque((128, 128, 128), (121, 121, 141))),
    "a dark colour on what is black, beside transparent red": encoded(on_opaque((0, 0, 32), (31, 31, 31))),
}


@pytest.mark.parametrize("name", CASES)
def test_what_people_mean(name: str) -> None:
    mask = decode_mask(CASES[name], "the mask")
    found = mask > (0 if mask.max() <= 1 else 127)
    wrong = int((found != MARKED).sum())
    assert wrong <= (80 if "JPEG" in name else 0)  # the rim


UNCLEAR = {
    "a photograph": (encoded(photograph()), "it is not clear what they mark: colours mark what is not black"),
    "red on a photograph": (encoded(np.where(MARKED[..., None], np.uint8(RED), photograph())), "not clear what they"),
    "red on white": (encoded(drawn(RED, WHITE)), "it is not clear what they mark"),
    "an erased photograph": (
        encoded(np.dstack([photograph(), np.where(MARKED, 0, 255).astype(np.uint8)])),
        "for the transparent parts: `magick mask.png -alpha extract -negate new-mask.png`",
    ),
    "dark red": (
        encoded(cv2.GaussianBlur(drawn((0, 0, 99), BLACK), (0, 0), 3)),
        "its brightest value is 9[0-9], in the red channel, and values from 128 up are marked",
    ),
    "floats": (encoded(MARKED.astype(np.float32), ".tif"), "has values of float32; write a mask of 8 bits"),
}


def test_alpha_that_is_the_same_everywhere_marks_nothing() -> None:
    for alpha in (0, 255):
        assert not grey_mask(drawn((*BLACK, alpha), (*BLACK, alpha)), "the mask").any()


@pytest.mark.parametrize("name", UNCLEAR)
def test_what_is_unclear_says_what_to_write(name: str) -> None:
    content, message = UNCLEAR[name]
    with pytest.raises(InputError, match=f"the mask .*{message}") as caught:
        decode_mask(content, "the mask")
    assert "rite a mask of" in str(caught.value)


def test_a_mask_of_another_size_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "imdecode", lambda *_: pytest.fail("decoded"))
    with pytest.raises(InputError, match=r"the mask is 70x60 and the image 70x61 pixels .* they must be equal"):
        decode_mask(CASES["red on black"], "the mask", size=(61, 70))


def warning(inpainter: Inpainter, mask: np.ndarray, **options: str) -> str:
    image = np.zeros((60, 70, 3), np.uint8)
    result = inpainter.inpaint(image, mask, options=InpaintOptions(**options))  # type: ignore[arg-type]
    return str(result.warnings[0])


def test_an_empty_mask_says_how_bright_it_is(inpainter: Inpainter) -> None:
    text = warning(inpainter, MARKED * np.uint8(90))
    assert "its one channel is at most 90, and values from 128 up are white; if all above 0 are meant" in text
    assert "its one channel is at most 0, and" in warning(inpainter, MARKED * np.uint8(0))
    black = warning(inpainter, np.full((60, 70), 200, np.uint8), mask_hole="black")
    assert "its one channel is at least 200, and values up to 127 are black" in black


def test_an_array_with_colours_says_which_channel_to_take(inpainter: Inpainter) -> None:
    for pixels, hint in (
        (drawn(RED, BLACK), r"mask\.max\(axis=2\)"),
        (drawn((*RED, 255), (0,) * 4), r"mask\[\.\.\., 3"),
    ):
        with pytest.raises(InputError, match=hint):
            inpainter.inpaint(np.zeros((60, 70, 3), np.uint8), pixels)


def test_from_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(remove, "Inpainter", partial(Inpainter, working_size=64))
    write_image(tmp_path / "image.png", photograph())
    expected = None
    for name in ("white on black", "a palette", "0 and 1"):
        (tmp_path / "mask.png").write_bytes(CASES[name])
        files = [str(tmp_path / name) for name in ("image.png", "mask.png", "o.png")]
        assert main(["remove", *files[:2], "-o", files[2], "--backend", "onnxruntime"]) == 0
        written = (tmp_path / "o.png").read_bytes()
        assert written == (expected or written)
        expected = written
    assert capsys.readouterr().err == ""
    (tmp_path / "mask.png").write_bytes(encoded(MARKED * np.uint8(90)))
    assert main(["remove", *files[:2], "-o", files[2], "--backend", "onnxruntime"]) == 0
    assert "its one channel is at most 90" in capsys.readouterr().err
