"""Errors as RFC 9457 problem documents; the input is never echoed."""

from collections.abc import Mapping
from typing import Any

import structlog
from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.responses import JSONResponse, Response

from slm_shared.errors import (
    DiskFullError,
    FieldProblem,
    Hint,
    InvalidError,
    MalformedError,
    PlatformError,
    is_disk_full,
)

log = structlog.get_logger()

RETRY_WHEN_FULL_S = 60
MEDIA_TYPE = "application/problem+json"
TITLES = {400: "Malformed request", 404: "Not found", 405: "Method not allowed", 413: "Too large"}
CODES = {400: "malformed_request", 404: "not_found", 405: "method_not_allowed", 413: "too_large"}


class ProblemField(BaseModel):
    """One wrong field of a request."""

    field: str
    message: str


class Problem(BaseModel):
    """The body of every error answer."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    hint: str | None = None
    hint_code: Hint | None = None
    errors: list[ProblemField] | None = None


def problem_response(error: PlatformError, request_id: str) -> JSONResponse:
    """The answer for an error."""
    headers = {"Retry-After": str(error.retry_after_s)} if error.retry_after_s is not None else None
    return JSONResponse(error.problem(request_id), status_code=error.status, media_type=MEDIA_TYPE, headers=headers)


def install_problem_handlers(app: FastAPI) -> None:
    """Let every error of an app leave it as a problem document."""
    app.add_exception_handler(PlatformError, _on_platform_error)
    app.add_exception_handler(OSError, _on_os_error)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(StarletteHTTPException, _on_http_exception)


def _request_id(request: Request) -> str:
    return str(getattr(request.state, "request_id", ""))


async def _on_platform_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, PlatformError)
    if error.status >= 500:
        log.warning("request.refused", code=error.code, cause=type(error.__cause__).__name__)
    return problem_response(error, _request_id(request))


async def _on_os_error(request: Request, error: Exception) -> Response:
    if not is_disk_full(error):
        raise error
    log.error("request.disk_full")
    hint = "Nothing of it was kept. Somebody has to make room; then send it again."
    full = DiskFullError("The disk of this service is full.", hint=hint, retry_after_s=RETRY_WHEN_FULL_S)
    return problem_response(full, _request_id(request))


async def _on_validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return problem_response(invalid_request(error.errors()), _request_id(request))


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, StarletteHTTPException)
    problem = getattr(error, "problem", None)
    if isinstance(error, HTTPException) and isinstance(problem, PlatformError):
        return problem_response(problem, _request_id(request))
    body = PlatformError(TITLES.get(error.status_code, "The request was refused") + ".").problem(_request_id(request))
    body |= {
        "status": error.status_code,
        "title": TITLES.get(error.status_code, "Refused"),
        "code": CODES.get(error.status_code, "refused"),
    }
    return JSONResponse(body, status_code=error.status_code, media_type=MEDIA_TYPE, headers=error.headers)


def invalid_request(problems: Any) -> PlatformError:
    """One error out of Pydantic's list: what is wrong with which field, without what was sent."""
    fields = [_field_problem(problem) for problem in problems]
    if any(problem["type"] == "json_invalid" for problem in problems):
        return MalformedError("The body is not JSON.")
    error = InvalidError(f"{fields[0].field} {fields[0].message}" if fields else "Invalid.", errors=fields)
    unknown = problems and all(problem["type"] == "extra_forbidden" for problem in problems)
    error.code = "unknown_field" if unknown else "field_invalid"  # type: ignore[misc]  # the instance is finer
    return error


def _field_problem(problem: Mapping[str, Any]) -> FieldProblem:
    location = [str(part) for part in problem["loc"] if part not in ("body", "query", "path", "header")]
    return FieldProblem(".".join(location) or "body", _message(problem))


def _message(problem: Mapping[str, Any]) -> str:
    match problem["type"]:
        case "extra_forbidden":
            return "is not a field of this request"
        case "missing":
            return "is required"
        case "value_error":
            return str(problem["msg"]).removeprefix("Value error, ")
        case _:
            text = str(problem["msg"]).removeprefix("Input ")
            return text[:1].lower() + text[1:]
