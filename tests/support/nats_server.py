"""A NATS server of a test's own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2

from slm_local.ports import LOOPBACK, free_port
from slm_local.probes import http_ok
from slm_local.process import Process
from slm_local.programs import script


class OwnNats:
    """A NATS server that a test may stop and start again, and ask what clients subscribe to."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port, self._monitoring = free_port(), free_port()
        self._process: Process | None = None
        self.url = f"nats://{LOOPBACK}:{self._port}"

    async def start(self) -> None:
        """Start it, with what it had stored."""
        ports = ("-a", LOOPBACK, "-p", str(self._port), "-m", str(self._monitoring))
        argv = (str(script("nats-server")), *ports, "-js", "-sd", str(self._folder / "jetstream"))
        self._process = await Process.start("nats", argv, log_path=self._folder / "nats.log")
        await self._process.wait_ready(lambda: http_ok(f"http://{LOOPBACK}:{self._monitoring}/healthz"))

    async def stop(self) -> None:
        """Stop it."""
        assert self._process is not None
        await self._process.stop()

    async def inboxes(self) -> list[str] | None:
        """The reply subjects that all clients subscribe to; None before the first client is there."""
        async with httpx2.AsyncClient() as client:
            known = (await client.get(f"http://{LOOPBACK}:{self._monitoring}/connz?subs=1")).json()
        if not known["connections"]:
            return None
        return [each for one in known["connections"] for each in one.get("subscriptions_list") or ()]


@asynccontextmanager
async def own_nats(folder: Path) -> AsyncIterator[OwnNats]:
    """A server that runs during the block, except while the block stops it."""
    server = OwnNats(folder)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
