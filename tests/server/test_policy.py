"""Who may ask."""

from __future__ import annotations

import base64

import pytest
from starlette.datastructures import Headers
from starlette.testclient import TestClient

from iic_rt.errors import InputError
from iic_rt.server.policy import Policy
from iic_rt.server.settings import ServerSettings

TOKEN = "a-token-of-some-length"


def status(policy: Policy, method: str = "POST", path: str = "/v1/remove", **headers: str) -> int:
    """0 where the request is let in."""
    named = {name.replace("_", "-"): value for name, value in {"host": "localhost:8080", **headers}.items()}
    refusal = policy.refusal(method, path, Headers(named))
    return 0 if refusal is None else refusal.status


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:1", "127.0.0.1:8080", "[::1]:8080", "192.168.0.7", "kiosk.org"]
)
def test_known_hosts(host: str) -> None:
    assert status(Policy(ServerSettings(hosts=("Kiosk.org",))), host=host) == 0


@pytest.mark.parametrize("host", ["", "evil.example", "evil.example:8080", "localhost.evil.example", "kiosk.org"])
def test_unknown_hosts(host: str) -> None:
    """A name that somebody else lets lead here, which a browser cannot tell from its own site."""
    policy = Policy(ServerSettings())
    assert status(policy, host=host) == 403
    assert status(policy, "GET", "/", host="evil.example") == 403


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, 0),  # no browser
        ({"origin": "http://localhost:8080"}, 0),
        ({"origin": "https://localhost:8080"}, 0),  # behind a proxy that speaks TLS
        ({"origin": "http://localhost:3000"}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "https://friend.example"}, 0),
        ({"origin": "https://friend.example.evil.example"}, 403),
        ({"sec_fetch_site": "same-origin"}, 0),
        ({"sec_fetch_site": "none"}, 0),
        ({"sec_fetch_site": "same-site"}, 403),
        ({"sec_fetch_site": "cross-site"}, 403),
        ({"sec_fetch_site": "cross-site", "sec_fetch_dest": "document"}, 403),
        ({"sec_fetch_site": "cross-site", "origin": "https://friend.example"}, 0),
    ],
)
def test_pages_of_other_sites(headers: dict[str, str], expected: int) -> None:
    assert status(Policy(ServerSettings(origins=("https://friend.example",))), **headers) == expected


def test_a_link_may_lead_here_but_nothing_may_be_embedded() -> None:
    policy = Policy(ServerSettings())
    assert status(policy, "GET", "/", sec_fetch_site="cross-site", sec_fetch_dest="document") == 0
    for dest in ("image", "iframe", "script", "empty"):
        assert status(policy, "GET", "/live/stream.mjpeg", sec_fetch_site="cross-site", sec_fetch_dest=dest) == 403


def basic(password: str) -> str:
    return "Basic " + base64.b64encode(f"any:{password}".encode()).decode()


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (f"Bearer {TOKEN}", 0),
        (f"bearer  {TOKEN} ", 0),
        (basic(TOKEN), 0),  # http://any:TOKEN@host/, for clients that know an address alone
        ("", 401),
        (TOKEN, 401),
        ("Bearer ", 401),
        (f"Bearer {TOKEN}x", 401),
        (f"Bearer {TOKEN[:-1]}", 401),
        ("Bearer ü", 401),
        ("Basic %%%", 401),
        (basic("wrong"), 401),
    ],
)
def test_the_token(given: str, expected: int) -> None:
    assert status(Policy(ServerSettings(token=TOKEN)), authorization=given) == expected


def test_pages_and_health_need_no_token() -> None:
    policy = Policy(ServerSettings(token=TOKEN))
    for path in ("/", "/live", "/page/app.js", "/v1/info", "/healthz", "/readyz", "/docs", "/openapi.json"):
        assert status(policy, "GET", path) == 0, path
    for path in (
        "/v1/object",
        "/api/v1/inpaint",
        "/inpaint",
        "/metrics",
        "/live/stats",
        "/live/stream.mjpeg",
        "/other",
    ):
        assert status(policy, "GET", path) == 401, path


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"workers": 0}, "workers is 0"),
        ({"queue": 0}, "queue 0"),
        ({"max_megapixels": float("nan")}, "max_megapixels is nan"),
        ({"max_bytes": 0}, "max_bytes 0"),
        ({"idle_seconds": 0}, "idle is 0"),
        ({"token": "short"}, "shorter than 16 characters"),
        ({"origins": ("example.org",)}, "no origin"),
        ({"origins": ("https://example.org/page",)}, "no origin"),
    ],
)
def test_wrong_settings(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ServerSettings(**wrong)  # type: ignore[arg-type]


def test_refusals_over_http(client: TestClient, files: dict[str, bytes]) -> None:
    answer = client.post("/v1/remove", files=files, headers={"host": "evil.example"})
    assert (answer.status_code, answer.json()["error"]) == (403, "host")
    answer = client.post("/v1/remove", files=files, headers={"origin": "https://evil.example"})
    assert (answer.status_code, answer.json()["error"]) == (403, "origin")
    assert "access-control-allow-origin" not in answer.headers


def test_no_cors_unless_asked_for(client: TestClient, files: dict[str, bytes]) -> None:
    answer = client.post("/v1/remove", files=files, headers={"origin": "http://localhost:8080"})
    assert answer.status_code == 200
    assert "access-control-allow-origin" not in answer.headers
    asked = {"origin": "https://evil.example", "access-control-request-method": "POST"}
    assert client.options("/v1/remove", headers=asked).status_code == 403


def test_every_answer_carries_what_protects_it(client: TestClient) -> None:
    for path in ("/v1/info", "/nothing", "/docs", "/metrics", "/openapi.json"):
        headers = client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "unsafe" not in headers["content-security-policy"]
        assert "server" not in headers
