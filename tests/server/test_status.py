"""What the server says of itself, its pages and its reference."""

from __future__ import annotations

import logging
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from iic_rt import __version__
from iic_rt.server import pages
from iic_rt.server.app import create_app
from tests.server.conftest import BASE, BYTES, MEGAPIXELS, SlowInpainter, settings

TOKEN = "a-token-of-some-length"


def test_info(client: TestClient) -> None:
    assert client.get("/v1/info").json() == {
        "version": __version__,
        "backend": "onnxruntime",
        "precision": "fp32",
        "bundle": "edge",
        "working_size": 64,
        "limits": {"megapixels": MEGAPIXELS, "bytes": BYTES},
        "kiosk": False,
        "idle_seconds": 60.0,
        "live": False,
        "token_required": False,
        "defaults": {"iterations": 1, "grow": 0},
    }


def test_health(client: TestClient) -> None:
    for path, status in (("/healthz", "ok"), ("/readyz", "ready")):
        assert client.get(path).json() == {"status": status}
        assert client.head(path).status_code == 200


def test_errors_of_addresses_and_methods(client: TestClient) -> None:
    for method, path, status, kind in (
        ("GET", "/nothing", 404, "not_found"),
        ("GET", "/page/../app.py", 404, "not_found"),
        ("GET", "/page/%2e%2e%2fapp.py", 404, "not_found"),
        ("GET", "/live", 404, "not_found"),
        ("GET", "/live/stats", 404, "not_found"),
        ("GET", "/v1/remove", 405, "method"),
        ("DELETE", "/v1/info", 405, "method"),
    ):
        answer = client.request(method, path)
        assert (answer.status_code, answer.json()["error"]) == (status, kind), path


def test_metrics_have_no_label_of_a_client(client: TestClient, files: dict[str, bytes]) -> None:
    client.post("/v1/remove", files=files)
    client.get("/some-name-of-a-client?token=secret")
    client.request("BREW", "/v1/info")
    text = client.get("/metrics").text
    assert "some-name" not in text
    assert "secret" not in text
    assert "BREW" not in text
    assert re.search(r'^iic_rt_requests_total\{route="/v1/remove",status="200"\} \d', text, re.MULTILINE)
    assert re.search(r'^iic_rt_requests_total\{route="none",status="404"\} \d', text, re.MULTILINE)
    assert re.search(r"^iic_rt_queue_length 0\.0", text, re.MULTILINE)
    assert re.search(r"^iic_rt_workers 1\.0", text, re.MULTILINE)
    assert re.search(r"^iic_rt_workers_busy 0\.0", text, re.MULTILINE)
    assert re.search(r"^iic_rt_megapixels_total \d", text, re.MULTILINE)
    for stage in ("wait", "decode", "fill", "encode"):
        assert re.search(rf'^iic_rt_stage_seconds_count\{{stage="{stage}"\}} [1-9]', text, re.MULTILINE)


def test_the_log_says_routes_and_nothing_of_a_client(
    client: TestClient, files: dict[str, bytes], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "iic_rt.server")
    client.post("/v1/remove?name=secret", files={"image": ("secret.png", files["image"]), "mask": files["mask"]})
    client.get("/secret?name=secret")
    client.get("/page/secret")
    client.get("/healthz")
    lines = [record.getMessage() for record in caplog.records if record.name == "iic_rt.server"]
    assert re.fullmatch(r"testclient POST /v1/remove 200 \d+\.\d ms", lines[0])
    assert re.fullmatch(r"testclient GET none 404 \d+\.\d ms", lines[1])
    assert re.fullmatch(r"testclient GET /page/\{name\} 404 \d+\.\d ms", lines[2])
    assert len(lines) == 3  # what is polled is not told
    assert "secret" not in caplog.text


class Page(HTMLParser):
    """Collects what a page has."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))


def test_the_reference_needs_no_script_and_no_other_server(client: TestClient) -> None:
    answer = client.get("/docs")
    page = Page()
    page.feed(answer.text)
    assert "form-action 'self'" in answer.headers["content-security-policy"]
    assert not [tag for tag, _ in page.tags if tag in ("script", "style", "img", "iframe")]
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on") or name == "style"]
    links = {attributes["href"] for tag, attributes in page.tags if tag in ("link", "a")}
    assert links == {"/docs.css", "/openapi.json"}
    assert client.get("/docs.css").headers["content-type"].startswith("text/css")
    forms = {attributes["action"] for tag, attributes in page.tags if tag == "form"}
    assert {"/v1/remove", "/v1/object", "/api/v1/inpaint"} <= forms
    assert client.get("/openapi.json").json()["paths"].keys() >= {"/v1/remove", "/api/v1/server-config"}


def test_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slow: SlowInpainter) -> None:
    for name in ("index.html", "app.js", "style.css", "words.json", "notes.txt"):
        (tmp_path / name).write_text(name)
    monkeypatch.setattr(pages, "FOLDER", tmp_path)
    with TestClient(create_app(slow.open, settings()).asgi, base_url=BASE) as client:
        (tmp_path / "later.js").write_text("later")
        for path, kind in (
            ("/", "text/html"),
            ("/?kiosk", "text/html"),
            ("/page/app.js", "text/javascript"),
            ("/page/style.css", "text/css"),
            ("/page/words.json", "application/json"),
        ):
            answer = client.get(path)
            assert answer.status_code == 200, path
            assert answer.headers["content-type"].startswith(kind)
            assert answer.headers["cache-control"] == "no-cache"
            assert answer.headers["permissions-policy"] == "camera=(self)"
            policy = answer.headers["content-security-policy"]
            assert policy.startswith(
                "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:;"
            )
        assert client.get("/").text == "index.html"
        for name in ("notes.txt", "later.js", "", "%2e%2e", "index.html/"):
            assert client.get(f"/page/{name}").status_code == 404


def test_a_server_with_a_token(slow: SlowInpainter, files: dict[str, bytes]) -> None:
    slow.go.set()
    told = settings(token=TOKEN, origins=("https://friend.example",), kiosk=True, idle_seconds=90)
    with TestClient(create_app(slow.open, told).asgi, base_url=BASE) as client:
        slow.opened.wait(20)
        info = client.get("/v1/info").json()
        assert (info["token_required"], info["kiosk"], info["idle_seconds"]) == (True, True, 90)
        refused = client.post("/v1/remove", files=files)
        assert (refused.status_code, refused.json()["error"]) == (401, "token")
        assert refused.headers["www-authenticate"] == "Bearer"
        friend = {"origin": "https://friend.example"}
        asked = friend | {"access-control-request-method": "POST", "access-control-request-headers": "authorization"}
        preflight = client.options("/v1/remove", headers=asked)
        assert preflight.status_code == 204
        assert preflight.headers["access-control-allow-origin"] == "https://friend.example"
        assert "Authorization" in preflight.headers["access-control-allow-headers"]
        given = friend | {"authorization": f"Bearer {TOKEN}"}
        answer = client.post("/v1/remove", files=files, headers=given)
        assert answer.status_code == 200
        assert answer.headers["access-control-allow-origin"] == "https://friend.example"
        assert "X-Confidence" in answer.headers["access-control-expose-headers"]
        assert "access-control-allow-credentials" not in answer.headers
        document = client.get("/openapi.json").json()
        assert document["paths"]["/v1/remove"]["post"]["security"] == [{"token": []}]
        assert "security" not in document["paths"]["/v1/info"]["get"]
