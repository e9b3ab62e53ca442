"""How requests are read: strict JSON, bounded depth, ids and trace context for each."""

import json
import re
from collections.abc import Callable, Coroutine
from typing import Any

import structlog
from fastapi import HTTPException, Request, Response
from fastapi.routing import APIRoute
from pydantic import BaseModel, ConfigDict
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from slm_shared.errors import MalformedError, PlatformError, TooLargeError
from slm_shared.http.problems import problem_response
from slm_shared.http.provided import Service, given
from slm_shared.observability.tracing import joining
from slm_shared.storage.ids import new_id

log = structlog.get_logger()

REQUEST_ID = "X-Request-ID"
MAX_DEPTH = 64
MAX_DIGITS = 300
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SURROGATE = re.compile("[\ud800-\udfff\x00]")


class Body(BaseModel):
    """Root of request bodies: unknown fields and non-finite numbers are refused, text is stripped.

    Numeric fields should be declared with `strict=True`, so that true, "1" and 1.5 are not taken for integers.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, str_strip_whitespace=True, protected_namespaces=())


class RejectedBodyError(HTTPException):
    """Carries a problem out of FastAPI's body parsing, which lets only its own exception type pass."""

    def __init__(self, problem: PlatformError) -> None:
        super().__init__(status_code=problem.status, detail=problem.message)
        self.problem = problem


class StrictRequest(Request):
    """A request whose JSON body is UTF-8, without duplicate keys, NUL characters, lone surrogates or absurd depth."""

    async def json(self) -> Any:
        """The parsed body. Raises RejectedBodyError with a 400 for anything else."""
        return parse_json(await self.body())

    async def body(self) -> bytes:
        """The bytes of the body, read no further than the app's limit. Raises RejectedBodyError with a 413."""
        if not hasattr(self, "_body"):
            limit = given(self.app, Service).max_json_body_bytes
            body = bytearray()
            async for chunk in self.stream():
                body += chunk
                if len(body) > limit:
                    raise RejectedBodyError(TooLargeError(f"The body is larger than {limit} bytes."))
            self._body = bytes(body)
        return self._body


class StrictRoute(APIRoute):
    """A route that reads its body through `StrictRequest`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's own handler, given the stricter request."""
        handler = super().get_route_handler()

        async def strict(request: Request) -> Response:
            return await handler(StrictRequest(request.scope, request.receive))

        return strict


def parse_json(data: bytes) -> Any:
    """Parse a JSON document as strictly as RFC 8259 allows and a little stricter.

    NaN and infinities pass as floats, so that the model can name the field they stand in.
    """
    try:
        text = data.decode("utf-8")
        value = json.loads(text, object_pairs_hook=_unique_keys, parse_int=_bounded_int)
        _check(value, MAX_DEPTH)
    except UnicodeDecodeError:
        raise _malformed("The body is not UTF-8.") from None
    except RecursionError:
        raise _malformed(f"The body is nested deeper than {MAX_DEPTH} levels.") from None
    except json.JSONDecodeError as error:
        raise _malformed(f"The body is not JSON: line {error.lineno}, column {error.colno}.") from None
    return value


def _malformed(message: str) -> RejectedBodyError:
    problem = MalformedError(message, hint="Send one JSON object, encoded as UTF-8.")
    return RejectedBodyError(problem)


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _malformed("The body names the same field twice.")
    return found


def _bounded_int(digits: str) -> int | float:
    # Longer numbers become infinite, which every numeric field refuses by name.
    return int(digits) if len(digits) <= MAX_DIGITS else float("-inf" if digits.startswith("-") else "inf")


def _check(value: Any, depth: int) -> None:
    if isinstance(value, str):
        if _SURROGATE.search(value):
            raise _malformed("The body holds a NUL character or half of a surrogate pair.")
    elif depth == 0 and isinstance(value, dict | list):
        raise RecursionError
    elif isinstance(value, dict):
        for key, inner in value.items():
            _check(key, depth)
            _check(inner, depth - 1)
    elif isinstance(value, list):
        for inner in value:
            _check(inner, depth - 1)


class RequestContext:
    """Outermost middleware: request id, trace context, log context, and the last net under every error."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request; whatever nobody handled becomes a 500 without its text."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        request_id = request_id_of(headers)
        scope.setdefault("state", {})["request_id"] = request_id
        started = False

        async def send_with_id(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                MutableHeaders(scope=message)[REQUEST_ID] = request_id
            await send(message)

        if "\0" in scope["path"] or b"%00" in scope["query_string"]:
            # No database stores it, no path holds it.
            refusal = MalformedError("The address holds a NUL character.")
            await problem_response(refusal, request_id)(scope, receive, send_with_id)
            return
        with joining(headers.get("traceparent")), structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._app(scope, receive, send_with_id)
            except ClientDisconnect:
                log.info("request.client_gone", path=scope["path"])
            except Exception:
                log.exception("request.failed", method=scope["method"], path=scope["path"])
                if not started:
                    error = PlatformError("Something went wrong here.", hint="The request id finds it in the logs.")
                    await problem_response(error, request_id)(scope, receive, send_with_id)


def request_id_of(headers: Headers) -> str:
    """The caller's request id when it is a harmless one, else a fresh one."""
    given = headers.get(REQUEST_ID, "")
    return given if _REQUEST_ID.fullmatch(given) else str(new_id())
