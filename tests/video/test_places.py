from __future__ import annotations

from pathlib import Path

import pytest

from iic_rt.errors import InputError
from iic_rt.video.places import parse_output, parse_sources


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("p/f10.png", "p/f9.jpg", "p/.hidden.png", "p/notes.md", "v/b.mp4", "v/a.mkv", "clip.mov", "a*.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "mixed").mkdir()
    (tmp_path / "mixed/a.png").write_bytes(b"x")
    (tmp_path / "mixed/a.mp4").write_bytes(b"x")
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(text: str) -> list[tuple[str, ...]]:
    return [(s.kind, *(p.name for p in s.files)) if s.files else (s.kind, str(s.address)) for s in parse_sources(text)]


def test_files_folders_and_patterns(files: Path) -> None:
    assert names("clip.mov") == [("media", "clip.mov")]
    assert names(f"file://{files}/clip.mov") == [("media", f"{files}/clip.mov")]
    for text in ("p", "p/*.*g", str(files / "p/*.[pj]*")):
        assert names(text) == [("pictures", "f9.jpg", "f10.png")], text
    assert names("v") == names("v/*") == [("media", "v/a.mkv"), ("media", "v/b.mp4")]
    assert names("a*.mp4") == [("media", "a*.mp4")]  # the file of that name


@pytest.mark.parametrize(
    ("text", "kind", "address"),
    [
        ("0", "camera", "0"),
        ("v4l2:///dev/video1", "camera", "/dev/video1"),
        ("rtsp://user@host/1", "media", "rtsp://user@host/1"),
        ("rtp://@:5004", "media", "rtp://0.0.0.0:5004"),
        ("tcp://127.0.0.1:9", "media", "tcp://127.0.0.1:9"),
        ("http://host/live.m3u8", "media", "http://host/live.m3u8"),
    ],
)
def test_live_sources(text: str, kind: str, address: str) -> None:
    (source,) = parse_sources(text)
    assert (source.kind, str(source.address), source.live) == (kind, address, True)


def test_csi_cameras_are_pipelines_and_files_of_the_web_end() -> None:
    assert "nvarguscamerasrc sensor-id=1 !" in str(parse_sources("csi://1")[0].address)
    assert not parse_sources("https://host/clip.mp4?x=1")[0].live


def test_a_list_of_sources(files: Path) -> None:
    (files / "l.txt").write_text("# two\nv/a.mkv\n\nclip.mov\n")
    assert names("l.txt") == [("media", "v/a.mkv"), ("media", "clip.mov")]
    (files / "pictures.txt").write_text("p/f10.png\np/f9.jpg\n")
    assert names("pictures.txt") == [("pictures", "f10.png", "f9.jpg")]
    (files / "live.streams").write_text("rtsp://a\n")
    assert parse_sources("live.streams")[0].live


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("none.mp4", "does not exist"),
        ("none*.mp4", "names no picture and no video"),
        ("empty", "names no picture and no video"),
        ("mixed", "both pictures and videos"),
        ("gopher://x", "allowed: file://"),
        ("nothing.txt", "names no source"),
        ("two.txt", "a command for each"),
        ("nested.txt", "names another list"),
    ],
)
def test_sources_that_are_none(files: Path, text: str, message: str) -> None:
    (files / "nothing.txt").write_text("# x\n")
    (files / "two.txt").write_text("rtsp://a\nclip.mov\n")
    (files / "nested.txt").write_text("two.txt\n")
    with pytest.raises(InputError, match=message):
        parse_sources(text)


@pytest.mark.parametrize(
    ("text", "kind", "container", "pattern"),
    [
        ("o.mp4", "file", "mp4", ""),
        ("file:///tmp/o.MKV", "file", "matroska", ""),
        ("out", "folder", "", ""),
        ("out/%04d.jpg", "folder", "", "%04d.jpg"),
        ("udp://127.0.0.1:9", "stream", "mpegts", ""),
        ("rtp://127.0.0.1:9", "stream", "rtp_mpegts", ""),
        (None, "none", "", ""),
    ],
)
def test_outputs(files: Path, text: str | None, kind: str, container: str, pattern: str) -> None:
    (output,) = parse_output(text, parse_sources("clip.mov"))
    assert (output.kind, output.container, output.pattern) == (kind, container, pattern)


def test_several_videos_go_into_a_folder(files: Path) -> None:
    found = parse_output("out", parse_sources("v"))
    assert [(o.address, o.container) for o in found] == [("out/a.mkv", "matroska"), ("out/b.mp4", "mp4")]
    with pytest.raises(InputError, match="one place for 2 sources"):
        parse_output("o.mp4", parse_sources("v"))
    (files / "w").mkdir()
    (files / "w/a.mkv").write_bytes(b"x")
    (files / "l.txt").write_text("v/a.mkv\nw/a.mkv\n")
    with pytest.raises(InputError, match="the same name"):
        parse_output("out", parse_sources("l.txt"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("o.xyz", "allowed: .mp4"),
        ("rtsp://host/x", "cannot stream to rtsp"),
        ("out/%s%s.png", "no pattern"),
        ("out/%d.gif", "no pattern"),
    ],
)
def test_outputs_that_are_none(files: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_output(text, parse_sources("clip.mov"))
