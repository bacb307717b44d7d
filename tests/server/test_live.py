"""The live view: a source filled as it runs, shown to several viewers, with a mask that is drawn."""

from __future__ import annotations

import asyncio
import re
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import cv2
import numpy as np
import pytest

from iic_rt.errors import InputError
from iic_rt.server import live, live_routes, pages
from iic_rt.server.app import Application, create_app
from iic_rt.server.live import LiveView
from iic_rt.video.frame_masks import open_masks
from iic_rt.video.media_frames import Look
from iic_rt.video.places import Source
from iic_rt.video.reader import Facts, Stamp
from tests.server.calls import Call, running, until
from tests.server.conftest import SlowInpainter, encoded, run, settings
from tests.video.clips import GreyFill

WIDTH, HEIGHT = 64, 48
CAMERA = Source("camera", "camera 0", 0, live=True)


class Camera:
    """Frames of one grey after another, until it is stopped or has given so many."""

    def __init__(self, frames: int | None = None) -> None:
        self.facts = Facts(width=WIDTH, height=HEIGHT, rate=None, time_base=Fraction(1, 1000), total=None, look=Look())
        self.stamp = Stamp(0, Fraction(0))
        self.problem: Exception | None = None
        self.counts: dict[str, int] = {}
        self._count, self._stopped = frames, threading.Event()

    def frames(self) -> Iterator[tuple[np.ndarray, Stamp]]:
        index = 0
        while not self._stopped.is_set() and index != self._count:
            self.stamp = Stamp(index, Fraction(index, 100))
            yield np.full((HEIGHT, WIDTH, 3), 100 + index // 10 % 100, np.uint8), self.stamp
            index += 1
            time.sleep(0.01)
        if index == self._count:
            raise InputError("the camera was lost")

    def take_packets(self) -> list[Any]:
        return []

    def stop(self) -> None:
        self._stopped.set()

    close = stop


def view(**more: Any) -> LiveView:
    return LiveView(
        CAMERA,
        **{"open_reader": Camera, "open_mask": lambda: None, "open_inpainter": GreyFill} | more,
    )


def make(slow: SlowInpainter, shown: LiveView) -> Application:
    return create_app(slow.open, settings(), live=shown)


def jpegs(body: bytes) -> list[np.ndarray]:
    """The images of a stream, as browsers take it apart; the last may not be whole."""
    found = []
    for part in body.split(b"--frame\r\n")[1:]:
        head, _, content = part.partition(b"\r\n\r\n")
        assert re.fullmatch(rb"Content-Type: image/jpeg\r\nContent-Length: \d+", head)
        length = int(head.rpartition(b" ")[2])
        if len(content) >= length:
            found.append(np.asarray(cv2.imdecode(np.frombuffer(content[:length], np.uint8), cv2.IMREAD_COLOR)))
    return found


def newest(call: Call) -> np.ndarray:
    """The last whole image of a stream."""
    return jpegs(call.body[-20_000:])[-1]


async def ask(app: Application, path: str, body: bytes = b"", method: str = "GET") -> tuple[int, Any]:
    call = Call(app, path, body=body, method=method, headers={"content-type": "image/png"})
    said = await call.answer()
    return call.status, said


def test_viewers_stats_and_a_drawn_mask(slow: SlowInpainter) -> None:
    async def work() -> None:
        async with running(make(slow, view())) as app:
            watching = [Call(app, "/live/stream.mjpeg", body=b"", method="GET") for _ in range(2)]
            await until(lambda: all(len(jpegs(call.body)) > 3 for call in watching))
            for call in watching:
                assert call.headers["content-type"] == "multipart/x-mixed-replace; boundary=frame"
                shades = [round(float(image.mean())) for image in jpegs(call.body)]
                assert min(shades) >= 98
                assert shades == sorted(shades)
            status, stats = await ask(app, "/live/stats")
            assert status == 200
            assert (stats["width"], stats["height"], stats["viewers"]) == (WIDTH, HEIGHT, 2)
            assert stats["untouched"] > 0
            assert (stats["filled"], stats["error"], stats["running"], stats["mask_drawn"]) == (0, "", True, False)

            mask = np.zeros((HEIGHT, WIDTH), np.uint8)
            mask[:, :32] = 255
            assert await ask(app, "/live/mask", encoded(mask), "PUT") == (204, None)
            await until(lambda: app.live.stats()["filled"] > 3)
            assert (await ask(app, "/live/stats"))[1]["mask_drawn"]
            assert await ask(app, "/live/mask", b"", "PUT") == (204, None)
            untouched = app.live.stats()["untouched"]
            await until(lambda: app.live.stats()["untouched"] > untouched + 3)
            for call in watching:
                call.go()
                await call.task
            assert (await ask(app, "/live/stats"))[1]["viewers"] == 0

    run(work())


def test_the_mask_of_the_command_holds_until_one_is_drawn(slow: SlowInpainter) -> None:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[:, 32:] = 255

    async def work() -> None:
        shown = view(open_mask=lambda: open_masks(mask))
        async with running(make(slow, shown)) as app:
            watching = Call(app, "/live/stream.mjpeg", body=b"", method="GET")
            await until(lambda: len(jpegs(watching.body)) > 3)
            left, right = newest(watching)[:, :24].mean(), newest(watching)[:, 40:].mean()
            assert right - left > 15  # what is filled is grey
            shown.draw(np.zeros((HEIGHT, WIDTH), np.uint8))
            await until(lambda: shown.stats()["untouched"] > 3)
            filled = shown.stats()["filled"]
            shown.draw(None)
            await until(lambda: shown.stats()["filled"] > filled + 3)
            watching.go()
            await watching.task

    run(work())


def test_wrong_masks(slow: SlowInpainter) -> None:
    async def work() -> None:
        shown = view()
        async with running(make(slow, shown)) as app:
            await until(lambda: shown.size is not None)
            for body, status, kind in (
                (encoded(np.zeros((9, 9), np.uint8)), 400, "bad_input"),
                (b"hello", 415, "type"),
                (encoded(np.zeros((HEIGHT, WIDTH), np.uint8))[:60], 400, "bad_input"),
                (encoded(np.zeros((1000, 1000), np.uint8)), 413, "too_large"),
            ):
                found, said = await ask(app, "/live/mask", body, "PUT")
                assert (found, said["error"]) == (status, kind)
            assert (await ask(app, "/live/mask", b"", "POST"))[0] == 405

    run(work())


def test_a_mask_before_the_first_frame(slow: SlowInpainter) -> None:
    shown = view()
    with pytest.raises(InputError, match="has not given a frame yet"):
        shown.draw(np.zeros((HEIGHT, WIDTH), np.uint8))
    assert shown.stats() == {
        "width": None,
        "height": None,
        "viewers": 0,
        "running": False,
        "error": "",
        "mask_drawn": False,
    }


def test_a_slow_viewer_holds_nobody_up(slow: SlowInpainter) -> None:
    async def work() -> None:
        shown = view()
        async with running(make(slow, shown)) as app:
            lazy = shown.jpegs()
            await lazy.__anext__()  # and asks no more for now
            watching = Call(app, "/live/stream.mjpeg", body=b"", method="GET")
            await until(lambda: shown._number > 60)
            before = shown._number
            newest = np.asarray(cv2.imdecode(np.frombuffer(await lazy.__anext__(), np.uint8), cv2.IMREAD_COLOR))
            assert abs(newest.mean() - (100 + before // 10)) < 3  # not the many in between
            await lazy.aclose()
            watching.go()
            await watching.task
            assert shown.viewers == 0

    run(work())


def test_nothing_is_encoded_while_nobody_looks_and_once_for_all(
    slow: SlowInpainter, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded_frames: list[int] = []
    encode = live._encode
    monkeypatch.setattr(live, "_encode", lambda image: (encoded_frames.append(id(image)), encode(image))[1])

    async def work() -> None:
        shown = view()
        async with running(make(slow, shown)):
            await until(lambda: shown._number > 5)
            assert encoded_frames == []
            viewers = [shown.jpegs() for _ in range(3)]
            for _ in range(5):
                await asyncio.gather(*(viewer.__anext__() for viewer in viewers))
            assert len(encoded_frames) <= 8  # 15 images were given out
            for viewer in viewers:
                await viewer.aclose()

    run(work())


def test_viewers_are_bounded(slow: SlowInpainter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_routes, "MOST_VIEWERS", 1)

    async def work() -> None:
        async with running(make(slow, view())) as app:
            first = Call(app, "/live/stream.mjpeg", body=b"", method="GET")
            await until(lambda: first.body)
            assert (await ask(app, "/live/stream.mjpeg"))[1]["error"] == "busy"
            first.go()
            await first.task

    run(work())


def test_the_end_ends_the_stream(slow: SlowInpainter) -> None:
    async def work() -> None:
        async with running(make(slow, view())) as app:
            watching = Call(app, "/live/stream.mjpeg", body=b"", method="GET")
            await until(lambda: watching.body)
            app.drain()
            await asyncio.wait_for(watching.task, 5)
            assert watching.status == 200

    run(work())


def test_a_camera_that_was_lost_is_opened_again_with_the_same_mask(
    slow: SlowInpainter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "AGAIN", 0.1)
    cameras: list[int | None] = [5, None, 3, None]  # None cannot be opened

    def open_camera() -> Camera:
        count = cameras.pop(0) if cameras else 10_000
        if count is None:
            raise InputError("camera 0 does not open")
        return Camera(count)

    async def work() -> None:
        shown = view(open_reader=open_camera)
        async with running(make(slow, shown)) as app:
            await until(lambda: shown.size is not None)
            shown.draw(np.full((HEIGHT, WIDTH), 255, np.uint8))
            errors = set()
            await until(lambda: errors.add(shown.stats()["error"]) or (not cameras and shown.stats()["put"] > 10))
            assert {"the camera was lost", "camera 0 does not open"} <= errors
            assert shown.stats()["mask_drawn"]
            assert app.failure is None

    run(work())


def test_a_camera_that_is_not_there_ends_the_server(slow: SlowInpainter) -> None:
    def none() -> Any:
        raise InputError("camera 0 does not open")

    async def work() -> None:
        async with running(make(slow, view(open_reader=none))) as app:
            await until(lambda: app.failure is not None)
            assert str(app.failure) == "camera 0 does not open"

    run(work())


def test_the_page(slow: SlowInpainter, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "index.html").write_text("page")
    monkeypatch.setattr(pages, "FOLDER", tmp_path)

    async def work() -> None:
        async with running(make(slow, view())) as app:
            call = Call(app, "/live", body=b"", method="GET")
            await call.task
            assert (call.status, call.body) == (200, b"page")
            info = Call(app, "/v1/info", body=b"", method="GET")
            assert (await info.answer())["live"] is True

    run(work())
