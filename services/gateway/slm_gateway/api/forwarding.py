"""One request to the service that owns it, and its answer back, as streams: nothing is held in memory.

Plain ASGI on purpose: this is on the way of every request, and a framework's routing and dependency machinery would
cost more than all the rest of the hop.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator

import aiohttp
import structlog
from starlette.types import Receive, Scope, Send

from slm_gateway.domain.headers import to_client, to_upstream
from slm_gateway.errors import ServiceUnavailableError, TargetMalformedError
from slm_gateway.service.upstreams import Upstreams
from slm_shared.errors import PlatformError
from slm_shared.http.problems import problem_response
from slm_shared.http.requests import REQUEST_ID
from slm_shared.identity.principal import HEADER, Principal
from slm_shared.observability.tracing import current_traceparent

log = structlog.get_logger()
RETRY_AFTER_S = 1


class ClientGoneError(Exception):
    """The client closed its connection; nobody is left to answer."""


class Forwarder:
    """Hands requests to the services on behalf of a principal."""

    def __init__(self, upstreams: Upstreams) -> None:
        self._upstreams = upstreams

    async def forward(
        self, scope: Scope, receive: Receive, send: Send, *, service: str, principal: Principal, request_id: str
    ) -> None:
        """Serve one request from `service`; 503 when it does not answer, nothing at all when the client has left."""
        exchange = _Exchange(scope, receive, send)
        try:
            headers = to_upstream(scope["headers"])
            headers.append((HEADER, self._upstreams.token(service, principal)))
            headers.append((REQUEST_ID, request_id))
            headers.append(("traceparent", current_traceparent() or traceparent_of(scope)))
            body = exchange.body() if exchange.has_body else None
            async with exchange.abandoned_with_client():
                response = await self._upstreams.open(
                    service, scope["method"], _target(scope), headers=headers, body=body
                )
                try:
                    await exchange.answer(response, request_id)
                finally:
                    # Returns a finished connection to the pool and closes one that still has something to say.
                    response.close()
        except PlatformError as error:
            await refuse(error, scope, receive, send, request_id=request_id)
        except ClientGoneError:
            log.info("forward.client_gone", service=service, request_id=request_id)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            await self._tell_unavailable(exchange, error, service=service, request_id=request_id)

    async def _tell_unavailable(
        self, exchange: "_Exchange", error: Exception, *, service: str, request_id: str
    ) -> None:
        log.warning("forward.failed", service=service, request_id=request_id, error=type(error).__name__)
        if exchange.has_started or exchange.is_client_gone:
            # Half an answer cannot be taken back: ending without its last part breaks the connection, which tells.
            return
        problem = ServiceUnavailableError(f"The {service} service does not answer.", retry_after_s=RETRY_AFTER_S)
        await refuse(problem, exchange.scope, exchange.receive, exchange.send, request_id=request_id)


async def refuse(error: PlatformError, scope: Scope, receive: Receive, send: Send, *, request_id: str) -> None:
    """Answer with a problem document."""
    response = problem_response(error, request_id)
    response.headers[REQUEST_ID] = request_id
    await response(scope, receive, send)


class _Exchange:
    """One request and its answer on the client's side."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self.receive = receive
        self.send = send
        self.has_body = _has_body(scope)
        self.has_started = False
        self.is_client_gone = False
        self._is_body_read = asyncio.Event() if self.has_body else None
        self._is_answered = False

    async def body(self) -> AsyncIterator[bytes]:
        """The request body as it arrives. Raises ClientGoneError when it ends early."""
        more = True
        while more:
            message = await self.receive()
            if message["type"] == "http.disconnect":
                self.is_client_gone = True
                raise ClientGoneError
            more = message.get("more_body", False)
            if chunk := message.get("body", b""):
                yield chunk
        assert self._is_body_read is not None
        self._is_body_read.set()

    async def answer(self, response: aiohttp.ClientResponse, request_id: str) -> None:
        """Pass status, headers and body on; waits for the client to take them in (backpressure)."""
        headers = to_client(response.raw_headers)
        if REQUEST_ID not in response.headers:
            headers.append((REQUEST_ID.lower().encode(), request_id.encode()))
        content = response.content
        # A body of known length follows at once; the head of a stream must not wait for its first part.
        chunk = await content.readany() if response.content_length is not None else b""
        await self.send({"type": "http.response.start", "status": response.status, "headers": headers})
        self.has_started = True
        while not content.at_eof():
            if chunk:
                await self.send({"type": "http.response.body", "body": chunk, "more_body": True})
            chunk = await content.readany()
        self._is_answered = True
        await self.send({"type": "http.response.body", "body": chunk, "more_body": False})

    def abandoned_with_client(self) -> "_Abandoning":
        """A block that ends with ClientGoneError as soon as the client closes its connection."""
        return _Abandoning(self)

    async def wait_until_gone(self) -> bool:
        """Wait for the client to leave; False when that happened after its answer was complete."""
        if self._is_body_read is not None:
            await self._is_body_read.wait()
        while (await self.receive())["type"] != "http.disconnect":
            pass
        return not self._is_answered


class _Abandoning:
    """Cancels the block's work when the client leaves. (An async generator would cost twice as much per request.)"""

    def __init__(self, exchange: _Exchange) -> None:
        self._exchange = exchange

    async def __aenter__(self) -> None:
        self._task = asyncio.current_task()
        self._watcher = asyncio.create_task(self._watch())

    async def _watch(self) -> None:
        if await self._exchange.wait_until_gone():
            self._exchange.is_client_gone = True
            assert self._task is not None
            self._task.cancel()

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        self._watcher.cancel()
        if self._exchange.is_client_gone:
            if isinstance(error, asyncio.CancelledError) and self._task is not None:
                self._task.uncancel()
            raise ClientGoneError from error


def _target(scope: Scope) -> str:
    """Path and query byte for byte as the client sent them."""
    query: bytes = scope["query_string"]
    raw: bytes = scope["raw_path"]
    try:
        return (raw + b"?" + query if query else raw).decode("ascii")
    except UnicodeDecodeError:
        raise TargetMalformedError(
            "The path and query of a request must be ASCII, other characters %-encoded."
        ) from None


def _has_body(scope: Scope) -> bool:
    for name, value in scope["headers"]:
        if name == b"transfer-encoding" or (name == b"content-length" and value != b"0"):
            return True
    return False


def traceparent_of(scope: Scope) -> str:
    """The caller's W3C trace context, or a new sampled one (https://www.w3.org/TR/trace-context/)."""
    for name, value in scope["headers"]:
        if name == b"traceparent" and len(value) == 55 and value.isascii():
            return str(value, "ascii")
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"
