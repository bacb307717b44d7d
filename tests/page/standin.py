"""A small server in place of the real one, for what that would never do on request: be busy, slow, wrong or gone."""

from __future__ import annotations

import json
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np

from iic_rt import Inpainter, InpaintOptions
from iic_rt.video.grabcut import grabcut_mask
from tests.video.scenes import background

PAGE = Path(__file__).parent.parent.parent / "iic_rt/server/page"
TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".json": "application/json"}
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; media-src 'self' blob:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "Permissions-Policy": "camera=(self)",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}
Answer = Literal["busy", "die", "refuse", "wait"]  # how a request is answered in place of what it asks for
LONGEST_WAIT = 20.0  # seconds


@dataclass
class Asked:
    """A request as the server got it."""

    path: str
    fields: dict[str, str] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    authorization: str | None = None

    def image(self, name: str = "image") -> np.ndarray:
        """A file, upright as the command reads it: uint8 [H, W, 3], BGR."""
        return np.asarray(cv2.imdecode(np.frombuffer(self.files[name], np.uint8), cv2.IMREAD_COLOR))

    def mask(self, name: str = "mask") -> np.ndarray:
        """bool [H, W]."""
        return self.image(name)[..., 0] > 127


class StandIn:
    """Serves the page and answers its requests; each entry of ``script`` is used up by one request that is posted."""

    def __init__(self, inpainter: Inpainter) -> None:
        self.inpainter = inpainter
        self.asked: list[Asked] = []
        self.script: list[Answer] = []
        self.token = ""
        self.go = threading.Event()  # ends the wait of requests that are to wait
        self.got = threading.Event()  # one of them is there
        self.gone = threading.Event()  # its client closed the connection
        self.streams = 0
        self.info: dict[str, Any] = {
            "version": "0",
            "limits": {"megapixels": 50, "bytes": 64_000_000},
            "kiosk": False,
            "idle_seconds": 60,
            "live": True,
            "token_required": False,
            "defaults": {"iterations": 2, "grow": 0},
        }
        self._lock = threading.Lock()
        self._connections: set[socket.socket] = set()
        self._server: ThreadingHTTPServer | None = None
        self._port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}/"

    def start(self) -> None:
        """Serves at the same port as before, if there was one."""
        site = self

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False
            allow_reuse_address = True

            def handle_error(self, *arguments: Any) -> None:
                """Clients that go away are part of the tests."""

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1
            disable_nagle_algorithm = True

            def setup(self) -> None:
                super().setup()
                site._connections.add(self.connection)

            def finish(self) -> None:
                site._connections.discard(self.connection)
                super().finish()

            def do_GET(self) -> None:
                site._get(self)

            def do_POST(self) -> None:
                site._post(self)

            def do_PUT(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                site.asked.append(Asked(self.path, files={"mask": body}))
                send(self, b"", "text/plain")

            def log_message(self, *arguments: Any) -> None:
                """Says nothing."""

        self._server = Server(("127.0.0.1", self._port), Handler)
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Is gone."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
        for connection in list(self._connections):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _get(self, request: BaseHTTPRequestHandler) -> None:
        path = request.path.partition("?")[0]
        if path == "/v1/info":
            send(request, json.dumps(self.info).encode(), "application/json")
        elif path == "/live/stats":
            stats = {"put": 9, "filled": 7, "late": 1, "failed": 0, "dropped": {"newer": 1}, "fps": 24.5}
            send(request, json.dumps(stats | {"latency_p50_ms": 31.2}).encode(), "application/json")
        elif path == "/live/stream.mjpeg":
            self._stream(request)
        else:
            file = PAGE / ("index.html" if path in ("/", "/live") else Path(path).name)
            send(request, file.read_bytes(), TYPES[file.suffix], headers=HEADERS)

    def _stream(self, request: BaseHTTPRequestHandler) -> None:
        """A few frames, after which the connection breaks."""
        self.streams += 1
        request.send_response(200)
        request.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        request.send_header("Connection", "close")
        request.end_headers()
        for i in range(12):
            frame = np.roll(background(3, (120, 160)), i, 1)
            jpeg = cv2.imencode(".jpg", frame)[1].tobytes()
            head = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(jpeg)
            request.wfile.write(head + jpeg + b"\r\n")
            request.wfile.flush()
            if self.go.wait(0.05):
                return

    def _post(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers["Content-Length"]))
        asked = take_apart(request.path, request.headers["Content-Type"], body)
        asked.authorization = request.headers["Authorization"]
        self.asked.append(asked)
        answer = self.script.pop(0) if self.script else None
        if self.token and asked.authorization != f"Bearer {self.token}":
            send_error(request, 401, "token", "a token is needed")
        elif answer == "busy":
            send_error(request, 429, "busy", "all workers have enough to do", {"Retry-After": "1"})
        elif answer == "refuse":
            send_error(request, 400, "bad_input", "the mask marks nothing that could be removed")
        elif answer == "die":  # in the middle of its answer
            request.close_connection = True
            send(request, b"half of", "image/png", headers={"Content-Length": "1000"})
        elif answer == "wait" and self._client_goes(request):
            request.close_connection = True
        else:
            self._fill(request, asked)

    def _client_goes(self, request: BaseHTTPRequestHandler) -> bool:
        self.got.set()
        request.connection.settimeout(0.02)
        for _ in range(int(LONGEST_WAIT / 0.02)):
            if self.go.is_set():
                request.connection.settimeout(None)
                return False
            try:
                if request.connection.recv(1) == b"":
                    self.gone.set()
                    return True
            except TimeoutError:
                continue
            except OSError:
                self.gone.set()
                return True
        return True

    def _fill(self, request: BaseHTTPRequestHandler, asked: Asked) -> None:
        image = asked.image()
        if asked.path == "/v1/object":
            mask = grabcut_mask(image, [float(value) for value in asked.fields["box"].split(",")])
            send(request, cv2.imencode(".png", mask)[1].tobytes(), "image/png")
            return
        grow = asked.fields["grow"]
        options = InpaintOptions(
            channel_order="bgr",
            iterations=int(asked.fields["iterations"]),
            grow="auto" if grow == "auto" else int(grow),
            outputs=("confidence",),
        )
        extra = {name: asked.mask(name) for name in ("avoid", "prefer") if name in asked.files}
        with self._lock:
            result = self.inpainter.inpaint(image, asked.mask(), options=options, **extra)
        assert result.confidence is not None
        own = {b"\x89P": "png", b"\xff\xd8": "jpeg"}.get(asked.files["image"][:2], "webp")
        kind = asked.fields.get("format", own)
        content = cv2.imencode(f".{kind}", result.image)[1].tobytes()
        outputs = asked.fields.get("outputs", "").split(",")
        if outputs == [""]:
            headers = {"X-Iterations": str(result.iterations), "X-Regions": "1", "X-Time-Ms": "12.5"}
            send(request, content, f"image/{kind}", headers=headers)
            return
        parts = {f'name="image"; filename="image"\r\nContent-Type: image/{kind}': content}
        if "confidence" in outputs:
            grey = cv2.imencode(".png", np.rint(result.confidence * 255).astype(np.uint8))[1].tobytes()
            parts['name="confidence"; filename="confidence"\r\nContent-Type: image/png'] = grey
        if "iterations" in outputs:
            strip = cv2.imencode(".jpg", np.concatenate([image, result.image], 1))[1].tobytes()
            parts['name="iterations"; filename="iterations"\r\nContent-Type: image/jpeg'] = strip
        mean = float(result.confidence[result.hole > 0].mean()) if result.hole.any() else 1.0
        info = {"iterations": result.iterations, "regions": result.regions, "time_ms": 12.5, "confidence": mean}
        parts['name="info"\r\nContent-Type: application/json'] = json.dumps(info | {"warnings": []}).encode()
        body = b"".join(
            b"--edge\r\nContent-Disposition: form-data; %s\r\n\r\n%s\r\n" % (head.encode(), content)
            for head, content in parts.items()
        )
        send(request, body + b"--edge--\r\n", "multipart/form-data; boundary=edge")


def send(
    request: BaseHTTPRequestHandler,
    content: bytes,
    kind: str,
    *,
    status: int = 200,
    headers: dict[str, str] | None = None,
) -> None:
    request.send_response(status)
    for name, value in ({"Content-Type": kind, "Content-Length": str(len(content))} | (headers or {})).items():
        request.send_header(name, value)
    request.end_headers()
    request.wfile.write(content)


def send_error(
    request: BaseHTTPRequestHandler, status: int, kind: str, detail: str, headers: dict[str, str] | None = None
) -> None:
    content = json.dumps({"error": kind, "detail": detail}).encode()
    send(request, content, "application/json", status=status, headers=headers)


def take_apart(path: str, content_type: str, body: bytes) -> Asked:
    """A form's fields and files."""
    message = BytesParser().parsebytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body)
    asked = Asked(path)
    for part in message.walk():
        name = part.get_param("name", header="Content-Disposition")
        if name is None:
            continue
        content = part.get_payload(decode=True)
        assert isinstance(content, bytes)
        if part.get_filename() is None:
            asked.fields[str(name)] = content.decode()
        else:
            asked.files[str(name)] = content
    return asked
