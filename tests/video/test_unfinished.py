from __future__ import annotations

from pathlib import Path

import pytest

from iic_rt.errors import InputError, OutputError
from iic_rt.video.unfinished import UnfinishedVideo

SETTINGS = {"source": "a.mp4", "grow": "auto", "rotate": None}


@pytest.fixture
def video(tmp_path: Path) -> UnfinishedVideo:
    return UnfinishedVideo(tmp_path / "out" / "o.mp4")


def test_parts_have_their_order_and_others_are_none(video: UnfinishedVideo) -> None:
    assert (video.parts(), video.next_part().name) == ([], "o.part1.mp4")
    assert video.begin(SETTINGS, resume=False)
    folder = video.record.parent
    for name in ("o.part2.mp4", "o.part10.mp4", "o.part1.mkv", "oo.part3.mp4", "o.partx.mp4", "o.part4.mp4.json"):
        (folder / name).touch()
    assert [path.name for path in video.parts()] == ["o.part2.mp4", "o.part10.mp4"]
    assert video.next_part().name == "o.part11.mp4"


def test_a_finished_video_is_left_as_it_is(video: UnfinishedVideo) -> None:
    assert video.begin(SETTINGS, resume=True)  # there is no video yet
    video.forget()
    assert not video.record.exists()
    (video.record.parent / "o.mp4").touch()
    assert not video.begin(SETTINGS, resume=True)
    assert not video.record.exists()
    assert video.begin(SETTINGS, resume=False)
    video.forget()  # the run failed, and what is there is older
    assert video.begin(SETTINGS | {"grow": 3}, resume=True)


def test_parts_are_of_the_same_settings(video: UnfinishedVideo) -> None:
    assert video.begin(SETTINGS, resume=False)
    part = video.next_part()
    part.touch()
    said = video.record.read_bytes()
    assert video.begin(SETTINGS | {"grow": 3}, resume=False)  # the writer refuses it
    assert video.record.read_bytes() == said
    with pytest.raises(InputError, match=r"o.part1.mp4 was written with grow auto, and now it is 3; give what the"):
        video.begin(SETTINGS | {"grow": 3}, resume=True)
    assert video.begin(SETTINGS, resume=True)
    video.forget()
    assert video.record.exists()
    video.record.write_bytes(b"damaged")  # nobody knows what they are of: the parts themselves say what they must
    assert video.begin(SETTINGS, resume=True)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot make the folder"):
        UnfinishedVideo(tmp_path / "file" / "o.mp4").begin(SETTINGS, resume=False)
