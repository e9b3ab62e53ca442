"""What NATS and its client do by default and must not do here. `docs/reliability.md` lists them with their settings."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from functools import partial
from itertools import pairwise
from pathlib import Path

import httpx2
import pytest
from nats.js.api import AckPolicy, StreamConfig
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from slm_local.ports import LOOPBACK, free_port
from slm_local.probes import http_ok
from slm_local.process import Process
from slm_local.programs import script
from slm_local.servers.nats import NatsServer, start_nats
from slm_shared.background import running_in_background
from slm_shared.delivery.broker import DEAF_AFTER, Broker
from slm_shared.delivery.bus import Bus
from slm_shared.delivery.pulling import RETRY_DELAYS_S
from slm_shared.events.catalogue import DatasetDeleted
from slm_shared.events.topology import CONSUMERS, EVENTS, STREAMS, Consumer
from slm_shared.storage.database import Database, inbox_table
from slm_shared.storage.ids import new_id
from slm_testing.events import EventLog
from slm_testing.waiting import eventually

pytestmark = pytest.mark.containers

DURABLE = "training-dataset-deleted"


async def test_a_message_given_back_comes_again_after_a_pause(
    database: Database, broker: Broker, events: EventLog
) -> None:
    # A negative acknowledgement without a delay is answered at once: a minute's outage would use up every delivery.
    loop, asked = asyncio.get_running_loop(), []

    async def handle(_session: AsyncSession, _event: DatasetDeleted) -> None:
        asked.append(loop.time())
        if len(asked) < 3:
            raise RuntimeError("not yet")

    bus = Bus(database, broker, service="training")
    bus.on(DatasetDeleted, handle)
    async with running_in_background([bus]):
        await events.publish(DatasetDeleted(dataset_id=new_id(), name="rows-v1"))

        async def is_handled() -> bool:
            return len(asked) == 3

        await eventually(is_handled)
    pauses = [later - earlier for earlier, later in pairwise(asked)]
    assert [pause >= delay for pause, delay in zip(pauses, RETRY_DELAYS_S, strict=False)] == [True, True]


async def test_what_is_being_handled_at_shutdown_is_finished_and_acknowledged(
    database: Database, broker: Broker, events: EventLog
) -> None:
    begun, may_end = asyncio.Event(), asyncio.Event()

    async def handle(_session: AsyncSession, _event: DatasetDeleted) -> None:
        begun.set()
        await may_end.wait()

    bus = Bus(database, broker, service="training")
    bus.on(DatasetDeleted, handle)
    consuming = asyncio.create_task(bus.run())
    await events.publish(DatasetDeleted(dataset_id=new_id(), name="rows-v1"))
    await begun.wait()
    consuming.cancel()
    may_end.set()
    await asyncio.wait([consuming])
    async with database.read() as session:
        assert len((await session.execute(select(inbox_table))).all()) == 1
    jetstream = await broker.jetstream()
    info = await jetstream.consumer_info(EVENTS, DURABLE)
    assert (info.num_ack_pending, info.num_redelivered) == (0, 0)


@pytest.mark.parametrize("consumer", CONSUMERS, ids=lambda each: each.durable)
async def test_the_server_has_each_consumer_as_it_is_written(broker: Broker, consumer: Consumer) -> None:
    # `backoff` would replace `ack_wait` by its first entry, and a message held back counts as pending.
    jetstream = await broker.jetstream()
    live = (await jetstream.consumer_info(consumer.stream, consumer.durable)).config
    assert live.ack_policy == AckPolicy.EXPLICIT
    assert not live.backoff
    assert live.ack_wait == consumer.ack_wait_s
    assert (live.max_deliver, live.max_ack_pending) == (12, 256)


@pytest.mark.parametrize("stream", STREAMS, ids=lambda each: each.name)
async def test_a_repeated_publish_is_one_message_for_ten_minutes(
    broker: Broker, events: EventLog, stream: StreamConfig
) -> None:
    jetstream = await broker.jetstream()
    assert stream.name is not None
    assert (await jetstream.stream_info(stream.name)).config.duplicate_window == 600
    subject = DatasetDeleted.subject if stream.name == EVENTS else "telemetry.test"
    headers = {"Nats-Msg-Id": str(new_id())}
    answers = [await jetstream.publish(subject, b"{}", headers=dict(headers)) for _ in range(2)]
    assert [bool(answer.duplicate) for answer in answers] == [False, True]


async def test_a_client_never_gives_up_and_notices_a_silent_link(broker: Broker) -> None:
    # By default it closes for ever after two minutes without a server, and takes six to notice one that is deaf.
    jetstream = await broker.jetstream()
    options = jetstream._nc.options
    assert options["max_reconnect_attempts"] == -1
    assert options["ping_interval"] * options["max_outstanding_pings"] <= 30


@pytest.fixture
async def own_nats(tmp_path: Path) -> AsyncIterator[NatsServer]:
    """A NATS server that a test may stop."""
    (tmp_path / "nats").mkdir()
    server = await start_nats(tmp_path / "nats", logs=tmp_path)
    yield server
    await server.process.stop()


async def is_away(broker: Broker) -> bool:
    """Whether a connection is known not to work."""
    return broker.problem() is not None


async def is_back(broker: Broker) -> bool:
    """Whether a connection is known to work."""
    return broker.problem() is None


async def test_an_answer_that_comes_too_late_does_not_make_the_connection_deaf(own_nats: NatsServer) -> None:
    # A late answer to a flush that was given up ends the client's read loop, and from then on every flush succeeds.
    broker = Broker(own_nats.url, name="test")
    async with running_in_background([broker]):
        await (await broker.jetstream()).account_info()
        os.kill(own_nats.process.pid, signal.SIGSTOP)
        try:
            await eventually(partial(is_away, broker))
        finally:
            os.kill(own_nats.process.pid, signal.SIGCONT)
        await eventually(partial(is_back, broker), timeout_s=10)
        assert (await (await broker.jetstream()).account_info()).streams == 0
    await broker.close()


async def test_a_deaf_connection_is_known_as_such_and_made_anew(own_nats: NatsServer) -> None:
    # The client itself takes half a minute to notice that nobody reads what the server sends.
    broker = Broker(own_nats.url, name="test")
    async with running_in_background([broker]):
        jetstream = await broker.jetstream()
        assert jetstream._nc._reading_task is not None
        jetstream._nc._reading_task.cancel()
        await eventually(partial(is_away, broker))
        await eventually(partial(is_back, broker), timeout_s=10)
        assert (await (await broker.jetstream()).account_info()).streams == 0
    await broker.close()


async def test_a_server_that_refuses_is_not_taken_for_a_deaf_connection(tmp_path: Path) -> None:
    # As when a full disk switched JetStream off: a connection made anew every two seconds would mend nothing.
    port, monitoring = free_port(), free_port()
    argv = (str(script("nats-server")), "-a", LOOPBACK, "-p", str(port), "-m", str(monitoring))
    server = await Process.start("nats", argv, log_path=tmp_path / "nats.log")
    await server.wait_ready(lambda: http_ok(f"http://{LOOPBACK}:{monitoring}/healthz"))
    broker = Broker(f"nats://{LOOPBACK}:{port}", name="test")
    async with running_in_background([broker]), httpx2.AsyncClient() as client:

        async def asked_often() -> dict[str, int] | None:
            known: dict[str, int] = (await client.get(f"http://{LOOPBACK}:{monitoring}/varz")).json()
            return known if known["in_msgs"] > 2 * DEAF_AFTER else None

        assert (await eventually(asked_often))["total_connections"] == 1
        assert broker.problem() is not None
    await broker.close()
    await server.stop()
