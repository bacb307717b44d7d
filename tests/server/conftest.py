"""One application with the small real model, and one whose inpainter waits until it is told."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest
from starlette.testclient import TestClient

from iic_rt import Inpainter, InpaintOptions, InpaintResult
from iic_rt.result import Timings
from iic_rt.server import worker
from iic_rt.server.app import Application, create_app
from iic_rt.server.run import Server
from iic_rt.server.settings import ServerSettings

BASE = "http://localhost:8080"
OPTIONS = InpaintOptions(channel_order="bgr", grow=0, iterations=1)
MEGAPIXELS, BYTES = 0.1, 200_000


def open_small() -> Inpainter:
    return Inpainter(backend="onnxruntime", working_size=64, threads=1, options=OPTIONS)


def settings(**more: Any) -> ServerSettings:
    return ServerSettings(**{"max_megapixels": MEGAPIXELS, "max_bytes": BYTES} | more)


def encoded(image: np.ndarray, suffix: str = ".png") -> bytes:
    return cv2.imencode(suffix, image)[1].tobytes()


def until(met: Callable[[], Any], seconds: float = 20.0) -> Any:
    """What the function gives, as soon as it is true."""
    ends = time.monotonic() + seconds
    while not (found := met()):
        assert time.monotonic() < ends, "it did not come about"
        time.sleep(0.01)
    return found


@pytest.fixture(scope="session")
def image() -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (60, 70, 3), np.uint8)


@pytest.fixture(scope="session")
def mask() -> np.ndarray:
    mask = np.zeros((60, 70), np.uint8)
    mask[20:40, 20:40] = 255
    return mask


@pytest.fixture(scope="session")
def files(image: np.ndarray, mask: np.ndarray) -> dict[str, bytes]:
    """A form with an image and a mask."""
    return {"image": encoded(image), "mask": encoded(mask)}


@pytest.fixture(autouse=True, scope="session")
def _cold() -> Iterator[None]:
    """Workers warm up for no region: the first request may take its time here."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(worker, "WARM_SIDES", ())
        yield


@pytest.fixture(scope="session")
def app(_cold: None) -> Application:
    return create_app(open_small, settings(), options=OPTIONS)


@pytest.fixture(scope="session")
def client(app: Application) -> Iterator[TestClient]:
    with TestClient(app.asgi, base_url=BASE, raise_server_exceptions=False) as client:
        until(lambda: client.get("/readyz").status_code == 200)
        yield client


@contextmanager
def serving(app: Application) -> Iterator[str]:
    """The application behind a real socket, in a thread; gives its address."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = Server(app)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listener])))
    thread.start()
    try:
        until(lambda: server.started and app.pool.inpainter is not None and not app.pool.busy)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(20)
        assert not thread.is_alive()


@pytest.fixture(scope="session")
def served(_cold: None) -> Iterator[str]:
    """The address of a server with the small real model."""
    with serving(create_app(open_small, settings(), options=OPTIONS)) as url:
        yield url


class SlowInpainter:
    """Gives the image back when it is told to.

    Attributes:
        begun: images whose filling has begun.
        most_at_once: of them at the same time.
    """

    backend_name, precision, working_size, bundle = "slow", "fp32", 64, SimpleNamespace(name="none")

    def __init__(self) -> None:
        self.go = threading.Event()
        self.opened, self.closed = threading.Event(), threading.Event()
        self.open_slowly: threading.Event | None = None
        self.begun = self.at_once = self.most_at_once = 0
        self.error: BaseException | None = None
        self._lock = threading.Lock()

    def open(self) -> SlowInpainter:
        if self.open_slowly is not None:
            self.open_slowly.wait(20)
        self.opened.set()
        return self

    def warmup(self, sides: Any) -> None:
        pass

    def inpaint(self, image: np.ndarray, mask: np.ndarray, **_: Any) -> InpaintResult:
        with self._lock:
            self.begun += 1
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        self.go.wait(20)
        with self._lock:
            self.at_once -= 1
        if self.error is not None:
            raise self.error
        hole = (mask > 127).astype(np.uint8)
        confidence = np.ones(hole.shape, np.float32)
        return InpaintResult(
            image=image, hole=hole, confidence=confidence, iterations=1, regions=1, timings=Timings(total_ms=1.0)
        )

    def close(self) -> None:
        self.closed.set()


@pytest.fixture
def slow() -> SlowInpainter:
    return SlowInpainter()


def run(work: Any) -> Any:
    """Runs a coroutine to its end."""
    return asyncio.run(asyncio.wait_for(work, 30))
