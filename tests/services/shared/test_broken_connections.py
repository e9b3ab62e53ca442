"""What consumers leave behind when their connection breaks."""

import asyncio
from pathlib import Path

from sqlalchemy.ext.asyncio import AsyncSession

from slm_shared.delivery.broker import Broker
from slm_shared.delivery.bus import Bus
from slm_shared.events.catalogue import DatasetDeleted
from slm_shared.events.topology import TRAINER_WAKE_UP, migrate_topology
from slm_shared.jobs.worker import WakeUps
from slm_shared.storage.database import Database
from slm_testing.waiting import eventually
from tests.support.nats_server import own_nats


async def test_a_consumer_that_ends_without_a_connection_leaves_no_subscription_behind(
    database: Database, tmp_path: Path
) -> None:
    # The client would subscribe to it again on the next connection, and the server deliver to nobody.
    async def handle(_session: AsyncSession, _event: DatasetDeleted) -> None:
        raise AssertionError("nothing was published")

    async with own_nats(tmp_path) as nats:
        broker = Broker(nats.url, name="test")
        await migrate_topology(await broker.jetstream())
        before = await nats.inboxes()
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
        assert len(await nats.inboxes() or []) == len(before or []) + 1
        await nats.stop()
        await eventually(is_away)
        consuming.cancel()
        await asyncio.wait([consuming])
        await nats.start()
        await eventually(is_back)
        assert await nats.inboxes() == before
        await broker.close()


async def test_wake_ups_of_a_consumer_that_is_gone_leave_no_subscription_behind(tmp_path: Path) -> None:
    async with own_nats(tmp_path) as nats:
        broker = Broker(nats.url, name="test")
        await (await broker.jetstream()).account_info()
        before = await nats.inboxes()
        wakeups = WakeUps(broker, durable=TRAINER_WAKE_UP, poll_s=0.2)
        assert [await wakeups.wait() for _ in range(3)] == [None] * 3
        assert await nats.inboxes() == before
        await broker.close()
