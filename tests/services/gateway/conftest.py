"""The gateway in front of small services on loopback."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest
from starlette.types import Receive, Scope, Send

from slm_gateway.app import create_app
from slm_gateway.settings import GatewaySettings
from slm_shared.identity.keys import SIGNERS
from slm_shared.identity.principal import Principal, Verifier, generate_keys
from slm_shared.settings import PlatformSettings
from slm_testing.apps import serving

NOBODY = "http://127.0.0.1:9"


@dataclass
class Service:
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


@pytest.fixture(scope="session")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of signing keys."""
    folder = tmp_path_factory.mktemp("gateway-keys")
    generate_keys(folder, dict(SIGNERS))
    return folder


@pytest.fixture
async def service(keys: Path) -> AsyncIterator[Service]:
    """The training service, as far as the gateway can tell."""
    verifier = Verifier(keys / "principals.json", audience="training")
    double = Service("training", verifier)
    async with serving(double) as double.address:
        yield double


Gateway = Callable[..., Awaitable[httpx2.AsyncClient]]


@pytest.fixture
async def gateway(keys: Path) -> AsyncIterator[Gateway]:
    """`await gateway(training_url=…)`: a client of a running gateway; services not named do not answer."""
    async with AsyncExitStack() as stack:

        async def start(**addresses: str) -> httpx2.AsyncClient:
            return await stack.enter_async_context(running_gateway(keys, **addresses))

        yield start


@asynccontextmanager
async def running_gateway(keys: Path, **addresses: str) -> AsyncIterator[httpx2.AsyncClient]:
    """A running gateway's client."""
    urls = {f"{name}_url": NOBODY for name in ("datasets", "training", "registry", "evaluation")}
    platform = PlatformSettings(
        **{"nats_url": "nats://127.0.0.1:9", **urls, **addresses},  # type: ignore[arg-type]
        principal_keys=keys / "principals.json",
        signing_key=keys / "gateway.json",
    )
    app = create_app(GatewaySettings(platform=platform, port=0))
    async with serving(app) as address, httpx2.AsyncClient(base_url=address, timeout=10) as client:
        yield client
