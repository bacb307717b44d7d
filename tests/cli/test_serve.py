"""The server as a command: what it is told, and how it ends."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import pytest

from iic_rt.cli.main import main
from iic_rt.image_io import write_image
from iic_rt.server import run
from iic_rt.server.app import Application
from tests.server.calls import BOUNDARY, form
from tests.server.conftest import encoded, until
from tests.test_decoder_noise import damaged_jpeg

ROOT = Path(__file__).parents[2]
TOKEN = "a-token-of-some-length"
FORM = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}


@pytest.fixture(scope="module")
def body() -> bytes:
    """An image and a mask, as they go over the wire."""
    mask = np.zeros((60, 70), np.uint8)
    mask[20:40, 20:40] = 255
    image = np.random.default_rng(5).integers(0, 256, (60, 70, 3), np.uint8)
    return form({"image": encoded(image), "mask": encoded(mask)})


@dataclass
class Served:
    """A server in a process of its own."""

    process: subprocess.Popen[str]
    address: str
    log: TextIO

    def end(self, number: int = signal.SIGTERM) -> str:
        """Tells it to end, and gives all that it logged."""
        self.process.send_signal(number)
        assert self.process.wait(20) == 0
        self.log.seek(0)
        return self.log.read()


@contextmanager
def served(*arguments: str) -> Iterator[Served]:
    """A server that is ready."""
    command = [sys.executable, "-m", "tests.cli.small_server", "--port", "0", *arguments]
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True)
        assert process.stdout is not None
        try:
            said = process.stdout.readline()
            assert said.startswith("iic-rt: http://127.0.0.1:")
            address = said.removeprefix("iic-rt: http://").strip()
            until(lambda: _status(address, "/readyz") == 200)
            yield Served(process, address, log)
        finally:
            process.kill()
            process.communicate()


def _status(address: str, path: str) -> int:
    try:
        return int(urllib.request.urlopen(f"http://{address}{path}", timeout=10).status)
    except urllib.error.HTTPError as error:
        return error.code


def connect(address: str) -> socket.socket:
    host, _, port = address.partition(":")
    return socket.create_connection((host, int(port)), timeout=20)


class Load(threading.Thread):
    """A client that asks again and again, and counts what becomes of it."""

    def __init__(self, address: str, body: bytes) -> None:
        super().__init__()
        self._address, self._body = address, body
        self.statuses: Counter[int] = Counter()
        self.unanswered = 0
        self.over = False

    def run(self) -> None:
        client = HTTPConnection(self._address, timeout=20)
        while not self.over:
            try:
                client.request("POST", "/v1/remove", self._body, FORM)
            except OSError:  # it is gone
                return
            try:
                answer = client.getresponse()
                answer.read()
            except (OSError, HTTPException):
                self.unanswered += 1
                return
            self.statuses[answer.status] += 1


def test_sigterm_under_load_loses_nothing(body: bytes) -> None:
    with served("--queue", "4", "--grow", "0") as server:
        clients = [Load(server.address, body) for _ in range(8)]
        for client in clients:
            client.start()
        until(lambda: sum(client.statuses[200] for client in clients) > 10)
        said = server.end()
        for client in clients:
            client.over = True
            client.join()
    statuses = sum((client.statuses for client in clients), Counter())
    assert set(statuses) == {200, 429, 503}
    ended = re.search(r"ended: (\d+) requests accepted, (\d+) answered", said)
    assert ended, said
    accepted, answered = map(int, ended.groups())
    assert accepted == answered == statuses[200]
    assert "Traceback" not in said


def test_damaged_images_are_one_line_of_the_log_each() -> None:
    mask = np.zeros((300, 400), np.uint8)
    mask[100:140, 100:140] = 255
    damaged = form({"image": damaged_jpeg(), "mask": encoded(mask)})
    with served("--grow", "0") as server:
        client = HTTPConnection(server.address, timeout=20)
        for _ in range(3):
            client.request("POST", "/v1/remove", damaged, FORM)
            answer = client.getresponse()
            answer.read()
            assert answer.status == 200
        lines = [line for line in server.end().splitlines() if "JPEG" in line]
    assert len(lines) == 3
    for line in lines:
        assert "the image may be damaged, and parts of it wrong: Corrupt JPEG data" in line


def test_an_idle_server_ends_at_once_and_a_second_signal_ends_a_busy_one() -> None:
    with served() as server:
        idle = HTTPConnection(server.address)  # a connection that is kept open does not hold it up
        idle.request("GET", "/healthz")
        idle.getresponse().read()
        began = time.monotonic()
        server.end(signal.SIGINT)
        assert time.monotonic() - began < 5
        idle.close()
    with served() as server:
        silent = connect(server.address)
        head = f"POST /v1/remove HTTP/1.1\r\nHost: localhost\r\nContent-Type: {FORM['Content-Type']}\r\n"
        silent.sendall(f"{head}Content-Length: 1000\r\n\r\n".encode())
        time.sleep(0.2)
        server.process.send_signal(signal.SIGTERM)
        until(lambda: _status(server.address, "/readyz") == 503)
        assert server.process.poll() is None  # it waits for the body that has begun
        server.end()
        silent.close()


def test_a_client_that_goes_frees_its_place(body: bytes) -> None:
    head = f"POST /v1/remove HTTP/1.1\r\nHost: localhost\r\nContent-Type: {FORM['Content-Type']}\r\n"
    whole = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    with served("--queue", "50") as server:
        clients = [connect(server.address) for _ in range(20)]
        for client in clients:
            client.sendall(whole)
        for client in clients:
            client.close()
        last = HTTPConnection(server.address, timeout=20)
        last.request("POST", "/v1/remove", body, FORM)
        assert last.getresponse().status == 200
        metrics = urllib.request.urlopen(f"http://{server.address}/metrics").read().decode()
        filled = float(re.search(r'^iic_rt_stage_seconds_count\{stage="fill"\} (\S+)', metrics, re.MULTILINE)[1])  # type: ignore[index]
        assert filled < 10
        assert 'iic_rt_requests_total{route="/v1/remove",status="499"}' in metrics
        said = server.end()
    assert "Traceback" not in said
    assert said.count("POST /v1/remove 499") > 10


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Application, dict[str, Any]]]:
    """What would have been served."""
    found: list[tuple[Application, dict[str, Any]]] = []
    monkeypatch.setattr(run, "run_server", lambda app, **more: found.append((app, more)))
    return found


def test_what_it_is_told(started: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from iic_rt.server import app as module

    seen: list[Any] = []
    create = module.create_app
    monkeypatch.setattr(module, "create_app", lambda *a, **k: (seen.append((a, k)), create(*a, **k))[1])
    (tmp_path / "token").write_text(f"{TOKEN}\n")
    arguments = "--host 0.0.0.0 --port 81 --workers 2 --queue 5 --allow-host a.example b.example --kiosk --idle 90"
    more = "--allow-origin https://c.example --max-megapixels 12 --max-bytes 1000 --grow 3 --iterations 2 --no-upsample"
    told = [*arguments.split(), *more.split(), "--token-file", str(tmp_path / "token"), "--backend", "onnxruntime"]
    assert main(["serve", *told]) == 0
    ((app, where),) = started
    assert where == {"host": "0.0.0.0", "port": 81}
    ((open_inpainter, settings), made) = seen[0]
    assert (settings.workers, settings.queue, settings.token) == (2, 5, TOKEN)
    assert settings.hosts == ("a.example", "b.example")
    assert settings.origins == ("https://c.example",)
    assert (settings.max_megapixels, settings.max_bytes) == (12, 1000)
    assert (settings.kiosk, settings.idle_seconds) == (True, 90)
    options = made["options"]
    assert (options.grow, options.iterations, options.upsample, options.channel_order) == (3, 2, False, "bgr")
    assert open_inpainter.keywords["backend"] == "onnxruntime"
    assert open_inpainter.keywords["threads"] == max(1, len(os.sched_getaffinity(0)) // 2)
    assert app.live is None


def test_a_live_view(started: list[Any], tmp_path: Path) -> None:
    for i in range(3):
        write_image(tmp_path / f"{i}.png", np.full((30, 40, 3), i, np.uint8))
    write_image(tmp_path.parent / "mask.png", np.full((30, 40), 255, np.uint8))
    assert main(["serve", "--live", str(tmp_path), "--mask", str(tmp_path.parent / "mask.png")]) == 0
    view = started[0][0].live
    assert view._open_inpainter.keywords["options"].iterations == 1
    assert view._open_reader().facts.width == 40
    assert view._open_mask().mask(np.zeros((30, 40, 3), np.uint8), 0, 0.0) is not None


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--token-file", "nothing"], "the token file nothing cannot be read"),
        (["--mask", "motion"], "--mask is for --live, which is missing"),
        (["--live", "nothing.mp4"], "nothing.mp4 does not exist"),
        (["--allow-origin", "example.org"], "is no origin"),
        (["--host", "256.1.1.1", "--port", "0"], "cannot listen at 256.1.1.1:0"),
        (["--bundle", "nothing", "--port", "0"], "does not exist"),
    ],
)
def test_wrong_arguments_are_one_line(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", *arguments]) == 1
    said = capsys.readouterr()
    assert message in said.err
    assert "Traceback" not in said.err


def test_a_port_that_is_taken(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["serve", "--port", str(port)]) == 1
    assert f"cannot listen at 127.0.0.1:{port}" in capsys.readouterr().err


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for name in [name for name in sys.modules if name.startswith("iic_rt.server")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "fastapi", None)
    assert main(["serve"]) == 1
    assert "pip install 'iic-rt[server]'" in capsys.readouterr().err
