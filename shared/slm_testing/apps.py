"""Apps on loopback ports, and clients that carry a principal."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp

from slm_shared.http.provided import Service, given
from slm_shared.identity.principal import HEADER, Principal, Role, Signer
from slm_testing.waiting import DEADLINE_S, eventually


class _SignedBy(httpx2.Auth):
    def __init__(self, signer: Signer, audience: str, principal: Principal) -> None:
        self._signer, self._audience, self._principal = signer, audience, principal

    def auth_flow(self, request: httpx2.Request):  # type: ignore[no-untyped-def]  # the generator type is httpx2's own
        """Add the principal, freshly signed when the last one grew old."""
        request.headers[HEADER] = self._signer.token(self._audience, self._principal)
        yield request


@asynccontextmanager
async def running(
    app: FastAPI, keys: Path, *, role: Role = Role.ADMIN, subject: str = "tester"
) -> AsyncIterator[httpx2.AsyncClient]:
    """Serve an app on a free loopback port and give a client that carries a principal of `role`."""
    async with (
        serving(app) as base_url,
        client_of(base_url, given(app, Service).name, keys, role=role, subject=subject) as client,
    ):
        yield client


@asynccontextmanager
async def client_of(
    base_url: str, service: str, keys: Path, *, role: Role = Role.ADMIN, subject: str = "tester"
) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of a service that runs under `base_url`; it carries a principal of `role`."""
    kid = "worker" if role is Role.WORKER else "gateway"
    auth = _SignedBy(Signer(keys / f"{kid}.json"), service, Principal(subject, role))
    async with httpx2.AsyncClient(base_url=base_url, auth=auth, timeout=DEADLINE_S) as client:
        yield client


@asynccontextmanager
async def serving(app: ASGIApp) -> AsyncIterator[str]:
    """Serve any ASGI app on a free loopback port while the block runs; gives its base address."""
    listener = socket.create_server(("127.0.0.1", 0))
    # As uvloop does for a service: otherwise the second part of an answer waits 40 ms for an acknowledgement.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=2))
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:

        async def started() -> bool:
            if task.done():
                task.result()
            return server.started

        await eventually(started)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        await task
        listener.close()
