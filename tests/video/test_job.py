from __future__ import annotations

import logging
import threading
from typing import Any

import cv2
import numpy as np
import pytest

from iic_rt import Inpainter
from iic_rt.errors import InputError, OutputError, TrackLost
from iic_rt.video import VideoInpainter
from iic_rt.video.flicker import Flicker
from iic_rt.video.frame_masks import open_masks
from iic_rt.video.job import Report, run_job
from tests.video.clips import GREY, MASK, GreyFill, ListReader, ListWriter, picture
from tests.video.conftest import assert_all_counted

FRAMES = [picture(i) for i in range(10)]


def run(
    masks: Any = MASK, *, reader: Any = None, writer: Any = None, fill: Any = None, **more: Any
) -> tuple[Report, Any]:
    settings = {name: more.pop(name) for name in ("policy", "late_as", "failed_as", "deadline_ms") if name in more}
    settings.setdefault("memory", False)  # every frame reaches the filling, which counts and times
    reader, writer = reader or ListReader(FRAMES), writer or ListWriter()
    with open_masks(masks) as opened:
        report = run_job(reader, opened, VideoInpainter(fill or GreyFill(), **settings), writer, **more)
    assert_all_counted(report.stats)
    assert report.stats.held == 0
    return report, writer


def test_every_frame_is_filled_written_and_counted() -> None:
    shown: list[int] = []
    report, writer = run(flicker=Flicker(), shown=lambda report: shown.append(report.written))
    assert (report.complete, report.error, writer.ended) == (True, "", "finished")
    assert [frame.pts.index for frame in writer.frames] == list(range(10))
    assert shown == list(range(1, 11))
    document = report.document()
    assert document["frames"]["in"] == document["frames"]["filled"] == document["frames"]["written"] == 10
    assert document["fill_ms"]["p99"] == pytest.approx(3, rel=0.02)
    assert document["stages_ms_per_frame"]["iterations"] == 1
    assert document["stages_ms_per_frame"]["host"] == 1
    assert document["flicker"]["pairs"] == 9
    assert document["flicker"]["hole"] < document["flicker"]["ring"]


def test_what_to_avoid_goes_along_and_is_counted_too() -> None:
    with open_masks(np.stack([MASK, 0 * MASK] * 5)) as avoid:
        fill = GreyFill()
        report, _ = run(fill=fill, steering={"avoid": avoid})
    assert report.complete
    assert [set(given) for given in fill.steering] == [{"avoid"}, set()] * 5
    with open_masks(np.stack([MASK] * 12)) as avoid:
        report, _ = run(steering={"avoid": avoid})
    assert "12" in report.error
    assert "10" in report.error


def test_with_the_real_thing(inpainter: Inpainter) -> None:
    report, writer = run(fill=inpainter)
    assert report.stats.filled == 10
    for frame, before in zip(writer.frames, FRAMES, strict=True):
        np.testing.assert_array_equal(frame.image[MASK == 0], before[MASK == 0])
        assert (frame.image[MASK > 0] != before[MASK > 0]).any()
    assert 0 < report.stages.graphs_ms < 1e3 * report.seconds


@pytest.mark.parametrize(("failed_as", "value"), [("last", GREY), ("blank", 0)])
def test_a_mask_of_everything_never_lets_the_frame_through(
    failed_as: str, value: int, caplog: pytest.LogCaptureFixture
) -> None:
    masks = np.stack([MASK] * 10)
    masks[4:6] = 255
    report, writer = run(masks, failed_as=failed_as)
    assert (report.whole, report.stats.failed, report.error) == (2, 2, "")
    for i in (4, 5):
        assert writer.frames[i].status == "failed"
        assert int(writer.frames[i].image[30, 45, 0]) == value
        assert (writer.frames[i].image != FRAMES[i]).any()
    assert "frame 4: the mask covers the whole frame" in caplog.text
    assert f"in its place: {failed_as}" in caplog.text


def test_many_failures_are_told_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    report, _ = run(np.full((10, 64, 96), 255, np.uint8))
    assert report.stats.failed == 10
    assert len(caplog.records) <= 6
    assert "more frames failed" in caplog.text


def test_a_picture_that_cannot_be_read_fails_alone() -> None:
    report, writer = run(reader=ListReader([*FRAMES[:3], None, *FRAMES[4:]]))
    assert (report.stats.failed, report.stats.filled, report.written) == (1, 9, 10)
    assert writer.frames[3].error == "this picture is damaged"
    np.testing.assert_array_equal(writer.frames[3].image, writer.frames[2].image)


def test_a_wrong_number_of_masks_is_reported_and_the_output_is_finished() -> None:
    report, writer = run(np.stack([MASK] * 12))
    assert "there are 12 masks and the stream had 10 frames" in report.error
    assert (report.written, writer.ended, report.complete) == (10, "finished", False)
    report, _ = run(np.stack([MASK] * 8))
    assert report.stats.failed == 2


def test_a_track_that_is_lost_ends_the_run() -> None:
    class Lost:
        def mask(self, frame: Any, index: int, pts: float | None) -> Any:
            if index == 6:
                raise TrackLost("the track is lost", 6, 0.1)
            return MASK

        def close(self) -> None:
            pass

    report, writer = run(Lost())
    assert report.error == "the track is lost"
    assert writer.ended == "left"
    assert report.left_at == "somewhere"
    assert report.written == 7
    assert writer.frames[6].status == "failed"


def test_masks_are_asked_with_the_time_in_seconds() -> None:
    asked: list[tuple[int, float | None]] = []

    class Masks:
        def mask(self, frame: Any, index: int, pts: float | None) -> Any:
            asked.append((index, pts))

        def close(self) -> None:
            pass

    report, _ = run(Masks())
    assert asked == [(i, i / 25) for i in range(10)]
    assert report.stats.untouched == 10


def test_a_slow_writer_makes_files_wait_and_cameras_drop() -> None:
    report, writer = run(writer=ListWriter(seconds=0.02))
    assert report.stats.filled == len(writer.frames) == 10
    many = ListReader(FRAMES * 8, seconds=0.001)
    report, writer = run(reader=many, writer=ListWriter(seconds=0.03), policy="newest", live=True)
    assert report.stats.put == 80
    assert sum(report.stats.dropped.values()) > 20
    assert len(writer.frames) + sum(report.stats.dropped.values()) == 80
    order = [frame.pts.index for frame in writer.frames]
    assert order == sorted(order)


def test_late_frames_are_replaced_and_counted() -> None:
    report, writer = run(fill=GreyFill(seconds=0.05), policy="newest", deadline_ms=20, late_as="blank")
    assert report.stats.late > 0
    for frame in writer.frames:
        assert frame.status != "late" or frame.substitute == "blank" or (frame.image[MASK > 0] == GREY).all()


def test_a_source_that_breaks_keeps_what_came() -> None:
    class Broken(ListReader):
        def frames(self) -> Any:
            yield from super().frames()
            raise InputError("the cable was pulled")

    report, writer = run(reader=Broken(FRAMES))
    assert report.error == "the cable was pulled"
    assert (report.written, writer.ended, report.complete) == (10, "finished", False)


def test_a_writer_that_fails_is_left() -> None:
    class Full(ListWriter):
        def write(self, frame: Any) -> None:
            if len(self.frames) == 4:
                raise OutputError("No space left on device")
            super().write(frame)

    report, writer = run(writer=Full())
    assert report.error == "No space left on device"
    assert (report.written, writer.ended) == (4, "left")


@pytest.mark.parametrize(("live", "ended"), [(False, "left"), (True, "finished")])
def test_a_stop_fills_what_was_begun(live: bool, ended: str) -> None:
    stop = threading.Event()

    def shown(report: Report) -> None:
        if report.written == 5:
            stop.set()

    reader = ListReader(FRAMES * 50, seconds=0.002)
    report, writer = run(np.stack([MASK] * 500), reader=reader, stop=stop, shown=shown, live=live)
    assert reader.stopped
    assert 5 <= report.written == report.stats.put < 100
    assert sum(report.stats.dropped.values()) == 0
    assert (writer.ended, report.complete, report.error) == (ended, live, "")


def test_an_output_in_its_own_time() -> None:
    report, _ = run(paced=True)
    assert report.seconds > 0.3  # ten frames at 25 a second


def test_memory_stays_flat() -> None:
    """The same as ``python -m benchmarks.long_run``, shorter."""
    from benchmarks.long_run import long_run

    found = long_run(frames=400, size=(64, 48), fill=GreyFill())
    assert found["frames"] == 400
    assert found["uncounted"] == 0
    assert found["grown_mib"] < 16


def test_a_moving_mask_flickers_less_than_a_jumping_one() -> None:
    still = [cv2.GaussianBlur(picture(0), (0, 0), 3)] * 10
    report, _ = run(reader=ListReader(still), flicker=Flicker())
    assert report.flicker is not None
    assert report.flicker.hole == pytest.approx(0, abs=1e-6)
