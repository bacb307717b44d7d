"""``/docs``: the OpenAPI document as a page, with a form for every route that takes images. No script is needed."""

from __future__ import annotations

from html import escape
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.responses import Response

from iic_rt.server.pages import PAGE_HEADERS

__all__ = ["reference_routes"]

HEADERS = PAGE_HEADERS | {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; "
    "base-uri 'none'"
}
STYLE = """body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; width: 100% } td, th { text-align: left; padding: .3rem .6rem; vertical-align: top;
border-bottom: 1px solid #ccc } code, pre { font-family: ui-monospace, monospace } pre { background: #f3f3f3;
padding: .6rem; overflow-x: auto } form { border: 1px solid #ccc; padding: .6rem 1rem; margin: 1rem 0 }
label { display: block; margin: .5rem 0 } h2 { border-top: 2px solid #444; padding-top: .6rem; margin-top: 2.5rem }
"""


def reference_routes(app: FastAPI) -> APIRouter:
    """The routes of this module."""
    router = APIRouter(include_in_schema=False)

    @router.get("/docs")
    async def docs() -> Response:
        return Response(_page(app.openapi()), headers=HEADERS, media_type="text/html; charset=utf-8")

    @router.get("/docs.css")
    async def style() -> Response:
        return Response(STYLE, headers=PAGE_HEADERS, media_type="text/css; charset=utf-8")

    return router


def _page(document: dict[str, Any]) -> str:
    title = escape(document["info"]["title"])
    routes = [
        _route(method.upper(), path, operation)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    ]
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><link rel="stylesheet" href="/docs.css"></head>'
        f"<body><h1>{title}</h1><p>{escape(document['info']['description'])} "
        f'<a href="/openapi.json">OpenAPI document</a></p>{"".join(routes)}</body></html>'
    )


def _route(method: str, path: str, operation: dict[str, Any]) -> str:
    content = operation.get("requestBody", {}).get("content", {})
    schema: dict[str, Any] = next((kind["schema"] for kind in content.values()), {})
    answers = "".join(
        f"<tr><td>{escape(status)}</td><td>{escape(answer['description'])}</td></tr>"
        for status, answer in operation["responses"].items()
    )
    return (
        f"<h2><code>{method} {escape(path)}</code></h2><p>{escape(operation['summary'])}. "
        f"{escape(operation.get('description', ''))}</p>{_fields(schema)}{_command(method, path, content)}"
        f"{_form(path, schema) if 'multipart/form-data' in content else ''}"
        f"<details><summary>Answers</summary><table>{answers}</table></details>"
    )


def _fields(schema: dict[str, Any]) -> str:
    if not schema:
        return ""
    needed = schema.get("required", ())
    rows = "".join(
        f"<tr><td><code>{escape(name)}</code></td><td>{'needed' if name in needed else ''}</td>"
        f"<td>{escape(field.get('description', ''))}</td></tr>"
        for name, field in schema["properties"].items()
    )
    return f"<table><tr><th>field</th><th></th><th>meaning</th></tr>{rows}</table>"


def _command(method: str, path: str, content: dict[str, Any]) -> str:
    """The route as curl asks it."""
    words = ["curl", "-X", method, f"http://127.0.0.1:8080{path}"]
    if "multipart/form-data" in content:
        schema = content["multipart/form-data"]["schema"]
        for name in schema["required"]:
            is_file = schema["properties"][name].get("format") == "binary"
            words += ["-F", f"{name}=@{name}.png" if is_file else f"{name}=..."]
        words += ["-o", "answer.png"]
    elif content:
        words += ["-H", "'Content-Type: application/json'", "-d", "@request.json"]
    return f"<pre>{escape(' '.join(words))}</pre>"


def _form(path: str, schema: dict[str, Any]) -> str:
    inputs = []
    for name, field in schema["properties"].items():
        kind = 'type="file" accept="image/*"' if field.get("format") == "binary" else 'type="text"'
        needed = " required" if name in schema["required"] else ""
        inputs.append(f'<label>{escape(name)} <input name="{escape(name)}" {kind}{needed}></label>')
    return (
        f'<form method="post" action="{escape(path)}" enctype="multipart/form-data">{"".join(inputs)}'
        "<button>Try it</button></form>"
    )
