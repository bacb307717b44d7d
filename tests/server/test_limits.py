"""Bytes, pixels and time of a request are bounded, whatever it says of itself."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import cv2
import numpy as np
import pytest
from starlette.testclient import TestClient

from iic_rt.server import gate, inbox
from iic_rt.server.app import create_app
from tests.server.calls import Call, form, running, until
from tests.server.conftest import BYTES, SlowInpainter, encoded, run, settings
from tests.test_image_header import BOMBS


@pytest.fixture(autouse=True)
def _no_lingering(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "LINGER", 0.01)


def test_a_declared_length_is_refused_before_anything_is_read(slow: SlowInpainter) -> None:
    async def work() -> None:
        async with running(create_app(slow.open, settings())) as app:
            for path in ("/v1/remove", "/v1/object", "/api/v1/inpaint", "/inpaint", "/api/v1/adjust_mask"):
                call = Call(app, path, headers={"content-length": str(BYTES + 1)})
                assert (await call.answer())["error"] == "too_large"
                assert call.status == 413

    run(work())


@pytest.mark.parametrize("declared", [None, "10", "-5", "many", "9" * 30])
def test_bytes_are_counted_while_they_arrive(slow: SlowInpainter, declared: str | None) -> None:
    async def work() -> None:
        async with running(create_app(slow.open, settings())) as app:
            call = Call(app, headers={} if declared is None else {"content-length": declared})
            for _ in range(BYTES // 1000):
                call.send(bytes(1000))
            await until(lambda: call._incoming.empty())
            assert call.status == 0
            call.send(b"x")
            assert (await call.answer())["error"] == "too_large"
            assert app.pool.accepted == 0

    run(work())


def test_a_refused_upload_is_read_for_a_while_so_that_its_client_hears_why(
    slow: SlowInpainter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox, "LINGER", 5.0)

    async def work() -> None:
        async with running(create_app(slow.open, settings())) as app:
            call = Call(app, headers={"content-length": str(BYTES * 2)})
            call.send(bytes(BYTES))
            await until(lambda: call._incoming.empty())
            await asyncio.sleep(0.02)
            assert call.status == 0
            call.send(bytes(BYTES), more=False)
            await call.answer()
            assert call.status == 413
            asking_first = Call(app, headers={"content-length": str(BYTES * 2), "expect": "100-continue"})
            await asyncio.wait_for(asking_first.answer(), 1)
            assert asking_first.status == 413

    run(work())


def test_a_slow_body_has_an_end(slow: SlowInpainter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "GRACE", 0.1)
    monkeypatch.setattr(inbox, "SLOWEST", 100_000)

    async def work() -> None:
        async with running(create_app(slow.open, settings())) as app:
            call = Call(app)
            drip = asyncio.create_task(_drip(call))
            assert (await call.answer())["error"] == "timeout"
            assert call.status == 408
            assert call.headers["connection"] == "close"
            drip.cancel()
            steady = Call(app)  # 200,000 bytes a second
            for _ in range(20):
                steady.send(bytes(4000))
                await asyncio.sleep(0.02)
            assert steady.status == 0
            steady.go()
            await steady.task

    async def _drip(call: Call) -> None:
        while True:
            call.send(b"x")
            await asyncio.sleep(0.01)

    run(work())


def test_many_bodies_at_once_are_bounded_too(
    slow: SlowInpainter, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gate, "BODIES", 2)

    async def work() -> None:
        async with running(create_app(slow.open, settings(queue=64))) as app:
            held = [Call(app) for _ in range(2)]
            for call in held:
                call.send(bytes(BYTES))
            await until(lambda: all(call._incoming.empty() for call in held))
            more = Call(app, body=form(files))
            assert (await more.answer())["error"] == "busy"
            assert more.status == 429
            assert int(more.headers["retry-after"]) > 0
            held[0].go()
            await held[0].task
            slow.go.set()
            again = Call(app, body=form(files))
            await again.answer()
            assert again.status == 200
            held[1].go()
            await held[1].task

    run(work())


def as_json(image: bytes, mask: bytes) -> bytes:
    texts = {name: base64.b64encode(content).decode() for name, content in (("image", image), ("mask", mask))}
    return json.dumps(texts).encode()


@pytest.mark.parametrize("kind", BOMBS)
@pytest.mark.parametrize("name", ["image", "mask", "avoid"])
def test_bombs_are_refused_by_their_header(
    client: TestClient, files: dict[str, bytes], kind: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object) -> None:
        raise AssertionError("decoded")

    monkeypatch.setattr(cv2, "imdecode", never)
    answer = client.post("/v1/remove", files=files | {name: BOMBS[kind]})
    assert (answer.status_code, answer.json()["error"]) == (413, "too_large")
    assert "megapixels" in answer.json()["detail"]


def test_limits_hold_for_json_too(client: TestClient, files: dict[str, bytes]) -> None:
    kind = {"content-type": "application/json"}
    for path in ("/v1/remove", "/api/v1/inpaint"):
        large = client.post(path, content=as_json(bytes(BYTES), b"x"), headers=kind)
        assert (large.status_code, large.json()["error"]) == (413, "too_large")
        bomb = client.post(path, content=as_json(BOMBS["png"], files["mask"]), headers=kind)
        assert (bomb.status_code, bomb.json()["error"]) == (413, "too_large")


def test_the_limit_of_pixels_is_exact(client: TestClient) -> None:
    for height, status in ((250, 200), (251, 413)):
        image, mask = np.zeros((height, 400, 3), np.uint8), np.zeros((height, 400), np.uint8)
        mask[:5, :5] = 255
        answer = client.post("/v1/remove", files={"image": encoded(image), "mask": encoded(mask)})
        assert answer.status_code == status


def test_no_upload_becomes_a_file(client: TestClient, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch) -> None:
    import tempfile

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("a file")

    for name in ("TemporaryFile", "NamedTemporaryFile", "SpooledTemporaryFile", "mkstemp"):
        monkeypatch.setattr(tempfile, name, never)
    form = {name: (f"../../{name}", content, "image/png") for name, content in files.items()}
    assert client.post("/v1/remove", files=form).status_code == 200
