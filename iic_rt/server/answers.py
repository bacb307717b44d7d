"""Errors as clients see them, and what every answer carries."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from iic_rt.errors import InputError, OutputError

__all__ = ["ApiError", "ErrorAnswer", "add_error_handlers", "error_answer"]

KINDS = {404: "not_found", 405: "method"}
TEXTS = {404: "there is nothing at this address", 405: "this address takes another method"}
IOPAINT = ("/api/v1/", "/inpaint")  # whose clients read two fields more


class ErrorAnswer(BaseModel):
    """What every error is answered with."""

    error: str = Field(description="the kind, for programs")
    detail: str = Field(description="what was wrong and what is allowed, for people")


class ApiError(Exception):
    """An error that is answered with a status of its own.

    Args:
        status: of HTTP.
        kind: for programs.
        detail: for people.
        retry_after: seconds after which to try again.
        headers: more of the answer's.
    """

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        *,
        retry_after: int | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.kind, self.detail = status, kind, detail
        self.headers = dict(headers or {})
        if retry_after is not None:
            self.headers["Retry-After"] = str(retry_after)


def error_answer(path: str, error: ApiError) -> Response:
    """The answer to a request at this path that failed."""
    content = {"error": error.kind, "detail": error.detail}
    if path.startswith(IOPAINT):
        content |= {"body": "", "errors": error.detail}
    return JSONResponse(content, error.status, error.headers)


def add_error_handlers(app: FastAPI) -> None:
    """Every error of a route becomes an :class:`ErrorAnswer`."""

    async def api_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, ApiError)
        return error_answer(request.url.path, error)

    async def input_error(request: Request, error: Exception) -> Response:
        return error_answer(request.url.path, ApiError(400, "bad_input", str(error)))

    async def http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        kind = KINDS.get(error.status_code, "error")
        text = TEXTS.get(error.status_code, str(error.detail))
        headers = dict(error.headers or {})
        return error_answer(request.url.path, ApiError(error.status_code, kind, text, headers=headers))

    async def unforeseen(request: Request, error: Exception) -> Response:
        text = "the server failed on this request; its log says why. Others are not affected"
        return error_answer(request.url.path, ApiError(500, "internal", text))

    app.add_exception_handler(ApiError, api_error)
    app.add_exception_handler(InputError, input_error)
    app.add_exception_handler(OutputError, input_error)
    app.add_exception_handler(HTTPException, http_error)
    app.add_exception_handler(Exception, unforeseen)
