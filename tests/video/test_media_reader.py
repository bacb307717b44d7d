from __future__ import annotations

import logging
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from iic_rt.errors import InputError
from iic_rt.video.media_reader import MediaReader
from tests.video.clips import SIZE, TICK, content, make_clip, picture, times

pytest.importorskip("av")


def all_of(reader: Any) -> tuple[list[np.ndarray], list[float]]:
    images, seconds = [], []
    for image, stamp in reader.frames():
        images.append(image)
        seconds.append(float(stamp.time))
    return images, seconds


def test_frames_with_their_uneven_times(tmp_path: Path) -> None:
    reader = MediaReader(str(make_clip(tmp_path / "a.mp4")))
    facts = reader.facts
    assert (facts.width, facts.height, facts.total, facts.codec) == (*SIZE, 12, "h264")
    assert facts.time_base == TICK
    assert (facts.look.pix_fmt, facts.look.space, facts.look.range, facts.look.primaries) == ("yuv420p", 1, 1, 1)
    images, seconds = all_of(reader)
    assert seconds == [float(t * TICK) for t in times(12)]
    for i, image in enumerate(images):
        assert np.abs(image.astype(int) - picture(i)).mean() < 6
    assert len(reader.take_packets()) == len(content(tmp_path / "a.mp4").sound)
    assert reader.take_packets() == []


def until_its_end(reader: Any) -> tuple[int, str]:
    """How many frames came, and the error behind them."""
    count = 0
    try:
        for _ in reader.frames():
            count += 1
    except InputError as error:
        return count, str(error)
    return count, ""


def turned(path: Path, matrix: tuple[int, ...]) -> Path:
    """The display matrix of the first track, in its header, is replaced."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 4 + 40
    a, b, c, d = matrix
    data[at : at + 36] = struct.pack(">9i", a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(("matrix", "quarters"), [((0, 1, -1, 0), 3), ((-1, 0, 0, -1), 2), ((0, -1, 1, 0), 1)])
def test_frames_stand_upright(tmp_path: Path, matrix: tuple[int, ...], quarters: int) -> None:
    path = turned(make_clip(tmp_path / "a.mp4", sound=None), matrix)
    reader = MediaReader(str(path))
    assert (reader.facts.width, reader.facts.height) == (SIZE if quarters == 2 else SIZE[::-1])
    images, _ = all_of(reader)
    assert np.abs(images[0].astype(int) - np.rot90(picture(0), quarters)).mean() < 6
    images, _ = all_of(MediaReader(str(path), turn=0))
    assert np.abs(images[0].astype(int) - picture(0)).mean() < 6


def test_a_size_that_changes_in_the_middle(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    parts = [make_clip(tmp_path / f"{i}.ts", sound=None, size=s).read_bytes() for i, s in enumerate((SIZE, (48, 32)))]
    (tmp_path / "both.ts").write_bytes(b"".join(parts))
    reader = MediaReader(str(tmp_path / "both.ts"))
    images, _ = all_of(reader)
    assert len(images) == 24
    assert {image.shape for image in images} == {(64, 96, 3)}
    assert reader.counts["resized"] == 12
    assert "frame 12 is 48x32" in caplog.text


def test_garbage_in_the_middle_is_counted(tmp_path: Path) -> None:
    data = bytearray(make_clip(tmp_path / "a.mkv", frames=40, sound=None).read_bytes())
    rng = np.random.default_rng(0)
    for at in range(len(data) // 3, len(data) * 2 // 3, 97):
        data[at : at + 40] = rng.integers(0, 256, 40, np.uint8).tobytes()
    (tmp_path / "bad.mkv").write_bytes(data)
    reader = MediaReader(str(tmp_path / "bad.mkv"))
    count, _ = until_its_end(reader)
    assert count >= 12
    assert reader.counts["damaged"] > 0


@pytest.mark.parametrize("name", ["noise.mp4", "empty.mp4", "sound.mp4"])
def test_what_is_no_video(tmp_path: Path, name: str) -> None:
    content = {"noise.mp4": np.random.default_rng(0).bytes(5000), "empty.mp4": b""}
    path = tmp_path / name
    if name in content:
        path.write_bytes(content[name])
    else:
        import av

        with av.open(str(path), "w") as container:
            stream = container.add_stream("aac", rate=44100)
            stream.layout = "mono"
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.sample_rate = 44100
            container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
    with pytest.raises(InputError, match=name):
        MediaReader(str(path))


def test_a_file_that_ends_early_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    import av

    whole = make_clip(tmp_path / "a.mp4", frames=40, sound=None)
    with (
        av.open(str(whole), "r") as opened,
        av.open(str(tmp_path / "fast.mp4"), "w", options={"movflags": "faststart"}) as moved,
    ):
        stream = moved.add_stream_from_template(opened.streams.video[0])
        for packet in opened.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                moved.mux(packet)
    data = (tmp_path / "fast.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(data[: len(data) * 2 // 3])
    reader = MediaReader(str(tmp_path / "cut.mp4"))
    count, error = until_its_end(reader)
    assert 10 < count < 40
    assert "cannot be read beyond frame" in error or "says that it holds 40 frames" in caplog.text


def test_without_pyav_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(InputError, match=r"pip install 'iic-rt\[video\]'"):
        MediaReader("a.mp4")


@pytest.fixture
def serve() -> Iterator[Callable[[list[Any]], str]]:
    """Serves each connection what its entry says: bytes, then an end; or bytes and silence until the test ends."""
    done = threading.Event()
    opened: list[Any] = []

    def start(entries: list[Any]) -> str:
        server = socket.create_server(("127.0.0.1", 0))
        opened.append(server)

        def run() -> None:
            for data, silent in entries:
                try:
                    connection, _ = server.accept()
                except OSError:
                    return
                with connection:
                    try:
                        connection.sendall(data)
                        if silent:
                            done.wait(20)
                    except OSError:
                        pass
            server.close()  # further tries are refused

        thread = threading.Thread(target=run, daemon=True)
        opened.append(thread)
        thread.start()
        return f"tcp://127.0.0.1:{server.getsockname()[1]}"

    yield start
    done.set()
    for thing in opened:
        thing.close() if isinstance(thing, socket.socket) else thing.join(5)


def test_a_stream_that_breaks_is_opened_again(
    tmp_path: Path, serve: Callable[[list[Any]], str], caplog: pytest.LogCaptureFixture
) -> None:
    data = make_clip(tmp_path / "a.ts", sound="aac").read_bytes()
    url = serve([(data, False), (data, False)])
    reader = MediaReader(url, live=True, reconnect=1.0, timeout=2.0)
    seconds: list[float] = []
    stamps = (seconds.append(float(stamp.time)) for _, stamp in reader.frames())
    with pytest.raises(InputError, match="did not come back"):
        list(stamps)
    assert len(seconds) == 24
    assert seconds == sorted(set(seconds))
    assert reader.counts["reconnects"] == 1
    assert "try 1 in 0.5 s" in caplog.text
    assert "is back after" in caplog.text
    sound = [float(p.pts * p.time_base) for p in reader.take_packets()]
    assert len(sound) == 2 * len(content(tmp_path / "a.ts").sound)
    assert sound == sorted(sound)


def test_a_stream_that_stalls_is_given_up(tmp_path: Path, serve: Callable[[list[Any]], str]) -> None:
    data = make_clip(tmp_path / "a.ts", sound=None).read_bytes()
    reader = MediaReader(serve([(data, True)]), live=True, reconnect=0.2, timeout=0.5)
    count, error = until_its_end(reader)
    assert "was lost after frame" in error
    assert count >= 8  # what the decoder held when the silence began is lost


def test_without_reconnecting_the_end_is_the_end(tmp_path: Path, serve: Callable[[list[Any]], str]) -> None:
    data = make_clip(tmp_path / "a.ts", sound=None).read_bytes()
    images, _ = all_of(MediaReader(serve([(data, False)]), live=True, reconnect=0, timeout=2.0))
    assert len(images) == 12


def test_a_stop_ends_the_waiting(
    tmp_path: Path, serve: Callable[[list[Any]], str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    data = make_clip(tmp_path / "a.ts", sound=None).read_bytes()
    reader = MediaReader(serve([(data, False)]), live=True, reconnect=60, timeout=2.0)
    threading.Timer(0.3, reader.stop).start()
    images, _ = all_of(reader)
    assert len(images) == 12
