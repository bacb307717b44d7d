"""Who may ask: the name the server was called by, the page that asks, and the token."""

from __future__ import annotations

import hmac
from base64 import b64decode
from ipaddress import ip_address

from starlette.datastructures import Headers

from iic_rt.server.answers import ApiError
from iic_rt.server.settings import ServerSettings

__all__ = ["Policy"]

# These need no token, nor does what is below /page/.
OPEN = ("/", "/live", "/docs", "/docs.css", "/openapi.json", "/healthz", "/readyz", "/v1/info")
METHODS = "GET, POST, PUT"
EXPOSED = "X-Iterations, X-Regions, X-Time-Ms, X-Confidence, X-Seed, Retry-After"


class Policy:
    """Decides by headers alone, before anything of the request is read."""

    def __init__(self, settings: ServerSettings) -> None:
        self._hosts = {"localhost", *(name.lower() for name in settings.hosts)}
        self._origins = {origin.lower() for origin in settings.origins}
        self._token = None if settings.token is None else settings.token.encode()

    def refusal(self, method: str, path: str, headers: Headers) -> ApiError | None:
        """Why the request is not answered; None where it is."""
        host = headers.get("host", "")
        if not self._is_known(host):
            # A page of another site that resolves its own name to this address must not get in.
            return ApiError(403, "host", "this server is not known by that name; start it with --allow-host NAME")
        if not self._may_ask(method, host, headers):
            return ApiError(403, "origin", "pages of other sites may not ask; start it with --allow-origin URL")
        if self._token is not None and path not in OPEN and not path.startswith("/page/"):
            given = _given_token(headers.get("authorization", ""))
            if given is None or not hmac.compare_digest(given, self._token):
                text = "a token is needed: send the header Authorization: Bearer TOKEN"
                return ApiError(401, "token", text, headers={"WWW-Authenticate": "Bearer"})
        return None

    def is_preflight(self, method: str, headers: Headers) -> bool:
        """Whether a browser asks if a page of an allowed origin may ask."""
        return method == "OPTIONS" and "access-control-request-method" in headers and self._is_allowed(headers)

    def cors_headers(self, headers: Headers, *, preflight: bool = False) -> dict[str, str]:
        """What tells a browser that the page may read the answer; nothing for pages of the server itself."""
        if not self._is_allowed(headers):
            return {}
        found = {
            "Access-Control-Allow-Origin": headers["origin"],
            "Access-Control-Expose-Headers": EXPOSED,
            "Vary": "Origin",
        }
        if preflight:
            found["Access-Control-Allow-Methods"] = METHODS
            found["Access-Control-Allow-Headers"] = "Authorization, Content-Type"
            found["Access-Control-Max-Age"] = "600"
        return found

    def _is_known(self, host: str) -> bool:
        name = _name(host)
        try:
            ip_address(name)
        except ValueError:
            return name in self._hosts
        return True  # an address cannot be made to lead elsewhere, as a name can

    def _is_allowed(self, headers: Headers) -> bool:
        return headers.get("origin", "").lower() in self._origins

    def _may_ask(self, method: str, host: str, headers: Headers) -> bool:
        """Whether it is no browser, a page of this server, or one that was allowed."""
        origin = headers.get("origin")
        if origin is not None:
            own = origin.lower().partition("://")[2] == host.lower()
            return own or self._is_allowed(headers)
        if headers.get("sec-fetch-site", "none") in ("none", "same-origin"):
            return True
        # A link on another site may lead here.
        return method == "GET" and headers.get("sec-fetch-dest") == "document"


def _name(host: str) -> str:
    """The host without its port."""
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0].lower() if ":" in host else host.lower()


def _given_token(authorization: str) -> bytes | None:
    """The token of a request, also as the password of http://any:TOKEN@host/ for clients that know an address only."""
    scheme, _, rest = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip().encode()
    if scheme.lower() == "basic":
        try:
            return b64decode(rest, validate=True).partition(b":")[2]
        except ValueError:
            return None
    return None
