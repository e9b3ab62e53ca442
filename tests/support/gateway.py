"""What gateway tests stand on: a service that records what reaches it."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import httpx2
from starlette.types import Receive, Scope, Send

from slm_shared.identity.principal import Principal, Verifier

Gateway = Callable[..., Awaitable[httpx2.AsyncClient]]
"""`await gateway(training_url=…)`: a client of a running gateway; services not named do not answer."""


@dataclass
class RecordingService:
    """A service of which a test wants to see what reaches it; answers with what it was asked."""

    name: str
    verifier: Verifier
    address: str = ""
    handlers: dict[str, Callable[[Scope, Receive, Send], Awaitable[None]]] = field(default_factory=dict)
    asked: list[dict[str, Any]] = field(default_factory=list)
    received_bytes: int = 0
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        target = scope["raw_path"] + (b"?" + scope["query_string"] if scope["query_string"] else b"")
        self.asked.append({"method": scope["method"], "target": target.decode(), "headers": headers})
        if handler := self.handlers.get(scope["path"]):
            await handler(scope, receive, send)
            return
        async for chunk in body_of(receive):
            self.received_bytes += len(chunk)
        await answer_json(send, {"asked": target.decode(), "received": self.received_bytes})

    def principal(self) -> Principal:
        """Who made the last request, as the service sees it."""
        return self.verifier.verify(self.asked[-1]["headers"]["slm-principal"])


async def body_of(receive: Receive) -> AsyncIterator[bytes]:
    """The parts of a request body."""
    more = True
    while more:
        message = await receive()
        more = message.get("more_body", False)
        yield message.get("body", b"")


async def answer_json(
    send: Send, body: Any, *, status: int = 200, headers: tuple[tuple[bytes, bytes], ...] = ()
) -> None:
    """Answer with JSON."""
    data = json.dumps(body).encode()
    length = (b"content-length", str(len(data)).encode())
    start = [(b"content-type", b"application/json"), length, *headers]
    await send({"type": "http.response.start", "status": status, "headers": start})
    await send({"type": "http.response.body", "body": data})
