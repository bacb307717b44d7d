"""Complaints about outputs come before the work, and files that are replaced stay what they were."""

from __future__ import annotations

import json
import os
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from iic_rt import Inpainter
from iic_rt.cli import remove
from iic_rt.cli.main import main
from iic_rt.image_header import Metadata, read_header
from iic_rt.image_io import decode_image, encode_image, read_image, write_image
from tests.test_exif import CAMERA, camera_jpeg
from tests.test_image_metadata import profile


@pytest.fixture
def folder(tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two images and their masks; the folder is the current one."""
    for kind in ("images", "masks"):
        (tmp_path / kind).mkdir()
    mask = np.zeros((60, 70), np.uint8)
    mask[20:40, 20:40] = 255
    for name in ("a.png", "b.png"):
        write_image(tmp_path / "images" / name, rng.integers(0, 256, (60, 70, 3), np.uint8))
        write_image(tmp_path / "masks" / name, mask)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(remove, "Inpainter", partial(Inpainter, working_size=64))
    return tmp_path


ONE, ALL = ["images/a.png", "masks/a.png"], ["images", "masks"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([*ONE, "-o", "o.gif"], "no format for the ending '.gif'"),
        ([*ONE, "-o", "o"], "no format for the ending ''"),
        ([*ONE, "-o", "o.png", "--confidence", "c.txt"], "no format for the ending '.txt'"),
        ([*ONE, "-o", "folder.png"], "it is a folder; name a file, e.g. folder.png/result.png"),
        ([*ONE, "-o", "none/o.png"], "there is no folder"),
        ([*ONE, "-o", "pipe.png"], "there is something that is no file"),
        ([*ONE, "-o", "o.png", "--confidence", "./o.png"], "o.png would be written to twice"),
        ([*ONE, "-o", "o.png", "--iterations-strip", "link.png"], "link.png would be written to twice"),
        ([*ONE, "-o", "images/a.png"], "images/a.png is read here and would be overwritten"),
        ([*ONE, "-o", "o.png", "--confidence", "masks/a.png"], "masks/a.png is read here"),
        ([*ALL, "-o", "images"], "images is read here"),
        ([*ALL, "-o", "./masks"], "masks is read here"),
        ([*ALL, "-o", "out", "--confidence", "out/"], "out would be written to twice"),
        ([*ALL, "-o", "o.png"], "--out names the file o.png; with a folder of images name a folder"),
        ([*ALL, "-o", "out", "--confidence", "c"], "c/a.png would be written to twice"),
        ([*ALL, "-o", "images/a.png/out"], "cannot make the folder"),
        ([*ALL, "-o", "two"], "masks/a.jpg and masks/a.png are both masks of the image a; keep one of them"),
        ([*ALL, "-o", "two", "--avoid", "more"], "more/b.png and more/b.webp are both masks of the image b; keep one"),
    ],
)
def test_complaints_come_before_the_work(
    folder: Path,
    arguments: list[str],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(remove, "Inpainter", lambda **_: pytest.fail("the work was begun"))
    (folder / "folder.png").mkdir()
    os.mkfifo(folder / "pipe.png")
    (folder / "link.png").symlink_to("o.png")
    if "o.png" in arguments and arguments[0] == ONE[0]:
        (folder / "o.png").write_bytes(b"as it was")
    if message.startswith("c/"):
        (folder / "images" / "a.jpg").write_bytes((folder / "images" / "a.png").read_bytes())
    if message.startswith("masks/a.jpg"):
        (folder / "masks" / "a.jpg").write_bytes((folder / "masks" / "a.png").read_bytes())
    (folder / "more").mkdir()
    for name in ("b.webp", "b.png"):
        (folder / "more" / name).write_bytes((folder / "masks" / "a.png").read_bytes())
    assert main(["remove", *arguments]) == 1
    said = capsys.readouterr().err
    assert message in said
    assert len(said.splitlines()) == 1
    assert not (folder / "o.png").exists() or (folder / "o.png").read_bytes() == b"as it was"
    assert not (folder / "two").exists()


def test_two_masks_of_no_image_disturb_nobody(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("c.jpg", "c.png"):
        (folder / "masks" / name).write_bytes((folder / "masks" / "a.png").read_bytes())
    assert main(["remove", *ALL, "-o", "out"]) == 0
    assert "2 written, 0 failed" in capsys.readouterr().out


def test_alpha_that_jpeg_cannot_hold_is_found_before_the_hole_is_filled(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_image(folder / "alpha.png", np.full((60, 70, 4), 200, np.uint8))
    monkeypatch.setattr(Inpainter, "inpaint", lambda *_, **__: pytest.fail("filled"))
    assert main(["remove", "alpha.png", "masks/a.png", "-o", "o.jpg"]) == 1
    assert "JPEG has no alpha channel" in capsys.readouterr().err


def test_hidden_files_of_a_folder_are_left_out(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "images" / "._a.png").write_bytes(b"what a system says of a.png")
    (folder / "images" / ".iic-rt-0123456789abcdef.part").write_bytes(b"half an image")
    assert main(["remove", *ALL, "-o", "out"]) == 0
    assert "2 written, 0 failed" in capsys.readouterr().out


def test_what_a_kill_left_is_removed_from_the_output_folder_when_it_is_old(folder: Path) -> None:
    (folder / "out").mkdir()
    old, new = folder / "out" / ".iic-rt-00.part", folder / "out" / ".iic-rt-11.part"
    for path in (old, new):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    assert main(["remove", *ALL, "-o", "out"]) == 0
    assert sorted(path.name for path in (folder / "out").iterdir()) == [new.name, "a.png", "b.png"]


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
def test_metadata_is_carried_over(folder: Path, suffix: str, rng: np.random.Generator) -> None:
    """Of a photograph as a camera stores it, lying on its side."""
    pixels = np.repeat(np.repeat(rng.integers(0, 256, (7, 6, 3), np.uint8), 10, 0), 10, 1)
    (folder / "photo.jpg").write_bytes(camera_jpeg(pixels, 6))
    out = folder / f"o{suffix}"
    assert main(["remove", "photo.jpg", "masks/a.png", "-o", str(out)]) == 0
    header = read_header(out.read_bytes(), "a")
    assert (header.orientation, header.width, header.height) == (1, 70, 60)
    assert header.metadata.profile == profile()
    assert header.metadata.density == (240.0, 300.0)
    assert CAMERA in header.metadata.exif
    assert b"51 degrees" in header.metadata.exif
    assert main(["remove", "photo.jpg", "masks/a.png", "-o", str(out), "--drop-gps"]) == 0
    header = read_header(out.read_bytes(), "a")
    assert CAMERA in header.metadata.exif
    assert b"51 degrees" not in out.read_bytes()


def test_a_bitmap_that_loses_its_profile_says_so(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = read_image(folder / "images" / "a.png")
    (folder / "wide.png").write_bytes(encode_image(image, ".png", Metadata(profile(), density=(300.0, 300.0))))
    assert main(["remove", "wide.png", "masks/a.png", "-o", "o.bmp", "--json"]) == 0
    said = capsys.readouterr()
    assert "BMP holds no colour profile, so o.bmp may look different; .png, .tif and .webp keep it" in said.err
    assert len(json.loads(said.out)["results"][0]["warnings"]) == 1
    content = (folder / "o.bmp").read_bytes()
    assert read_header(content, "a").metadata == Metadata(density=(300.0, 300.0))
    assert decode_image(content, "a").shape == image.shape
