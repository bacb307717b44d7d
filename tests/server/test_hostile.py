"""Hundreds of hostile uploads: each is refused, or is an image after all, and the server is as it was.

``IIC_RT_HOSTILE=10000 pytest tests/server/test_hostile.py -s`` sends as many and says what became of them.
"""

from __future__ import annotations

import gc
import os
import re
import socket
import time
from collections import Counter
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from iic_rt.server import connection, inbox
from iic_rt.server.app import Application, create_app
from iic_rt.server.gate import Gate
from tests.server.calls import BOUNDARY, form
from tests.server.conftest import OPTIONS, open_small, serving, settings, until
from tests.server.hostile import make_upload

COUNT = int(os.environ.get("IIC_RT_HOSTILE", "400"))
GROWTH = 24  # MiB by which memory may grow behind the first quarter
PEAK = 128  # MiB that any of them may take, of which each has a few kB

Served = tuple[Application, str]


@pytest.fixture(scope="module")
def hardened() -> Iterator[Served]:
    """A server whose patience is short."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inbox, "GRACE", 0.5)
        patch.setattr(inbox, "LINGER", 0.2)
        patch.setattr(connection, "PATIENCE", 0.3)
        app = create_app(open_small, settings(), options=OPTIONS)
        with serving(app) as url:
            yield app, urlsplit(url).netloc


def fill(address: str, files: dict[str, bytes]) -> int:
    client = HTTPConnection(address, timeout=20)
    client.request("POST", "/v1/remove", form(files), {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"})
    status = client.getresponse().status
    client.close()
    return status


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - it is no folder of files


def resident_mib() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE") / 2**20


def forget_peak() -> None:
    """From now on :func:`peak_mib` begins anew."""
    Path("/proc/self/clear_refs").write_text("5")


def peak_mib() -> float:
    """The most memory of this process that lay in RAM."""
    return int(re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) / 1024  # type: ignore[index]


def assert_as_before(app: Application, address: str, files: dict[str, bytes]) -> None:
    gate = app.asgi
    assert isinstance(gate, Gate)
    until(lambda: app.pool.under_way == 0 and app.pool._held == 0)
    assert app.pool.accepted == app.pool.answered
    until(lambda: gate._budget._held == 0)
    until(lambda: app.pool.busy == 0)
    assert app.pool.inpainter is not None
    assert fill(address, files) == 200


def test_hostile_uploads(hardened: Served, files: dict[str, bytes]) -> None:
    app, address = hardened
    assert fill(address, files) == 200
    statuses: Counter[int] = Counter()
    warm = resident_mib()
    forget_peak()
    began, slowest = time.perf_counter(), 0.0
    for number in range(COUNT):
        path, kind, body = make_upload(number)
        client = HTTPConnection(address, timeout=20)
        asked = time.perf_counter()
        client.request("POST", path, body, {"Content-Type": kind})
        answer = client.getresponse()
        content = answer.read()
        client.close()
        slowest = max(slowest, time.perf_counter() - asked)
        assert peak_mib() < warm + PEAK, number
        statuses[answer.status] += 1
        assert answer.status == 200 or 400 <= answer.status < 500, (number, answer.status, content[:500])
        assert answer.status == 200 or content.startswith(b'{"error":"'), number
        if number == COUNT // 4:
            gc.collect()
            warm = resident_mib()
    assert_as_before(app, address, files)
    gc.collect()
    grown = resident_mib() - warm
    print(f"\n{dict(sorted(statuses.items()))} in {time.perf_counter() - began:.1f} s, slowest {slowest * 1e3:.0f} ms")
    print(f"grown by {grown:.1f} MiB, at most by {peak_mib() - warm:.1f}; {app.pool.accepted} were decoded")
    assert statuses[400] > COUNT / 10
    assert statuses[413] > COUNT / 50
    assert statuses[200] < COUNT / 4
    assert grown < GROWTH


def raw(address: str, content: bytes) -> socket.socket:
    host, _, port = address.partition(":")
    client = socket.create_connection((host, int(port)), timeout=10)
    client.sendall(content)
    return client


def answer_to(client: socket.socket) -> bytes:
    """All that comes until the server closes."""
    found = b""
    while more := client.recv(65536):
        found += more
    return found


HEAD = f"POST /v1/remove HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary={BOUNDARY}\r\n"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", b""),  # a connection that says nothing
        (b"POST /v1/rem", b""),
        (HEAD.encode(), b""),  # a head without its end
        (f"{HEAD}Content-Length: 1000\r\n\r\nhalf".encode(), b"408"),
        (f"{HEAD}Transfer-Encoding: chunked\r\n\r\n5\r\nhalf".encode(), b"408"),
        (f"{HEAD}Content-Length: 99999999999\r\n\r\n".encode(), b"413"),
        (f"{HEAD}Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello".encode(), b"400"),
        (f"{HEAD}Content-Length: -5\r\n\r\n".encode(), b"400"),
        (f"{HEAD}Transfer-Encoding: chunked\r\n\r\nzzzz\r\n".encode(), b"4"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 17_000, b"4"),
        (b"GET /v1/info HTTP/1.1\r\n\r\n", b"400"),
        (b"GET /v1/info HTTP/1.0\r\n\r\n", b"403"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"400"),  # TLS
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"4"),
        (b"GET /\x00 HTTP/1.1\r\nHost: localhost\r\n\r\n", b"4"),
        (b"GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", b"404"),
        (b"GET /%00%ff%2e%2e/%0d%0aX:y HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", b"404"),
    ],
)
def test_hostile_connections_end(hardened: Served, content: bytes, expected: bytes) -> None:
    """Each is answered, or closed, though its client waits for ever."""
    client = raw(hardened[1], content)
    try:
        found = answer_to(client)
    except ConnectionResetError:
        found = b""
    if expected:
        assert re.match(rb"HTTP/1\.1 " + expected, found), found[:200]
    else:
        assert found == b""


def test_clients_that_go_in_the_middle_leave_nothing(hardened: Served, files: dict[str, bytes]) -> None:
    app, address = hardened
    body = form(files)
    whole = f"{HEAD}Content-Length: {len(body)}\r\n\r\n".encode() + body
    assert fill(address, files) == 200
    before = open_files()
    for part in (0.1, 0.5, 0.9, 1.0):
        for _ in range(8):
            raw(address, whole[: int(len(whole) * part)]).close()
    assert_as_before(app, address, files)
    until(lambda: open_files() <= before)


def _ask_on(client: socket.socket, ask: bytes) -> None:
    for _ in range(2000):
        client.sendall(ask)
        time.sleep(0.001)


def test_a_client_that_does_not_read_is_left(hardened: Served) -> None:
    """A long answer that nobody takes does not stay in memory."""
    app, address = hardened
    ask = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n"
    host, _, port = address.partition(":")
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.settimeout(10)
    client.connect((host, int(port)))
    with pytest.raises(OSError):  # noqa: PT011 - reset, or a pipe without an end
        _ask_on(client, ask)
    client.close()
    assert app.pool.under_way == 0
