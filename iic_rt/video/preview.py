"""The newest frame in a browser, on this machine alone."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from iic_rt.errors import OutputError

__all__ = ["Preview"]

HOST = "127.0.0.1"
BOUNDARY = b"frame"
QUALITY = 80  # of the JPEGs
LONGEST_WAIT = 5.0  # seconds until a client that takes nothing is left


class Preview:
    """Serves motion JPEG over HTTP. Each client gets the newest frame whenever it has taken the one before.

    Frames are encoded only while somebody looks, and a client that is slow misses frames and holds nobody up.

    Args:
        port: to listen at, 0 for any that is free.

    Attributes:
        url: to open in a browser.

    Raises:
        OutputError: the port is taken.
    """

    def __init__(self, port: int) -> None:
        self._changed = threading.Condition()
        self._image: NDArray[np.uint8] | None = None
        self._number = 0
        self._closed = False
        try:
            self._server = ThreadingHTTPServer((HOST, port), self._handler())
        except (OSError, OverflowError) as error:
            raise OutputError(f"cannot show frames at port {port}: {error}; name another port") from error
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self.url = f"http://{HOST}:{self._server.server_address[1]}/"
        self._thread = threading.Thread(target=self._server.serve_forever, name="iic-rt preview", daemon=True)
        self._thread.start()

    def show(self, image: NDArray[np.uint8]) -> None:
        """The newest frame, uint8 [H, W] or [H, W, C], BGR; it must not be changed afterwards."""
        with self._changed:
            self._image = image
            self._number += 1
            self._changed.notify_all()

    def close(self) -> None:
        """Ends all connections."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Preview:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _next(self, seen: int) -> tuple[int, NDArray[np.uint8]] | None:
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._number > seen)
            if self._closed or self._image is None:
                return None
            return self._number, self._image

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        preview = self

        class Handler(BaseHTTPRequestHandler):
            timeout = LONGEST_WAIT

            def do_GET(self) -> None:
                # A page of another site that resolves its name to this address must not see the camera.
                host = self.headers.get("Host", "").rsplit(":", 1)[0]
                if host not in (HOST, "localhost"):
                    self.send_error(403)
                    return
                if self.path != "/":
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Type", f"multipart/x-mixed-replace; boundary={BOUNDARY.decode()}")
                self.send_header("Cache-Control", "no-store")
                self.end_headers()
                seen = 0
                try:
                    while (found := preview._next(seen)) is not None:
                        seen, image = found
                        colours = image if image.ndim == 2 else image[..., :3]
                        done, jpeg = cv2.imencode(".jpg", colours, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
                        if done:
                            body = jpeg.tobytes()
                            head = b"--%s\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n"
                            self.wfile.write(head % (BOUNDARY, len(body)) + body + b"\r\n")
                except OSError:  # the client is gone or takes nothing
                    pass

            def log_message(self, *arguments: Any) -> None:
                """Says nothing: standard error belongs to the command."""

        return Handler
