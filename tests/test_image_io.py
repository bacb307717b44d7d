"""Reading names every defect; what is written comes back."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from iic_rt.errors import InputError, OutputError
from iic_rt.image_io import IMAGE_SUFFIXES, read_image, read_mask, write_image


def exif_jpeg(pixels: np.ndarray, orientation: int) -> bytes:
    """A JPEG with an EXIF orientation, put in by hand behind the start marker."""
    tiff = b"MM\x00*\x00\x00\x00\x08\x00\x01\x01\x12\x00\x03\x00\x00\x00\x01" + bytes((0, orientation, 0, 0)) + bytes(4)
    segment = b"Exif\x00\x00" + tiff
    jpeg = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, 100])[1].tobytes()
    return jpeg[:2] + b"\xff\xe1" + (len(segment) + 2).to_bytes(2, "big") + segment + jpeg[2:]


@pytest.mark.parametrize("suffix", [s for s in IMAGE_SUFFIXES if s not in (".jpg", ".jpeg")])
def test_lossless_formats_come_back(tmp_path: Path, rng: np.random.Generator, suffix: str) -> None:
    image = rng.integers(0, 256, (20, 30, 3), np.uint8)
    write_image(tmp_path / f"a{suffix}", image)
    np.testing.assert_array_equal(read_image(tmp_path / f"a{suffix}"), image)


@pytest.mark.parametrize("suffix", [".png", ".webp"])
def test_alpha_comes_back(tmp_path: Path, rng: np.random.Generator, suffix: str) -> None:
    image = rng.integers(1, 256, (20, 30, 4), np.uint8)
    write_image(tmp_path / f"a{suffix}", image)
    np.testing.assert_array_equal(read_image(tmp_path / f"a{suffix}"), image)


def test_grey_comes_back(tmp_path: Path, rng: np.random.Generator) -> None:
    image = rng.integers(0, 256, (20, 30), np.uint8)
    write_image(tmp_path / "a.png", image)
    assert read_image(tmp_path / "a.png").shape == (20, 30)


@pytest.mark.parametrize(("orientation", "shape"), [(1, (20, 30)), (3, (20, 30)), (6, (30, 20)), (8, (30, 20))])
def test_exif_orientation_is_honoured(tmp_path: Path, orientation: int, shape: tuple[int, int]) -> None:
    pixels = np.zeros((20, 30, 3), np.uint8)
    pixels[:10, :15] = 255
    (tmp_path / "a.jpg").write_bytes(exif_jpeg(pixels, orientation))
    turned = read_image(tmp_path / "a.jpg")
    assert turned.shape[:2] == shape
    expected = np.rot90(pixels, {1: 0, 3: 2, 6: -1, 8: 1}[orientation])
    assert np.abs(turned.astype(int) - expected).mean() < 8
    assert read_mask(tmp_path / "a.jpg").shape == shape


def test_missing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        read_image(tmp_path / "nothing.png")
    with pytest.raises(InputError, match="cannot be read"):
        read_image(tmp_path)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
@pytest.mark.parametrize("share", [0.3, 0.7, 0.98])
def test_truncated(tmp_path: Path, rng: np.random.Generator, suffix: str, share: float) -> None:
    content = cv2.imencode(suffix, rng.integers(0, 256, (80, 80, 3), np.uint8))[1].tobytes()
    (tmp_path / f"a{suffix}").write_bytes(content[: int(len(content) * share)])
    with pytest.raises(InputError, match="truncated or damaged"):
        read_image(tmp_path / f"a{suffix}")
    with pytest.raises(InputError, match="truncated or damaged"):
        read_mask(tmp_path / f"a{suffix}")


@pytest.mark.parametrize("content", [b"hello, this is text", b"\x00" * 100, b"%PDF-1.7"])
def test_not_an_image(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(InputError, match=r"not an image.*png"):
        read_image(tmp_path / "a.png")


def test_empty_file(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(InputError, match="is empty"):
        read_image(tmp_path / "a.png")


def test_16_bits_are_refused_with_a_way_out(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((20, 20, 3), np.uint16))
    with pytest.raises(InputError, match=r"16 bits a channel.*-depth 8"):
        read_image(tmp_path / "a.png")


@pytest.mark.parametrize("name", ["a.xyz", "a", "a.onnx"])
def test_unknown_ending(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError, match=r"allowed: \.png"):
        write_image(tmp_path / name, np.zeros((4, 4, 3), np.uint8))


def test_alpha_does_not_fit_jpeg(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="no alpha"):
        write_image(tmp_path / "a.jpg", np.zeros((4, 4, 4), np.uint8))


def test_a_folder_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="Check that the folder exists"):
        write_image(tmp_path / "no" / "a.png", np.zeros((4, 4, 3), np.uint8))
