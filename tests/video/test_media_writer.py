from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from iic_rt.errors import InputError, OutputError
from iic_rt.video import VideoInpainter
from iic_rt.video.encoders import Encoding
from iic_rt.video.frame_masks import open_masks
from iic_rt.video.job import Report, run_job
from iic_rt.video.media_reader import MediaReader
from iic_rt.video.media_writer import MediaWriter
from tests.video.clips import GREY, MASK, GreyFill, content, file_output, make_clip, times

pytest.importorskip("av")


def fill(source: Path, target: Path, encoding: Encoding | None = None, *, resume: bool = False) -> Report:
    reader = MediaReader(str(source))
    writer = MediaWriter(file_output(target), reader.facts, encoding or Encoding(), resume=resume)
    with open_masks(MASK) as masks:
        return run_job(reader, masks, VideoInpainter(GreyFill(), memory=False), writer)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return make_clip(tmp_path / "a.mp4")


def test_times_sound_and_look_are_kept(clip: Path, tmp_path: Path) -> None:
    report = fill(clip, tmp_path / "o.mp4")
    assert (report.error, report.complete, report.written) == ("", True, 12)
    before, after = content(clip), content(tmp_path / "o.mp4")
    assert after.seconds == before.seconds
    assert after.sound == before.sound
    assert len(after.sound) > 10
    assert (after.codec, after.look) == (before.codec, before.look)
    for was, now in zip(before.images, after.images, strict=True):
        assert np.abs(now[25:35, 35:55].astype(int) - GREY).mean() < 4
        assert np.abs(now.astype(int) - was)[:, 65:].mean() < 4
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.mp4", "o.mp4"]


def test_the_last_frame_is_shown_as_long_as_it_was(clip: Path, tmp_path: Path) -> None:
    import av

    fill(clip, tmp_path / "o.mp4")
    lengths = []
    for path in (clip, tmp_path / "o.mp4"):
        with av.open(str(path)) as container:
            lengths.append(float(container.streams.video[0].duration * container.streams.video[0].time_base))
    assert lengths[0] == pytest.approx(lengths[1], abs=0.001)


@pytest.mark.parametrize(
    ("codec", "suffix", "pix_fmt", "kept"),
    [
        ("libx264", ".mkv", "yuv422p10le", "h264"),
        ("libx265", ".mp4", "yuv420p", "hevc"),
        ("libvpx-vp9", ".webm", "yuv420p", "vp9"),
        ("ffv1", ".mkv", "yuv444p", "ffv1"),
        ("mpeg4", ".mp4", "yuv420p", "h264"),
        ("libx264", ".ts", "yuv420p", "h264"),
    ],
)
def test_codec_and_format_are_kept_where_they_can_be(
    tmp_path: Path, codec: str, suffix: str, pix_fmt: str, kept: str
) -> None:
    sound = "libopus" if suffix == ".webm" else "aac"
    source = make_clip(
        tmp_path / f"a{suffix}", codec=codec, pix_fmt=pix_fmt, sound=None if sound == "libopus" else sound
    )
    report = fill(source, tmp_path / f"o{suffix}")
    assert report.error == ""
    after = content(tmp_path / f"o{suffix}")
    assert {"libvpx-vp9": "vp9"}.get(after.codec, after.codec) == kept
    assert after.look[0] == pix_fmt
    assert len(after.seconds) == 12
    if suffix != ".ts":
        assert after.seconds == pytest.approx(content(source).seconds, abs=0.0011)


def test_outside_the_hole_a_lossless_video_is_the_same_bit_for_bit(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mkv", codec="ffv1", sound=None)
    fill(source, tmp_path / "o.mkv")
    before, after = content(source), content(tmp_path / "o.mkv")
    for a, b in zip(before.luma, after.luma, strict=True):
        np.testing.assert_array_equal(a[MASK == 0], b[MASK == 0])
        assert (a[MASK > 0] != b[MASK > 0]).mean() > 0.9


def test_codec_quality_and_format_can_be_chosen(clip: Path, tmp_path: Path) -> None:
    sizes = []
    for quality in (5, 40):
        fill(clip, tmp_path / "o.mp4", Encoding(codec="hevc", quality=quality, pix_fmt="yuv420p10le"))
        found = content(tmp_path / "o.mp4")
        assert (found.codec, found.look[0]) == ("hevc", "yuv420p10le")
        sizes.append((tmp_path / "o.mp4").stat().st_size)
    assert sizes[0] > 1.5 * sizes[1]


def test_odd_sizes_and_what_the_container_does_not_take(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mkv", codec="ffv1", size=(97, 63))
    reader = MediaReader(str(source))
    writer = MediaWriter(file_output(tmp_path / "o.webm"), reader.facts, Encoding())
    assert [note.split(":")[0] for note in writer.notes] == ["stream 1 (aac) is left out"]
    writer.leave()
    writer = MediaWriter(file_output(tmp_path / "o.mp4"), reader.facts, Encoding(codec="h264"))
    mask = np.zeros((63, 97), np.uint8)
    mask[10:20, 10:20] = 1
    with open_masks(mask) as masks:
        assert run_job(reader, masks, VideoInpainter(GreyFill(), memory=False), writer).error == ""
    assert content(tmp_path / "o.mp4").look[0] == "yuv444p"
    assert content(tmp_path / "o.mp4").images[0].shape == (63, 97, 3)


@pytest.mark.parametrize(
    ("encoding", "message"),
    [
        (Encoding(codec="ffv1"), "webm cannot hold ffv1; allowed in it: vp9, av1"),
        (Encoding(codec="vp9", quality=64), "quality is 64; allowed with vp9: 0 to 63"),
        (Encoding(codec="vp9", pix_fmt="rgb24"), "vp9 does not take the pixel format rgb24"),
    ],
)
def test_what_cannot_be_encoded(clip: Path, tmp_path: Path, encoding: Encoding, message: str) -> None:
    reader = MediaReader(str(clip))
    with pytest.raises(InputError, match=message):
        MediaWriter(file_output(tmp_path / "o.webm"), reader.facts, encoding)
    reader.close()
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]
    with pytest.raises(InputError, match="codec is 'x'; allowed: keep, h264"):
        Encoding(codec="x")  # type: ignore[arg-type]


def test_a_place_that_cannot_be_written_to(clip: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    reader = MediaReader(str(clip))
    with pytest.raises(OutputError, match="cannot write"):
        MediaWriter(file_output(tmp_path / "file" / "o.mp4"), reader.facts, Encoding())
    reader.close()


@pytest.fixture
def limited() -> Iterator[Any]:
    """Files cannot grow beyond a size, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def limit(size: int) -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))

    yield limit
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_full_disk_loses_nothing_that_was_written(tmp_path: Path, limited: Any, suffix: str) -> None:
    source = make_clip(tmp_path / f"a{suffix}", frames=80)
    limited(25_000)
    report = fill(source, tmp_path / f"o{suffix}")
    limited(resource.RLIM_INFINITY)
    assert not report.complete
    assert "File too large" in report.error
    assert "--resume" in report.error
    part = tmp_path / f"o.part1{suffix}"
    assert report.left_at == str(part)
    there = len(content(part).seconds)
    assert 5 < there < 80
    with pytest.raises(OutputError, match=r"part1.* of an earlier run is there"):
        fill(source, tmp_path / f"o{suffix}")
    again = fill(source, tmp_path / f"o{suffix}", resume=True)
    assert (again.error, again.complete) == ("", True)
    assert again.resumed + again.written == 80
    assert again.resumed >= there - 1
    before, after = content(source), content(tmp_path / f"o{suffix}")
    assert after.seconds == before.seconds
    assert after.sound == before.sound
    assert not part.exists()


def stopped_run(clip: Path, target: Path, frames: int) -> None:
    """As if the program had been killed: nothing is flushed or closed by it."""
    reader = MediaReader(str(clip))
    writer = MediaWriter(file_output(target), reader.facts, Encoding(), resume=True)
    with VideoInpainter(GreyFill(), memory=False) as video:
        video.feed(reader.frames(), MASK)
        for _ in range(frames):
            frame = video.get(20)
            assert frame is not None
            if writer.resume_at is None or frame.pts.time > writer.resume_at:
                writer.pass_on(reader.take_packets())
                writer.write(frame)
    reader.close()
    os.sync()
    number = len(list(target.parent.glob("o.part*")))
    written = target.with_name(f"o.part{number}{target.suffix}").read_bytes()
    writer.leave()
    target.with_name(f"o.part{number}{target.suffix}").write_bytes(written)


def test_a_killed_run_goes_on_again_and_again(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", frames=80)
    stopped_run(clip, tmp_path / "o.mp4", 40)
    first = len(content(tmp_path / "o.part1.mp4").seconds)
    assert first >= 20
    report = fill(clip, tmp_path / "o.mp4", resume=True)
    assert (report.error, report.resumed) == ("", first - 1)
    before, after = content(clip), content(tmp_path / "o.mp4")
    assert (after.seconds, after.sound) == (before.seconds, before.sound)
    for now in after.images:
        assert np.abs(now[25:35, 35:55].astype(int) - GREY).mean() < 4


def test_parts_of_another_run_are_refused_and_kept(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", frames=60)
    stopped_run(clip, tmp_path / "o.mp4", 50)
    with pytest.raises(InputError, match=r"written in another way .*give the options of the first run"):
        fill(clip, tmp_path / "o.mp4", Encoding(quality=30), resume=True)
    other = make_clip(tmp_path / "b.mp4", frames=60, even=True)
    report = fill(other, tmp_path / "o.mp4", resume=True)
    assert "where this source has no frame" in report.error
    assert content(tmp_path / "o.part1.mp4").seconds
    assert not (tmp_path / "o.mp4").exists()


def test_a_part_without_a_frame_is_begun_anew(clip: Path, tmp_path: Path) -> None:
    (tmp_path / "o.part1.mp4").write_bytes(b"")
    report = fill(clip, tmp_path / "o.mp4", resume=True)
    assert (report.error, report.resumed, report.written) == ("", 0, 12)
    assert content(tmp_path / "o.mp4").seconds == [float(t / 12800) for t in times(12)]
    assert not list(tmp_path.glob("*.part*"))
