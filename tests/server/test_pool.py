"""The queue: who waits, who is turned away, who is forgotten, and what the end loses."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from typing import Any

import numpy as np
import pytest

from iic_rt.errors import BackendError, InputError
from iic_rt.server.app import Application, create_app
from tests.server.calls import Call, form, running, until
from tests.server.conftest import SlowInpainter, run, settings


def make(slow: SlowInpainter, **more: Any) -> Application:
    return create_app(slow.open, settings(**more))


def test_a_full_queue_is_answered_with_the_time_to_wait(slow: SlowInpainter, files: dict[str, bytes]) -> None:
    async def work() -> None:
        async with running(make(slow, workers=1, queue=2)) as app:
            calls = [Call(app, body=form(files)) for _ in range(3)]
            await until(lambda: app.pool.accepted == 3)
            app.pool._service = 4.2
            more = Call(app, body=form(files))
            assert (await more.answer())["error"] == "busy"
            assert more.status == 429
            assert more.headers["retry-after"] == "13"  # three before it, of 4.2 s each
            slow.go.set()
            for call in calls:
                await call.answer()
                assert call.status == 200
            again = Call(app, body=form(files))
            await again.answer()
            assert again.status == 200
            assert app.pool.accepted == app.pool.answered == 4
            assert app.pool._service < 4.2

    run(work())


@pytest.mark.parametrize("workers", [1, 2])
def test_as_many_at_once_as_there_are_workers_and_one_more_decoded(
    slow: SlowInpainter, files: dict[str, bytes], workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from iic_rt.server import fill

    decoded: list[int] = []
    decode = fill.decode_images
    monkeypatch.setattr(fill, "decode_images", lambda *a, **k: (decoded.append(1), decode(*a, **k))[1])

    async def work() -> None:
        async with running(make(slow, workers=workers, queue=8)) as app:
            calls = [Call(app, body=form(files)) for _ in range(6)]
            await until(lambda: app.pool.accepted == 6 and slow.begun == workers and len(decoded) == workers + 1)
            await asyncio.sleep(0.05)
            assert (slow.begun, len(decoded)) == (workers, workers + 1)
            assert app.pool.busy == workers
            slow.go.set()
            for call in calls:
                await call.answer()
            assert slow.most_at_once <= workers
            await until(lambda: app.pool.busy == 0)

    run(work())


def test_a_client_that_goes_while_it_waits_is_forgotten(slow: SlowInpainter, files: dict[str, bytes]) -> None:
    async def work() -> None:
        async with running(make(slow, workers=1, queue=8)) as app:
            first = Call(app, body=form(files))
            await until(lambda: slow.begun == 1)
            second, third = (Call(app, body=form(files)) for _ in range(2))
            await until(lambda: app.pool.accepted == 3)
            third.go()
            await third.task
            second.go()
            await second.task
            assert third.status == second.status == 499
            assert app.pool._held == 1
            slow.go.set()
            await first.answer()
            assert first.status == 200
            last = Call(app, body=form(files))
            await last.answer()
            assert last.status == 200
            assert slow.begun == 2  # nothing was filled for those who went

    run(work())


def test_a_client_that_goes_while_it_is_served_does_not_free_the_worker_early(
    slow: SlowInpainter, files: dict[str, bytes]
) -> None:
    async def work() -> None:
        async with running(make(slow, workers=1, queue=8)) as app:
            first = Call(app, body=form(files))
            await until(lambda: slow.begun == 1)
            first.go()
            await first.task
            second = Call(app, body=form(files))
            await until(lambda: app.pool.accepted == 2)
            await asyncio.sleep(0.05)
            assert slow.begun == 1
            slow.go.set()
            await second.answer()
            assert second.status == 200
            assert slow.most_at_once == 1

    run(work())


def test_a_client_that_goes_before_all_is_sent(slow: SlowInpainter, files: dict[str, bytes]) -> None:
    async def work() -> None:
        async with running(make(slow)) as app:
            call = Call(app)
            call.send(form(files)[:500])
            await until(lambda: app.pool.under_way == 1)
            call.go()
            await call.task
            assert call.status == 499
            assert (app.pool.under_way, app.pool.accepted) == (0, 0)

    run(work())


def test_while_it_starts_and_while_it_ends(slow: SlowInpainter, files: dict[str, bytes]) -> None:
    slow.open_slowly = threading.Event()

    async def ask(app: Application, path: str, body: bytes | None = b"", method: str = "GET") -> Call:
        call = Call(app, path, body=body, method=method)
        call.said = await call.answer()  # type: ignore[attr-defined]
        return call

    async def work() -> None:
        async with running(make(slow), ready=False) as app:
            assert (await ask(app, "/healthz")).status == 200
            info = await ask(app, "/v1/info")
            assert info.said["backend"] is None  # type: ignore[attr-defined]
            for path, method in (("/readyz", "GET"), ("/v1/remove", "POST"), ("/api/v1/inpaint", "POST")):
                early = await ask(app, path, form(files), method)
                assert (early.status, early.said["error"]) == (503, "starting")  # type: ignore[attr-defined]
                assert int(early.headers["retry-after"]) > 0
            assert (await ask(app, "/api/v1/server-config")).status == 200
            slow.open_slowly.set()
            await until(lambda: app.pool._state == "ready")
            assert (await ask(app, "/readyz")).status == 200

            waiting = [Call(app, body=form(files)) for _ in range(3)]
            half = Call(app)
            half.send(form(files)[:500])
            await until(lambda: app.pool.under_way == 4 and slow.begun == 1)
            app.drain()
            late = await ask(app, "/v1/remove", form(files), "POST")
            assert (late.status, late.said["error"]) == (503, "draining")  # type: ignore[attr-defined]
            assert late.headers["connection"] == "close"
            assert (await ask(app, "/readyz")).status == 503
            assert (await ask(app, "/healthz")).status == 200
            half.send(form(files)[500:], more=False)  # it began before the end was known
            slow.go.set()
            for call in (*waiting, half):
                await call.answer()
                assert call.status == 200
            assert app.pool.under_way == 0
            assert app.pool.accepted == app.pool.answered == 4
        assert slow.closed.is_set()

    run(work())


def test_an_end_during_the_start(slow: SlowInpainter) -> None:
    async def work() -> None:
        async with running(make(slow), ready=False) as app:
            app.drain()
            await until(slow.opened.is_set)
            await asyncio.sleep(0.02)
            assert app.pool.draining

    run(work())
    assert slow.closed.is_set()


def test_a_start_that_fails_is_told() -> None:
    def fail() -> Any:
        raise BackendError("no such backend")

    async def work() -> None:
        async with running(create_app(fail, settings(workers=2)), ready=False) as app:
            await until(lambda: app.failure is not None)
            assert str(app.failure) == "no such backend"

    run(work())


def test_wrong_input_keeps_the_inpainter_and_anything_else_replaces_it(
    slow: SlowInpainter, files: dict[str, bytes]
) -> None:
    slow.go.set()
    opened: list[int] = []

    def open_one() -> Any:
        opened.append(1)
        return slow

    async def work() -> None:
        async with running(create_app(open_one, settings())) as app:
            for error, status, kind, count in (
                (InputError("the mask is wrong"), 400, b"bad_input", 1),
                (BackendError("the device is gone"), 500, b"internal", 1),
                (MemoryError(), 500, b"internal", 2),
                (None, 200, b"PNG", 3),
            ):
                slow.error = error
                call = Call(app, body=form(files))
                await asyncio.wait({call.task})  # a server logs what it raises
                assert call.status == status
                assert kind in call.body
                assert b"device" not in call.body
                assert len(opened) == count
                assert call.headers["x-content-type-options"] == "nosniff"

    run(work())


def test_nothing_of_a_request_is_kept(slow: SlowInpainter, files: dict[str, bytes]) -> None:
    slow.go.set()
    seen: list[weakref.ref[Any]] = []
    inpaint = slow.inpaint

    def watched(image: np.ndarray, *rest: Any, **more: Any) -> Any:
        seen.append(weakref.ref(image))
        return inpaint(image, *rest, **more)

    slow.inpaint = watched  # type: ignore[method-assign]

    async def work() -> None:
        async with running(make(slow)) as app:
            for _ in range(2):
                await Call(app, body=form(files)).answer()
            await until(lambda: app.pool.busy == 0)
            await asyncio.sleep(0.05)
            gc.collect()
            assert [ref() for ref in seen] == [None, None]

    run(work())
