"""How long from a committed change in one service to its committed effect in another?

Each event goes the whole way: outbox row committed, relay woken, JetStream with fsync on every message, consumer, inbox
row and effect committed. The same servers are also asked bare, in the same run, for what no design can beat: a commit
in PostgreSQL and a synced publish to JetStream.

    python benchmarks/delivery.py [--events 1000] [--backlog 10000]

Held on a quiet machine with 2 cores: p50 <= 10 ms, p99 <= 100 ms; 10,000 waiting events drained within 120 s.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

from rich.console import Console
from rich.table import Table
from sqlalchemy import event as sqlalchemy_event
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from slm_local.servers import embedded_servers, settings_of
from slm_shared.background import running_in_background
from slm_shared.delivery import outbox
from slm_shared.delivery.broker import Broker
from slm_shared.delivery.bus import Bus
from slm_shared.delivery.outbox import Relay
from slm_shared.events.catalogue import DatasetDeleted
from slm_shared.events.topology import migrate_topology
from slm_shared.migrate import database_name, migrate_database
from slm_shared.storage.database import Database
from slm_shared.storage.ids import new_id

PAUSE_S = 0.01
BATCH = 500


@dataclass
class Effects:
    """When each event's effect was committed, on this process's clock."""

    at: dict[UUID, float] = field(default_factory=dict)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def take(self, session: AsyncSession, event: DatasetDeleted) -> None:
        """The consumer's handler; the inbox row of its transaction is effect enough."""

        def committed(_: object) -> None:
            self.at[event.dataset_id] = time.perf_counter()
            self.changed.set()

        sqlalchemy_event.listen(session.sync_session, "after_commit", committed, once=True)

    async def reach(self, count: int) -> None:
        """Wait until so many effects are there."""
        while len(self.at) < count:
            self.changed.clear()
            await self.changed.wait()


async def change(database: Database) -> tuple[UUID, float]:
    """Commit one change that publishes an event; gives the event's thing and the moment after the commit."""
    dataset_id = new_id()
    async with database.transaction() as session:
        await outbox.append(session, DatasetDeleted(dataset_id=dataset_id, name="rows-v1"))
    return dataset_id, time.perf_counter()


async def one_by_one(database: Database, effects: Effects, count: int) -> list[float]:
    """Seconds from commit to effect of events with a pause between them."""
    taken = []
    for _ in range(count):
        dataset_id, committed = await change(database)
        await effects.reach(len(effects.at) + (dataset_id not in effects.at))
        taken.append(effects.at[dataset_id] - committed)
        await asyncio.sleep(PAUSE_S)
    return taken


async def backlog(database: Database, effects: Effects, count: int, *, consume: Callable[[], Awaitable[None]]) -> float:
    """Seconds until `count` events that were written while nobody published are all in effect."""
    before = len(effects.at)
    for _ in range(count // BATCH):
        async with database.transaction() as session:
            for _ in range(BATCH):
                await outbox.append(session, DatasetDeleted(dataset_id=new_id(), name="rows-v1"))
    begun = time.perf_counter()
    consuming = asyncio.ensure_future(consume())
    await effects.reach(before + count // BATCH * BATCH)
    taken = time.perf_counter() - begun
    consuming.cancel()
    await asyncio.wait([consuming])
    return taken


async def bare_commits(database: Database, count: int) -> list[float]:
    """Seconds of a one-row insert and its commit."""
    taken = []
    for _ in range(count):
        begun = time.perf_counter()
        async with database.transaction() as session:
            await session.execute(text("INSERT INTO inbox (consumer, event_id) VALUES ('bare', gen_random_uuid())"))
        taken.append(time.perf_counter() - begun)
    return taken


async def bare_publishes(broker: Broker, count: int) -> list[float]:
    """Seconds of a publish that JetStream has synced to disk."""
    jetstream = await broker.jetstream()
    taken = []
    for _ in range(count):
        begun = time.perf_counter()
        await jetstream.publish("dataset.failed", b"{}" * 100)
        taken.append(time.perf_counter() - begun)
    return taken


def quantile(values: list[float], share: float) -> float:
    """The value in seconds below which `share` of them lie, in milliseconds."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))] * 1000


async def measure(events: int, waiting: int) -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory(prefix="slm-delivery-") as folder:
        async with embedded_servers(Path(folder)) as servers:
            settings = settings_of(servers)
            for service in ("datasets", "training"):
                await migrate_database(settings, service)
            source = Database(settings.database_url(database_name("datasets")))
            target = Database(settings.database_url(database_name("training")))
            broker = Broker(settings.nats_url, name="benchmark")
            await migrate_topology(await broker.jetstream())
            effects, bus = Effects(), Bus(target, broker, service="training")
            bus.on(DatasetDeleted, effects.take)
            async with running_in_background([bus]):
                async with running_in_background([Relay(source, broker, source="datasets")]):
                    await one_by_one(source, effects, 50)
                    taken = await one_by_one(source, effects, events)
                commits, publishes = await bare_commits(target, events), await bare_publishes(broker, events)
                drained = await backlog(source, effects, waiting, consume=Relay(source, broker, source="datasets").run)
            for each in (broker, source, target):
                await each.close()
    floor = quantile(commits, 0.5) + quantile(publishes, 0.5)
    table = Table("step", "p50 (ms)", "p99 (ms)", title=f"{events} events, one at a time")
    for name, values in (("commit to effect", taken), ("bare commit", commits), ("bare synced publish", publishes)):
        table.add_row(name, f"{quantile(values, 0.5):.2f}", f"{quantile(values, 0.99):.2f}")
    console = Console()
    console.print(table)
    console.print(f"commit to effect is {quantile(taken, 0.5) / floor:.1f} times a bare publish and commit")
    console.print(f"{waiting} waiting events drained in {drained:.1f} s, {waiting / drained:,.0f} events/s")


def main() -> None:
    """Read the options and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1000)
    parser.add_argument("--backlog", type=int, default=10_000)
    options = parser.parse_args()
    asyncio.run(measure(options.events, options.backlog))


if __name__ == "__main__":
    main()
