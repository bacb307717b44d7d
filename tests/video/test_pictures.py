from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from iic_rt.errors import InputError, OutputError
from iic_rt.image_header import Metadata, read_header
from iic_rt.image_io import read_image
from iic_rt.image_metadata import with_metadata
from iic_rt.video import VideoInpainter
from iic_rt.video.frame_masks import open_masks
from iic_rt.video.job import run_job
from iic_rt.video.picture_reader import CameraReader, PictureReader
from iic_rt.video.picture_writer import PictureWriter
from iic_rt.video.places import Output
from tests.test_image_metadata import profile
from tests.video.clips import MASK, GreyFill, picture


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    for i in range(6):
        cv2.imwrite(str(tmp_path / f"p{i}.png"), picture(i))
    return sorted(tmp_path.glob("*.png"))


def run(files: list[Path], folder: Path, *, pattern: str = "", names: bool = True, resume: bool = False) -> Any:
    reader = PictureReader(files, rate=Fraction(25), for_video=False)
    given = tuple(files) if names else ()
    writer = PictureWriter(Output("folder", str(folder), pattern=pattern), files=given, resume=resume)
    with open_masks(MASK) as masks:
        return run_job(reader, masks, VideoInpainter(GreyFill(), memory=False), writer)


def test_pictures_keep_their_names_and_pixels(files: list[Path], tmp_path: Path) -> None:
    assert run(files, tmp_path / "out").stats.filled == 6
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == [p.name for p in files]
    np.testing.assert_array_equal(read_image(tmp_path / "out/p3.png")[MASK == 0], picture(3)[MASK == 0])
    with pytest.raises(OutputError, match=r"holds p0\.png already; go on with --resume"):
        run(files, tmp_path / "out")


def test_what_the_source_says_of_itself_is_kept(files: list[Path], tmp_path: Path) -> None:
    metadata = Metadata(profile(), density=(300.0, 300.0))
    files[2].write_bytes(with_metadata(files[2].read_bytes(), metadata, channels=3))
    run(files, tmp_path / "out")
    assert read_header((tmp_path / "out/p2.png").read_bytes(), "a").metadata == metadata
    assert read_header((tmp_path / "out/p3.png").read_bytes(), "a").metadata == Metadata()


def test_bitmaps_that_lose_a_profile_say_so(files: list[Path], tmp_path: Path) -> None:
    assert run(files, tmp_path / "plain", pattern="%d.bmp").notes == []
    files[0].write_bytes(with_metadata(files[0].read_bytes(), Metadata(profile()), channels=3))
    (note,) = run(files, tmp_path / "wide", pattern="%d.bmp").notes
    assert note.startswith(f"BMP holds no colour profile, so {tmp_path / 'wide' / '0.bmp'} may look different; ")
    assert run(files, tmp_path / "kept", pattern="%d.png").notes == []


def test_patterns_and_numbers(files: list[Path], tmp_path: Path) -> None:
    run(files, tmp_path / "a", pattern="f%03d.jpg")
    assert sorted(p.name for p in (tmp_path / "a").iterdir())[-1] == "f005.jpg"
    run(files, tmp_path / "b", names=False)
    assert sorted(p.name for p in (tmp_path / "b").iterdir())[0] == "000000.png"


def test_a_run_that_was_stopped_goes_on(files: list[Path], tmp_path: Path) -> None:
    run(files[:4], tmp_path / "out")
    (tmp_path / "out/p3.png").unlink()
    report = run(files, tmp_path / "out", resume=True)
    assert (report.resumed, report.written, report.complete) == (3, 3, True)
    assert len(list((tmp_path / "out").iterdir())) == 6
    report = run(files, tmp_path / "out", resume=True)
    assert (report.resumed, report.written, report.complete) == (6, 0, True)


def test_a_damaged_picture_fails_alone(files: list[Path], tmp_path: Path) -> None:
    files[2].write_bytes(b"no picture")
    report = run(files, tmp_path / "out")
    assert (report.stats.failed, report.written) == (1, 6)
    np.testing.assert_array_equal(read_image(tmp_path / "out/p2.png"), read_image(tmp_path / "out/p1.png"))
    with pytest.raises(InputError, match="is not an image"):
        PictureReader([files[2]], rate=Fraction(25), for_video=False)


def test_for_a_video_all_are_colour_and_of_one_size(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    made = [np.zeros((64, 96), np.uint8), np.zeros((30, 40, 4), np.uint8), picture(0)]
    for i, image in enumerate(made):
        cv2.imwrite(str(tmp_path / f"{i}.png"), image)
    reader = PictureReader(sorted(tmp_path.glob("*.png")), rate=Fraction(30), for_video=True)
    found = [(image.shape, stamp.time) for image, stamp in reader.frames() if image is not None]
    assert found == [((64, 96, 3), Fraction(i, 30)) for i in range(3)]
    assert reader.counts["resized"] == 1
    assert "1.png has another size" in caplog.text


class FakeCapture:
    """A camera that gives what a test says: images, or None where it is gone."""

    script: list[Any] = []  # noqa: RUF012
    opened = 0

    def __init__(self, address: Any, kind: int) -> None:
        type(self).opened += 1

    def grab(self) -> bool:
        self._image = self.script.pop(0) if self.script else None
        return self._image is not None

    def retrieve(self) -> tuple[bool, Any]:
        return True, self._image

    def get(self, name: int) -> float:
        return 30.0

    def isOpened(self) -> bool:
        return bool(self.script)

    def release(self) -> None:
        pass


def test_a_camera_that_is_gone_comes_back(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(cv2, "VideoCapture", FakeCapture)
    FakeCapture.script = [picture(0), picture(1), None, picture(2), np.zeros((32, 48, 3), np.uint8)]
    FakeCapture.opened = 0
    reader = CameraReader(0, name="camera 0", reconnect=0.7)
    assert (reader.facts.width, reader.facts.rate, reader.facts.total) == (96, 30, None)
    seen: list[Any] = []
    frames = ((seen.append(stamp), image.shape) for image, stamp in reader.frames() if image is not None)
    with pytest.raises(InputError, match="camera 0 was lost after frame 3"):
        list(frames)
    assert [stamp.index for stamp in seen] == [0, 1, 2, 3]
    assert [stamp.time for stamp in seen] == sorted(stamp.time for stamp in seen)
    assert reader.counts == {"resized": 1, "reconnects": 1}
    assert "camera 0: no frame came; try 1 in 0.5 s" in caplog.text


def test_a_camera_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "VideoCapture", FakeCapture)
    FakeCapture.script = []
    with pytest.raises(InputError, match="camera 9 does not open"):
        CameraReader(9, name="camera 9")
    with pytest.raises(InputError, match="needs OpenCV with GStreamer"):
        CameraReader("a ! b", name="csi://0")
