"""From a committed transaction to exactly one effect, on real servers."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import UUID

import pytest
from sqlalchemy import select, text
from sqlalchemy.ext.asyncio import AsyncSession

from slm_shared.background import BackgroundTask, running_in_background
from slm_shared.delivery import outbox
from slm_shared.delivery.broker import Broker
from slm_shared.delivery.bus import Bus, RetryLater
from slm_shared.delivery.outbox import Relay
from slm_shared.events.catalogue import DatasetDeleted, DatasetProcessed
from slm_shared.events.cloudevents import headers_of
from slm_shared.observability.tracing import current_traceparent, tracing
from slm_shared.storage.database import Database, dead_letter_table, inbox_table, outbox_table
from slm_shared.storage.ids import new_id
from slm_testing.events import EventLog
from slm_testing.waiting import eventually

pytestmark = pytest.mark.containers

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@asynccontextmanager
async def working(parts: Sequence[BackgroundTask]) -> AsyncIterator[None]:
    async with running_in_background(parts):

        async def ready() -> bool:
            return all(part.problem() is None for part in parts)

        await eventually(ready)
        yield


def deleted(name: str = "commands-v1") -> DatasetDeleted:
    return DatasetDeleted(dataset_id=new_id(), name=name)


async def count_unpublished(database: Database) -> int:
    async with database.read() as session:
        rows = await session.execute(select(outbox_table).where(outbox_table.c.published_at.is_(None)))
        return len(rows.all())


async def test_a_committed_event_is_published_once_with_its_trace(
    database: Database, broker: Broker, events: EventLog
) -> None:
    event = deleted()
    async with working([Relay(database, broker, source="datasets"), Relay(database, broker, source="datasets")]):
        with tracing(TRACEPARENT):
            async with database.transaction() as session:
                event_id = await outbox.append(session, event)
        await events.wait_for(DatasetDeleted)

        async def published() -> bool:
            return await count_unpublished(database) == 0

        await eventually(published)
    jetstream = await broker.jetstream()
    message = await jetstream.get_last_msg("EVENTS", DatasetDeleted.subject)
    assert message.headers is not None
    assert message.headers["ce-id"] == message.headers["Nats-Msg-Id"] == str(event_id)
    assert message.headers["ce-type"] == "dataset.deleted"
    assert message.headers["traceparent"] == TRACEPARENT
    assert await events.all(DatasetDeleted) == [event]


async def test_an_event_of_a_rolled_back_transaction_is_never_published(
    database: Database, broker: Broker, events: EventLog
) -> None:
    async def change_my_mind() -> None:
        async with database.transaction() as session:
            await outbox.append(session, deleted("rolled-back"))
            raise RuntimeError("changed my mind")

    with pytest.raises(RuntimeError, match="changed my mind"):
        await change_my_mind()
    async with working([Relay(database, broker, source="datasets")]):
        async with database.transaction() as session:
            await outbox.append(session, deleted("committed"))
        await events.wait_for(DatasetDeleted)
    assert [event.name for event in await events.all(DatasetDeleted)] == ["committed"]


@pytest.mark.parametrize("hops", range(6))
async def test_a_relay_that_is_woken_and_stopped_at_once_stops(database: Database, broker: Broker, hops: int) -> None:
    loop, relay = asyncio.get_running_loop(), Relay(database, broker, source="datasets")
    publishing = asyncio.create_task(relay.run())

    async def is_idle() -> bool:
        return relay.problem() is None

    def stop_after(steps: int) -> None:
        if steps:
            loop.call_soon(stop_after, steps - 1)
        else:
            publishing.cancel()

    await eventually(is_idle)
    (wake,) = database.on_commit
    wake()
    stop_after(hops)
    done, _ = await asyncio.wait([publishing], timeout=5)
    publishing.cancel()
    assert done


async def test_many_events_are_all_published(database: Database, broker: Broker, events: EventLog) -> None:
    async with database.transaction() as session:
        for number in range(250):
            await outbox.append(session, deleted(str(number)))
    async with working([Relay(database, broker, source="datasets")]):

        async def published() -> bool:
            return await count_unpublished(database) == 0

        await eventually(published)
    assert sorted(int(event.name) for event in await events.all(DatasetDeleted)) == list(range(250))


async def test_an_event_takes_effect_once_however_often_it_arrives(
    database: Database, broker: Broker, events: EventLog
) -> None:
    handled: list[tuple[UUID, str | None]] = []

    async def handle(_session: AsyncSession, event: DatasetDeleted) -> None:
        handled.append((event.dataset_id, current_traceparent()))

    bus = Bus(database, broker, service="training")
    bus.on(DatasetDeleted, handle)
    event, last = deleted(), deleted()
    async with working([bus]):
        event_id = await events.publish(event)
        await republish(broker, event, event_id)
        await events.publish(last)

        async def both() -> bool:
            return {dataset_id for dataset_id, _ in handled} == {event.dataset_id, last.dataset_id}

        await eventually(both)
    assert len(handled) == 2
    assert all(traceparent for _, traceparent in handled)


async def republish(broker: Broker, event: DatasetDeleted, event_id: UUID) -> None:
    headers = headers_of(
        event_id=str(event_id),
        subject=event.subject,
        source="datasets",
        aggregate_id=str(event.dataset_id),
        time=datetime.now(UTC),
        traceparent=None,
    )
    # Another message id than the event's own: the stream does not see that it is the same event, the inbox must.
    headers["Nats-Msg-Id"] = f"again-{event_id}"
    jetstream = await broker.jetstream()
    await jetstream.publish(event.subject, event.model_dump_json().encode(), headers=dict(headers))


async def test_a_handler_that_fails_is_asked_again_and_leaves_no_half_effect(
    database: Database, broker: Broker, events: EventLog
) -> None:
    attempts: list[int] = []

    async def handle(session: AsyncSession, _event: DatasetDeleted) -> None:
        attempts.append(1)
        await session.execute(text("CREATE TABLE effect (x int)"))
        if len(attempts) == 1:
            raise RetryLater("not yet")

    bus = Bus(database, broker, service="training")
    bus.on(DatasetDeleted, handle)
    async with working([bus]):
        await events.publish(deleted())

        async def done() -> bool:
            async with database.read() as session:
                return len((await session.execute(select(inbox_table))).all()) == 1

        await eventually(done)
    assert len(attempts) == 2


async def test_a_message_that_does_not_fit_becomes_a_dead_letter_and_others_flow(
    database: Database, broker: Broker, events: EventLog
) -> None:
    handled = asyncio.Event()

    async def handle(_session: AsyncSession, _event: DatasetProcessed) -> None:
        handled.set()

    bus = Bus(database, broker, service="training")
    bus.on(DatasetProcessed, handle)
    jetstream = await broker.jetstream()
    await jetstream.publish(DatasetProcessed.subject, b"not even json")
    async with working([bus]):
        await events.publish(processed())
        await asyncio.wait_for(handled.wait(), 10)

        async def buried() -> bool:
            async with database.read() as session:
                return len((await session.execute(select(dead_letter_table))).all()) == 1

        await eventually(buried)


def processed() -> DatasetProcessed:
    return DatasetProcessed(
        dataset_id=new_id(),
        name="commands-v1",
        family="commands",
        version=1,
        usage="training",
        data_type="text",
        row_format="prompt/completion",
        columns=["prompt", "completion"],
        rows=2,
        size_bytes=10,
        sha256="0" * 64,
        object_key="datasets/x/canonical.parquet",
    )
