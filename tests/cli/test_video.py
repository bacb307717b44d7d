"""The command as a user types it, with a filler that is fast."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from iic_rt.cli import video
from iic_rt.cli.main import main
from iic_rt.cli.progress import Bar, line
from iic_rt.video.job import Report
from iic_rt.video.tally import Tally
from tests.test_decoder_noise import damaged_jpeg, whole_jpeg
from tests.video.clips import GREY, MASK, GreyFill, content, make_clip, picture, write_mask

pytest.importorskip("av")
ROOT = Path(__file__).parents[2]


@pytest.fixture
def clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(video, "Inpainter", lambda **settings: GreyFill())
    write_mask(tmp_path)
    return make_clip(tmp_path / "a.mp4")


def run(folder: Path, *arguments: str, source: str = "a.mp4", mask: str = "mask.png", out: str | None = "o.mp4") -> int:
    output = [] if out is None else ["-o", out if "://" in out else str(folder / out)]
    source = source if "://" in source or source.isdecimal() else str(folder / source)
    mask = str(folder / mask) if mask[:5] not in ("motio", "track", "grabc") else mask
    return main(["video", source, "--mask", mask, *output, *arguments])


def test_a_video_with_statistics(clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, "--stats", str(tmp_path / "s.json"), "--flicker", "--save-masks", str(tmp_path / "m")) == 0
    said = capsys.readouterr()
    assert "o.mp4: 12 filled; " in said.out
    assert "flicker: " in said.out
    assert said.err == ""
    (found,) = json.loads((tmp_path / "s.json").read_text())["results"]
    assert found["frames"]["in"] == found["frames"]["filled"] == 12
    assert found["complete"]
    assert found["flicker"]["ratio"] >= 0
    assert content(tmp_path / "o.mp4").seconds == content(clip).seconds
    assert len(list((tmp_path / "m").iterdir())) == 12


def test_json_is_all_that_is_printed(clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["backend"] == "grey"
    assert document["results"][0]["latency_ms"]["p50"] > 0


@pytest.mark.parametrize(
    "mask", ["track:{}/mask.png", "track:30,20,60,40", "grabcut:30,20,60,40", "motion", "m.json", "mask.png"]
)
def test_kinds_of_masks(clip: Path, tmp_path: Path, mask: str) -> None:
    (tmp_path / "m.json").write_text(json.dumps({"frames": [{"t": 0.1, "boxes": [[30, 20, 60, 40]]}]}))
    extra = ["--when-lost", "hold"] if mask.startswith("track") else []
    assert run(tmp_path, *extra, "--json", mask=mask.format(tmp_path)) == 0
    assert len(content(tmp_path / "o.mp4").seconds) == 12


def test_what_to_avoid_and_to_prefer(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill = GreyFill()
    monkeypatch.setattr(video, "Inpainter", lambda **settings: fill)
    (tmp_path / "a.json").write_text(json.dumps({"frames": [{"t": 0, "boxes": [[0, 0, 9, 9]]}]}))
    cv2.imwrite(str(tmp_path / "p.png"), cv2.flip(MASK * np.uint8(255), 1))
    steering = ["--avoid", str(tmp_path / "a.json"), "--prefer", str(tmp_path / "p.png")]
    assert run(tmp_path, "--no-memory", *steering) == 0
    assert [set(given) for given in fill.steering] == [{"avoid", "prefer"}] * 12
    assert fill.steering[0]["avoid"].sum() == 81 * 255


def test_while_motion_is_learned_nothing_is_shown(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, "--late", "unfilled", "--json", mask="motion") == 0
    frames = json.loads(capsys.readouterr().out)["results"][0]["frames"]
    assert frames["failed"] == frames["failed_whole"] == 12
    assert frames["substituted"]["unfilled"] == 0
    assert all(image.max() < 8 for image in content(tmp_path / "o.mp4").images)  # blank, since nothing is known


def test_frames_into_a_folder_and_back(clip: Path, tmp_path: Path) -> None:
    assert run(tmp_path, out="frames/%03d.png") == 0
    assert len(list((tmp_path / "frames").glob("*.png"))) == 12
    assert run(tmp_path, "--fps", "30000/1001", source="frames", out="b.mkv") == 0
    assert content(tmp_path / "b.mkv").seconds == pytest.approx([i * 1001 / 30000 for i in range(12)], abs=0.0006)
    assert run(tmp_path, source="frames", out="filled") == 0
    assert sorted(p.name for p in (tmp_path / "filled").iterdir())[0] == "000.png"


def test_damaged_images_are_named(clip: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "p").mkdir()
    for name, pixels in {"0.jpg": whole_jpeg(), "1.jpg": damaged_jpeg(), "2.jpg": damaged_jpeg()}.items():
        (tmp_path / "p" / name).write_bytes(pixels)
    write_mask(tmp_path, cv2.resize(MASK, (400, 300), interpolation=cv2.INTER_NEAREST))
    assert run(tmp_path, source="p", out="q") == 0
    lines = capfd.readouterr().err.splitlines()
    assert [line.split(" may be damaged, and parts of it wrong: Corrupt JPEG data")[0] for line in lines] == [
        f"iic-rt: warning: {tmp_path / name}" for name in ("p/1.jpg", "p/2.jpg")
    ]


def test_several_videos(clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "v").mkdir()
    for name in ("b.mp4", "c.mp4"):
        (tmp_path / "v" / name).write_bytes(clip.read_bytes())
    (tmp_path / "v" / "d.mp4").write_bytes(b"no video")
    assert run(tmp_path, source="v", out="w") == 1
    assert sorted(p.name for p in (tmp_path / "w").iterdir()) == ["b.mp4", "c.mp4"]
    assert "d.mp4 cannot be read as a video" in capsys.readouterr().err
    assert run(tmp_path, "--resume", source="v/[bc].mp4", out="w") == 0
    assert capsys.readouterr().err.count("is complete") == 2


def test_turned_by_hand(clip: Path, tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "high.png"), np.rot90(MASK, -1))
    assert run(tmp_path, "--rotate", "90", mask="high.png") == 0
    image = content(tmp_path / "o.mp4").images[0]
    assert np.abs(image.astype(int) - np.rot90(picture(0), -1)).mean() < 20
    assert np.abs(image[np.rot90(cv2.erode(MASK, np.ones((5, 5))), -1) > 0].astype(int) - GREY).mean() < 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"source": "none.mp4"}, "does not exist"),
        ({"out": None}, "name an output with -o"),
        ({"out": "o.xyz"}, "no video is written with the ending .xyz"),
        ({"mask": "none.png"}, "does not exist"),
        ({"mask": "track:1,2,x,4"}, "is no box"),
        ({"mask": "small.png"}, "the frame 96x64"),
        ({"more": ["--encoder-option", "preset"]}, "give NAME=VALUE"),
        ({"more": ["--codec", "h264", "--quality", "99"]}, "quality is 99"),
        ({"more": ["--no-memory", "--lookahead", "4"]}, "leave one of them out"),
        ({"source": "gopher://x"}, "allowed: file://"),
        ({"out": "a.mp4"}, "a.mp4 is read here and would be overwritten"),
        ({"more": ["--stats", "none/stats.json"]}, "there is no folder"),
    ],
)
def test_errors_are_one_line_each(
    clip: Path, tmp_path: Path, arguments: dict[str, Any], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_mask(tmp_path, np.full((5, 6), 255, np.uint8)).rename(tmp_path / "small.png")
    write_mask(tmp_path)
    more = arguments.pop("more", [])
    assert run(tmp_path, *more, **arguments) == 1
    said = capsys.readouterr().err
    assert message in said
    assert "Traceback" not in said
    assert not (tmp_path / "o.mp4").exists() or "small" in str(arguments)
    assert not list(tmp_path.glob("*.part*"))  # a second try is not told of an earlier run


def start(*arguments: str, seconds: float) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.cli.slow_command", str(seconds), "video", *arguments]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for_frames(part: Path, count: int) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        try:
            if part.exists() and len(content(part).seconds) >= count:
                return
        except Exception:  # it has no header yet
            pass
        time.sleep(0.05)
    raise AssertionError(f"{part} did not get {count} frames")


def test_killed_and_resumed_then_interrupted_and_resumed(tmp_path: Path) -> None:
    clip, mask = make_clip(tmp_path / "a.mp4", frames=100), write_mask(tmp_path)
    arguments = [str(clip), "--mask", str(mask), "-o", str(tmp_path / "o.mp4"), "--encoder-option", "tune=zerolatency"]
    killed = start(*arguments, seconds=0.03)
    wait_for_frames(tmp_path / "o.part1.mp4", 10)
    killed.kill()
    killed.communicate()
    first = len(content(tmp_path / "o.part1.mp4").seconds)

    stopped = start(*arguments, "--resume", seconds=0.03)
    wait_for_frames(tmp_path / "o.part2.mp4", 10)
    stopped.send_signal(signal.SIGINT)
    out, err = stopped.communicate(timeout=20)
    assert stopped.returncode == 130
    assert "finishing what was begun" in err
    assert "o.part2.mp4 can be used as far as it goes; --resume goes on from it" in out
    second = len(content(tmp_path / "o.part2.mp4").seconds)
    assert 10 <= second < 100 - first

    ended = start(*arguments, "--resume", seconds=0.0)
    out, err = ended.communicate(timeout=30)
    assert (ended.returncode, err) == (0, "")
    assert f"{first + second - 2} from an earlier run" in out
    before, after = content(clip), content(tmp_path / "o.mp4")
    assert (after.seconds, after.sound) == (before.seconds, before.sound)
    assert not list(tmp_path.glob("*.part*"))


class Died(BaseException):
    """In place of a kill."""


@pytest.fixture
def old(clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> bytes:
    """A finished video, which a run with another mask was to replace; it died before its first part."""
    assert run(tmp_path) == 0
    old = (tmp_path / "o.mp4").read_bytes()
    write_mask(tmp_path, np.roll(MASK, 30, 1))
    filler = video.Inpainter

    def die(**_: Any) -> None:
        raise Died

    monkeypatch.setattr(video, "Inpainter", die)
    with pytest.raises(Died):
        run(tmp_path, "--grow", "3")
    monkeypatch.setattr(video, "Inpainter", filler)
    assert (tmp_path / "o.mp4").read_bytes() == old
    return old


def test_an_earlier_result_is_not_taken_for_that_of_the_run_that_died(
    old: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, "--resume", "--grow", "3") == 0
    assert capsys.readouterr().err == ""
    new = (tmp_path / "o.mp4").read_bytes()
    now = content(tmp_path / "o.mp4").images[0]
    assert np.abs(now[25:35, 65:85].astype(int) - GREY).mean() < 4
    assert not list(tmp_path.glob("*.part*"))
    assert run(tmp_path, "--resume") == 0
    assert "o.mp4 is complete, and no newer run was stopped" in capsys.readouterr().err
    assert (tmp_path / "o.mp4").read_bytes() == new


def test_a_run_goes_on_with_the_same_source_and_options_alone(
    old: bytes, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    part = tmp_path / "o.part1.mp4"
    part.write_bytes(old)
    assert run(tmp_path, "--resume") == 1
    assert f"error: {part} was written with grow 3, and now it is auto; give what the " in capsys.readouterr().err
    size = (tmp_path / "a.mp4").stat().st_size
    make_clip(tmp_path / "a.mp4", frames=20)
    assert run(tmp_path, "--resume", "--grow", "3") == 1
    said = capsys.readouterr().err
    assert f"was written with source bytes {size}, and now it is " in said
    assert "or delete o.part0.mp4.json, o.part1.mp4 to begin anew" in said
    for path in (part, tmp_path / "o.mp4"):
        assert path.read_bytes() == old
    part.unlink()  # without parts nothing has to be the same
    assert run(tmp_path, "--resume") == 0
    assert len(content(tmp_path / "o.mp4").seconds) == 20


def test_each_of_several_videos_is_told_from_its_earlier_result(
    clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "v").mkdir()
    for name in ("b.mp4", "c.mp4"):
        (tmp_path / "v" / name).write_bytes(clip.read_bytes())
    assert run(tmp_path, source="v", out="w") == 0
    real = video.run_job

    def first_alone(*given: Any, **more: Any) -> Report:
        monkeypatch.setattr(video, "run_job", die)
        return real(*given, **more)

    def die(*_: Any, **__: Any) -> Report:
        raise Died

    monkeypatch.setattr(video, "run_job", first_alone)
    with pytest.raises(Died):
        run(tmp_path, source="v", out="w")
    monkeypatch.setattr(video, "run_job", real)
    capsys.readouterr()
    assert run(tmp_path, "--resume", source="v", out="w") == 0
    said = capsys.readouterr()
    assert said.err.count("b.mp4 is complete") == 1
    assert "c.mp4: 12 filled" in said.out
    assert sorted(p.name for p in (tmp_path / "w").iterdir()) == ["b.mp4", "c.mp4"]


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def test_a_stream_to_a_slow_reader(clip: Path, tmp_path: Path) -> None:
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(20)
    got = bytearray()

    def read_slowly() -> None:
        connection, _ = server.accept()
        with connection:
            while data := connection.recv(4096):
                got.extend(data)
                time.sleep(0.002)

    thread = threading.Thread(target=read_slowly, daemon=True)
    thread.start()
    assert run(tmp_path, out=f"tcp://127.0.0.1:{server.getsockname()[1]}") == 0
    thread.join(20)
    server.close()
    (tmp_path / "got.ts").write_bytes(got)
    found = content(tmp_path / "got.ts")
    assert len(found.seconds) == 12
    assert np.diff(found.seconds) == pytest.approx(np.diff(content(clip).seconds), abs=0.001)
    assert len(found.sound) == len(content(clip).sound)


def test_nobody_listens(clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path, out=f"tcp://127.0.0.1:{free_port()}") == 1
    assert "Connection refused" in capsys.readouterr().err


def test_a_stream_in_and_a_preview_out(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    data = make_clip(tmp_path / "a.ts", sound=None).read_bytes()
    server = socket.create_server(("127.0.0.1", 0))
    server.settimeout(20)

    def serve() -> None:
        connection, _ = server.accept()
        with connection:
            connection.sendall(data)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    source = f"tcp://127.0.0.1:{server.getsockname()[1]}"
    arguments = ["--preview", "0", "--reconnect", "0", "--policy", "block", "--json"]
    assert run(tmp_path, *arguments, source=source, out=None) == 0
    thread.join(20)
    server.close()
    said = capsys.readouterr()
    assert json.loads(said.out)["results"][0]["frames"]["filled"] == 12
    assert "the frames are at http://127.0.0.1:" in said.err


def test_the_bar() -> None:
    class Terminal:
        def __init__(self) -> None:
            self.text = ""

        def isatty(self) -> bool:
            return True

        def write(self, text: str) -> None:
            self.text += text

        def flush(self) -> None:
            pass

    report = Report(Tally().stats(), written=30, seconds=2.0)
    assert line(report, 120) == "[#######-----------------------] 30/120  15.0 fps  6 s left"
    assert line(report, None) == "30 frames  15.0 fps"
    terminal = Terminal()
    bar = Bar(120, terminal)  # type: ignore[arg-type]
    bar.show(report)
    bar.show(report)  # too soon after the other
    assert terminal.text.count("fps") == 1
    bar.clear()
    assert terminal.text.endswith("\r")
