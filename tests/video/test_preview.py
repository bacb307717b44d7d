from __future__ import annotations

import http.client
import socket
import threading
import time

import cv2
import numpy as np
import pytest

from iic_rt.errors import OutputError
from iic_rt.video.preview import Preview
from tests.video.clips import picture


def jpegs(port: int, count: int) -> list[np.ndarray]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/")
    answer = connection.getresponse()
    assert answer.getheader("Content-Type") == "multipart/x-mixed-replace; boundary=frame"
    found = []
    for _ in range(count):
        assert answer.readline().strip() == b"--frame"
        assert answer.readline().strip() == b"Content-Type: image/jpeg"
        length = int(answer.readline().split(b":")[1])
        answer.readline()
        image = cv2.imdecode(np.frombuffer(answer.read(length), np.uint8), cv2.IMREAD_COLOR)
        assert image is not None
        found.append(image)
        answer.readline()
    connection.close()
    return found


def port_of(preview: Preview) -> int:
    return int(preview.url.rstrip("/").rsplit(":", 1)[1])


def shown_all_the_time(preview: Preview, done: threading.Event) -> threading.Thread:
    def run() -> None:
        i = 0
        while not done.is_set():
            preview.show(picture(i % 3))
            i += 1
            time.sleep(0.005)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    return thread


def test_frames_are_served_to_several() -> None:
    done = threading.Event()
    with Preview(0) as preview:
        thread = shown_all_the_time(preview, done)
        for _ in range(2):
            images = jpegs(port_of(preview), 3)
            assert all(np.abs(images[0].astype(int) - picture(i)).mean() < 40 for i in range(3))
            assert images[0].shape == (64, 96, 3)
        done.set()
        thread.join()


def test_who_looks_later_sees_the_newest() -> None:
    with Preview(0) as preview:
        preview.show(np.zeros((40, 50), np.uint8))
        preview.show(np.full((40, 50), 200, np.uint8))
        (image,) = jpegs(port_of(preview), 1)
        assert int(image[20, 20, 0]) == 200


def test_a_client_that_takes_nothing_holds_nobody_up() -> None:
    rng = np.random.default_rng(0)
    with Preview(0) as preview, socket.create_connection(("127.0.0.1", port_of(preview))) as idle:
        idle.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        for _ in range(30):  # far more than the buffers of a connection hold
            preview.show(rng.integers(0, 256, (600, 800, 3), np.uint8))
            time.sleep(0.01)
        (image,) = jpegs(port_of(preview), 1)
        assert image.shape == (600, 800, 3)


def test_strangers_and_other_paths_are_refused() -> None:
    with Preview(0) as preview:
        preview.show(picture(0))
        for path, host, status in (("/", "evil.example", 403), ("/x", "127.0.0.1", 404), ("/", "", 403)):
            connection = http.client.HTTPConnection("127.0.0.1", port_of(preview), timeout=10)
            connection.putrequest("GET", path, skip_host=True)
            connection.putheader("Host", host)
            connection.endheaders()
            assert connection.getresponse().status == status
            connection.close()


def test_it_listens_on_this_machine_alone_and_a_taken_port_is_named() -> None:
    with Preview(0) as preview:
        assert preview.url.startswith("http://127.0.0.1:")
        with pytest.raises(OutputError, match="name another port"):
            Preview(port_of(preview))
    with pytest.raises(OutputError, match="name another port"):
        Preview(70000)
