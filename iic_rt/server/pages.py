"""The pages for people: files of the package, read once."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import Response
from starlette.exceptions import HTTPException

__all__ = ["PAGE_HEADERS", "page_routes"]

FOLDER = Path(__file__).parent / "page"
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".webmanifest": "application/manifest+json",
}
PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; media-src 'self' blob:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "Permissions-Policy": "camera=(self)",
    "Cache-Control": "no-cache",
}


def page_routes(*, live: bool) -> APIRouter:
    """The routes of this module. What a client names is looked up among the files that were read, never on a disk."""
    files = {path.name: path.read_bytes() for path in sorted(FOLDER.glob("*")) if path.suffix in TYPES}
    router = APIRouter(include_in_schema=False)

    def answer(name: str) -> Response:
        if name not in files:
            raise HTTPException(404)
        return Response(files[name], headers=PAGE_HEADERS, media_type=TYPES[Path(name).suffix])

    @router.get("/")
    async def index() -> Response:
        return answer("index.html")

    @router.get("/page/{name}")
    async def file(name: str) -> Response:
        return answer(name)

    if live:

        @router.get("/live")
        async def live_page() -> Response:
            return answer("index.html")  # the same page, which looks at its address

    return router
