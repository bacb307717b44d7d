"""What libjpeg says becomes a message with a name, and nothing that others write meanwhile is lost."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from iic_rt.cli.messages import DamageSaid
from iic_rt.decoder_noise import decoding, noise_told_to
from iic_rt.errors import InputError
from iic_rt.image_io import decode_image

SAID = "Corrupt JPEG data"


def damaged_jpeg(size: tuple[int, int] = (300, 400)) -> bytes:
    """An image that libjpeg decodes and complains about."""
    small = np.random.default_rng(1).integers(0, 256, (size[0] // 20, size[1] // 20, 3), np.uint8)
    content = bytearray(cv2.imencode(".jpg", np.repeat(np.repeat(small, 20, 0), 20, 1))[1].tobytes())
    content[len(content) // 2] ^= 0x55
    return bytes(content)


def whole_jpeg() -> bytes:
    return bytes(cv2.imencode(".jpg", np.full((300, 400, 3), 90, np.uint8))[1].tobytes())


def test_many_threads(capfd: pytest.CaptureFixture[str]) -> None:
    told: list[tuple[str, str]] = []
    contents = {"damaged": damaged_jpeg(), "whole": whole_jpeg()}
    over = threading.Event()
    lines: list[str] = []

    def write() -> None:
        while not over.is_set():
            lines.append(f"line {len(lines)}\n")
            os.write(2, lines[-1].encode())
            time.sleep(1e-4)

    writer = threading.Thread(target=write)
    names = [f"{kind} {number}" for number in range(40) for kind in contents]
    with noise_told_to(lambda name, noise: told.append((name, noise))):
        writer.start()
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda name: decode_image(contents[name.split()[0]], name), names))
        over.set()
        writer.join()
    assert sorted(name for name, _ in told) == sorted(name for name in names if name.startswith("damaged"))
    assert all(noise.startswith(SAID) and "\n" not in noise for _, noise in told)
    # What was kept for a moment may come behind what was written just after.
    assert sorted(capfd.readouterr().err.splitlines(keepends=True)) == sorted(lines)
    assert len(lines) > 10


def test_what_others_wrote_without_an_end_of_line_stays(capfd: pytest.CaptureFixture[str]) -> None:
    told: list[str] = []
    with noise_told_to(lambda _name, noise: told.append(noise)), decoding("an image"):
        os.write(2, b"\r[##--] 3/10")
        os.write(2, b"Premature end of JPEG file\n")
        os.write(2, b"\r[###-] 4/10")
    assert told == ["Premature end of JPEG file"]
    assert capfd.readouterr().err == "\r[##--] 3/10\r[###-] 4/10"


def test_a_library_leaves_standard_error_alone(capfd: pytest.CaptureFixture[str]) -> None:
    decode_image(damaged_jpeg(), "an image")
    assert SAID in capfd.readouterr().err


def test_of_what_cannot_be_used_the_error_says_enough(capfd: pytest.CaptureFixture[str]) -> None:
    whole = cv2.imencode(".png", np.zeros((40, 50), np.uint8))[1].tobytes()
    with noise_told_to(lambda *_: pytest.fail("told")):
        for content in (whole[:60] + bytes((whole[60] ^ 1,)) + whole[61:], damaged_jpeg()[:2000]):
            with pytest.raises(InputError, match="truncated or damaged"):
                decode_image(content, "an image")
    assert capfd.readouterr().err == ""


def test_no_place_to_keep_it(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    def full() -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", full)
    with noise_told_to(lambda *_: pytest.fail("told")):
        assert decode_image(damaged_jpeg(), "an image").shape == (300, 400, 3)
    assert SAID in capfd.readouterr().err


def test_of_many_of_one_name_the_first_are_said() -> None:
    lines: list[str] = []
    say = DamageSaid(lines.append)
    for _ in range(20):
        say("a frame of camera 0", "Corrupt JPEG data")
    say("a.jpg", "Corrupt JPEG data")
    assert len(lines) == 6
    assert lines[4].endswith("; of more nothing is said")
    assert lines[5] == "a.jpg may be damaged, and parts of it wrong: Corrupt JPEG data"
