"""The faults: each does its harm under load and returns once the cause is gone."""

import asyncio
import os
import random
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from slm_shared.delivery.broker import Broker
from slm_shared.events.topology import EVENTS, STREAMS
from slm_shared.migrate import database_name
from tests.support.cluster import Cluster

Injection = Callable[[Cluster, random.Random], Awaitable[None]]


async def nothing(cluster: Cluster, chance: random.Random) -> None:
    """No fault: what the others are compared with."""
    del cluster, chance
    await asyncio.sleep(1)


async def kill_services(cluster: Cluster, chance: random.Random) -> None:
    """F5: kill -9 of one service after the other."""
    for name in chance.sample(cluster.services, len(cluster.services)):
        await cluster.kill(name)
        await asyncio.sleep(chance.uniform(0, 1))
        await cluster.start_part(name)
        await asyncio.sleep(chance.uniform(0, 1))


async def terminate_services(cluster: Cluster, chance: random.Random) -> None:
    """F6: SIGTERM of one service after the other."""
    for name in chance.sample(cluster.services, len(cluster.services)):
        async with asyncio.timeout(35):
            await cluster.terminate(name)
        await cluster.start_part(name)


async def kill_nats(cluster: Cluster, chance: random.Random) -> None:
    """F7: kill -9 of NATS, back after some seconds."""
    await cluster.kill("nats")
    await asyncio.sleep(chance.uniform(3, 6))
    await cluster.start_part("nats")


async def delete_jetstream(cluster: Cluster, chance: random.Random) -> None:
    """F8: NATS comes back with an empty folder; the migration step makes the streams again."""
    await cluster.kill("nats")
    cluster.delete_jetstream()
    await asyncio.sleep(chance.uniform(0, 2))
    await cluster.start_part("nats")
    await cluster.migrate()


async def truncate_stream(cluster: Cluster, chance: random.Random) -> None:
    """F11: the newest block of the stream loses its last bytes while NATS is down."""
    await cluster.kill("nats")
    cut_newest_block(cluster.data_dir / "nats" / "jetstream", share=chance.uniform(0.2, 0.9))
    await cluster.start_part("nats")
    await cluster.migrate()


def cut_newest_block(folder: Path, *, share: float) -> None:
    """Shorten the newest block file of the stream of events."""
    blocks = [path for path in folder.rglob("*.blk") if EVENTS in path.parts]
    newest = max(blocks, key=lambda path: path.stat().st_mtime)
    os.truncate(newest, int(newest.stat().st_size * share))


async def stop_nats(cluster: Cluster, chance: random.Random) -> None:
    """F12: NATS hangs, its connections stay open."""
    cluster.signal("nats", signal.SIGSTOP)
    await asyncio.sleep(chance.uniform(8, 15))
    cluster.signal("nats", signal.SIGCONT)


async def kill_postgres(cluster: Cluster, chance: random.Random) -> None:
    """F14: kill -9 of PostgreSQL, back after some seconds."""
    await cluster.kill("postgres")
    await asyncio.sleep(chance.uniform(1, 3))
    await cluster.start_part("postgres")


async def restart_postgres(cluster: Cluster, chance: random.Random) -> None:
    """F15: PostgreSQL restarts again and again, in the middle of transactions."""
    for _ in range(5):
        await cluster.terminate("postgres")
        await cluster.start_part("postgres")
        await asyncio.sleep(chance.uniform(0, 1))


async def cut_database_sessions(cluster: Cluster, chance: random.Random) -> None:
    """F14: every connection to PostgreSQL is ended, ten times."""
    engine = create_async_engine(cluster.settings.database_url("postgres"), isolation_level="AUTOCOMMIT")
    for _ in range(10):
        async with engine.connect() as connection:
            await connection.execute(
                text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname LIKE 'slm%'")
            )
        await asyncio.sleep(chance.uniform(0, 0.5))
    await engine.dispose()


async def block_database(cluster: Cluster, chance: random.Random) -> None:
    """F17: every query on runs waits for a lock, until the pool is used up."""
    engine = create_async_engine(cluster.settings.database_url(database_name("training")))
    async with engine.begin() as connection:
        await connection.execute(text("LOCK TABLE run IN ACCESS EXCLUSIVE MODE"))
        await asyncio.sleep(chance.uniform(4, 7))
    await engine.dispose()


async def black_hole(cluster: Cluster, chance: random.Random) -> None:
    """F18: packets to NATS vanish."""
    cluster.proxies["nats"].hold()
    await asyncio.sleep(chance.uniform(20, 35))
    cluster.proxies["nats"].flow()


async def slow_links(cluster: Cluster, chance: random.Random) -> None:
    """F19: every link is slow, one after the other."""
    for name in ("nats", "postgres", "s3"):
        cluster.proxies[name].delay_s = chance.uniform(0.05, 0.15)
        await asyncio.sleep(4)
        cluster.proxies[name].flow()


async def cut_replies(cluster: Cluster, chance: random.Random) -> None:
    """F20: answers to clients break off half way, after what was asked for has been done."""
    for _ in range(10):
        cluster.proxies["gateway"].cut_replies_after = chance.randint(0, 2000)
        await asyncio.sleep(0.5)
        cluster.proxies["gateway"].flow()
        cluster.proxies["gateway"].cut()


async def cut_connections(cluster: Cluster, chance: random.Random) -> None:
    """Every connection between services and servers breaks, twenty times."""
    for _ in range(20):
        cluster.proxies[chance.choice(("nats", "postgres", "s3"))].cut()
        await asyncio.sleep(chance.uniform(0, 0.4))


async def delete_consumers(cluster: Cluster, chance: random.Random) -> None:
    """F22: consumers vanish from NATS; the migration step makes them again."""
    broker = Broker(cluster.settings.nats_url, name="fault")
    jetstream = await broker.jetstream()
    for durable in ("registry-experiment-completed", "training-dataset-processed"):
        await jetstream.delete_consumer(EVENTS, durable)
    await asyncio.sleep(chance.uniform(2, 5))
    await broker.close()
    await cluster.migrate()


async def fill_stream(cluster: Cluster, chance: random.Random) -> None:
    """F23: the stream takes no more messages, until its limit is raised."""
    broker = Broker(cluster.settings.nats_url, name="fault")
    jetstream = await broker.jetstream()
    usual = next(stream for stream in STREAMS if stream.name == EVENTS)
    info = await jetstream.stream_info(EVENTS)
    await jetstream.update_stream(usual.evolve(max_bytes=info.state.bytes))
    await asyncio.sleep(chance.uniform(4, 8))
    await jetstream.update_stream(usual)
    await broker.close()


async def kill_s3(cluster: Cluster, chance: random.Random) -> None:
    """F27: the object store is away."""
    await cluster.kill("s3")
    await asyncio.sleep(chance.uniform(3, 6))
    await cluster.start_part("s3")


async def stop_training(cluster: Cluster, chance: random.Random) -> None:
    """F34: the training service is away for longer than leases live, while workers go on."""
    await cluster.kill("training")
    await asyncio.sleep(chance.uniform(6, 8))
    await cluster.start_part("training")


async def kill_everything(cluster: Cluster, chance: random.Random) -> None:
    """F47: everything is killed at once."""
    del chance
    names = [*cluster.services, "nats", "postgres", "s3"]
    await asyncio.gather(*(cluster.kill(name) for name in names))
    await asyncio.gather(*(cluster.start_part(name) for name in ("nats", "postgres", "s3")))
    await cluster.migrate()
    await asyncio.gather(*(cluster.start_part(name) for name in cluster.services))


def dying_at(failpoint: str, *services: str) -> Injection:
    """F1, F2, F4: services die at one place of the code, again and again."""

    async def inject(cluster: Cluster, chance: random.Random) -> None:
        for name in services:
            await cluster.terminate(name)
        cluster.failpoint = f"{failpoint}:0.05"
        for _ in range(4):
            for name in services:
                if not cluster.is_running(name):
                    await cluster.start_part(name)
            await asyncio.sleep(chance.uniform(2, 4))
        cluster.failpoint = None
        for name in services:
            if cluster.is_running(name):
                await cluster.kill(name)
            await cluster.start_part(name)

    inject.__doc__ = f"Services die where the code says {failpoint}."
    return inject


INJECTIONS: dict[str, Injection] = {
    "no fault": nothing,
    "F1 dies after commit, before publish": dying_at("claimed-before-publish", "training", "datasets"),
    "F2 dies after publish, before marking": dying_at("published-before-mark", "training", "registry"),
    "F4 dies after handling, before ack": dying_at("handled-before-ack", "registry", "training"),
    "F5 kill -9 of each service": kill_services,
    "F6 SIGTERM of each service": terminate_services,
    "F7 kill -9 of NATS": kill_nats,
    "F8 JetStream folder deleted": delete_jetstream,
    "F11 JetStream block cut off": truncate_stream,
    "F12 SIGSTOP of NATS": stop_nats,
    "F14 kill -9 of PostgreSQL": kill_postgres,
    "F14 database sessions ended": cut_database_sessions,
    "F15 PostgreSQL restarts": restart_postgres,
    "F17 database locked": block_database,
    "F18 black hole to NATS": black_hole,
    "F19 slow links": slow_links,
    "F20 answers cut off": cut_replies,
    "F20 connections cut": cut_connections,
    "F22 consumers deleted": delete_consumers,
    "F23 stream full": fill_stream,
    "F27 S3 away": kill_s3,
    "F34 training service away": stop_training,
    "F47 everything killed at once": kill_everything,
}
