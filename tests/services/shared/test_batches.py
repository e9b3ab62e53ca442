"""What was fetched at once takes effect in one transaction, and one message that fails does not undo the others."""

from collections import Counter

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from slm_shared.background import running_in_background
from slm_shared.delivery.broker import Broker
from slm_shared.delivery.bus import Bus
from slm_shared.events.catalogue import DatasetDeleted
from slm_shared.storage.database import Database
from slm_shared.storage.ids import new_id
from slm_testing.events import EventLog
from slm_testing.waiting import eventually

pytestmark = pytest.mark.containers

WAITING = 8


@pytest.fixture
async def effects(database: Database) -> Database:
    """The database of a service with a table for the effects of its handler."""
    async with database.transaction() as session:
        await session.execute(text("CREATE TABLE effect (name text NOT NULL)"))
    return database


async def names(database: Database) -> list[str]:
    async with database.read() as session:
        return list(await session.scalars(text("SELECT name FROM effect ORDER BY name")))


async def transactions(database: Database) -> int:
    """How many transactions wrote the effects (PostgreSQL keeps the number of a row's transaction in `xmin`)."""
    async with database.read() as session:
        counted: int = (await session.execute(text("SELECT count(DISTINCT xmin::text) FROM effect"))).scalar_one()
        return counted


async def wait_for_effects(database: Database, count: int) -> None:
    async def there() -> bool:
        return len(await names(database)) >= count

    await eventually(there)


async def publish_waiting(events: EventLog) -> list[str]:
    """Events that are in the stream before anybody consumes."""
    waiting = [f"waiting-{number}" for number in range(WAITING)]
    for name in waiting:
        await events.publish(DatasetDeleted(dataset_id=new_id(), name=name))
    return waiting


async def take_effect(session: AsyncSession, event: DatasetDeleted) -> None:
    await session.execute(text("INSERT INTO effect VALUES (:name)"), {"name": event.name})


async def test_waiting_events_take_effect_in_few_transactions(
    effects: Database, broker: Broker, events: EventLog
) -> None:
    waiting = await publish_waiting(events)
    bus = Bus(effects, broker, service="training", handlers=[(DatasetDeleted, take_effect)])
    async with running_in_background([bus]):
        await wait_for_effects(effects, WAITING)
    assert await names(effects) == waiting
    assert await transactions(effects) < WAITING


async def test_one_that_fails_undoes_none_of_the_others(effects: Database, broker: Broker, events: EventLog) -> None:
    asked: Counter[str] = Counter()

    async def fails_once(session: AsyncSession, event: DatasetDeleted) -> None:
        asked[event.name] += 1
        await take_effect(session, event)
        # In the batch, and then alone: only the delivery after that succeeds.
        if event.name == "waiting-3" and asked[event.name] < 3:
            raise RuntimeError("cannot act yet")

    waiting = await publish_waiting(events)
    bus = Bus(effects, broker, service="training", handlers=[(DatasetDeleted, fails_once)])
    async with running_in_background([bus]):
        await wait_for_effects(effects, WAITING - 1)
        assert await names(effects) == [name for name in waiting if name != "waiting-3"]
        await wait_for_effects(effects, WAITING)
    assert await names(effects) == waiting
    assert asked["waiting-3"] == 3


async def test_an_event_that_comes_twice_at_once_takes_effect_once(
    effects: Database, broker: Broker, events: EventLog
) -> None:
    event, event_id = DatasetDeleted(dataset_id=new_id(), name="twice"), new_id()
    for number in range(2):
        await events.publish(event, event_id=event_id, message_id=f"{event_id}-{number}")
    await events.publish(DatasetDeleted(dataset_id=new_id(), name="last"))
    bus = Bus(effects, broker, service="training", handlers=[(DatasetDeleted, take_effect)])
    async with running_in_background([bus]):
        await wait_for_effects(effects, 2)
    assert await names(effects) == ["last", "twice"]


async def test_a_handler_reads_what_the_one_before_it_stored(
    effects: Database, broker: Broker, events: EventLog
) -> None:
    async def number(session: AsyncSession, event: DatasetDeleted) -> None:
        before = (await session.execute(text("SELECT count(*) FROM effect"))).scalar_one()
        await session.execute(text("INSERT INTO effect VALUES (:name)"), {"name": f"number-{before}"})

    await publish_waiting(events)
    bus = Bus(effects, broker, service="training", handlers=[(DatasetDeleted, number)])
    async with running_in_background([bus]):
        await wait_for_effects(effects, WAITING)
    assert await names(effects) == [f"number-{number}" for number in range(WAITING)]
