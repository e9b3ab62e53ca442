"""What consumers leave behind when their connection breaks."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from slm_local.ports import LOOPBACK, free_port
from slm_local.probes import http_ok
from slm_local.process import Process
from slm_local.programs import script
from slm_shared.delivery.broker import Broker
from slm_shared.delivery.bus import Bus
from slm_shared.events.catalogue import DatasetDeleted
from slm_shared.events.topology import migrate_topology
from slm_shared.storage.database import Database
from slm_testing.waiting import eventually


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


@pytest.fixture
async def own_nats(tmp_path: Path) -> AsyncIterator[OwnNats]:
    """A NATS server that is this test's own."""
    server = OwnNats(tmp_path)
    await server.start()
    yield server
    await server.stop()


async def test_a_consumer_that_ends_without_a_connection_leaves_no_subscription_behind(
    database: Database, own_nats: OwnNats
) -> None:
    # The client would subscribe to it again on the next connection, and the server deliver to nobody.
    async def handle(_session: AsyncSession, _event: DatasetDeleted) -> None:
        raise AssertionError("nothing was published")

    broker = Broker(own_nats.url, name="test")
    await migrate_topology(await broker.jetstream())
    before = await own_nats.inboxes()
    bus = Bus(database, broker, service="training")
    bus.on(DatasetDeleted, handle)
    consuming = asyncio.create_task(bus.run())

    async def is_consuming() -> bool:
        return bus.problem() is None

    async def is_away() -> bool:
        return not broker.is_connected

    async def is_back() -> bool:
        return broker.is_connected

    await eventually(is_consuming)
    assert len(await own_nats.inboxes() or []) == len(before or []) + 1
    await own_nats.stop()
    await eventually(is_away)
    consuming.cancel()
    await asyncio.wait([consuming])
    await own_nats.start()
    await eventually(is_back)
    assert await own_nats.inboxes() == before
    await broker.close()
