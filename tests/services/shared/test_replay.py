"""A stream that came back with less than it acknowledged: everything is published again, and takes effect once."""

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from uuid import UUID

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from slm_shared.background import running_in_background
from slm_shared.delivery import outbox
from slm_shared.delivery.broker import Broker
from slm_shared.delivery.bus import Bus
from slm_shared.delivery.outbox import Relay
from slm_shared.delivery.reconciler import Reconciler
from slm_shared.delivery.replay import republish_lost
from slm_shared.events.catalogue import DatasetDeleted
from slm_shared.events.topology import EVENTS, migrate_topology
from slm_shared.settings import PlatformSettings
from slm_shared.storage.database import Database, outbox_table
from slm_shared.storage.ids import new_id
from slm_testing.apps import running
from slm_testing.databases import MakeDatabase
from slm_testing.events import EventLog
from slm_testing.waiting import eventually
from slm_training.app import create_app
from slm_training.settings import TrainingSettings

pytestmark = pytest.mark.containers


@pytest.fixture
async def database(platform_settings: PlatformSettings, service_database: MakeDatabase) -> AsyncIterator[Database]:
    database = Database(
        platform_settings.database_url(await service_database("datasets")),
        answer_within_s=platform_settings.answer_within_s,
    )
    yield database
    await database.close()


async def publish(database: Database, broker: Broker, count: int) -> list[UUID]:
    """Publish events by an outbox and wait until all are out; their ids in order."""
    ids = []
    async with running_in_background([Relay(database, broker, source="datasets")]):
        for number in range(count):
            async with database.transaction() as session:
                ids.append(await outbox.append(session, DatasetDeleted(dataset_id=new_id(), name=str(number))))
        await eventually(all_published(database))
    return ids


def all_published(database: Database) -> Callable[[], Awaitable[bool]]:
    async def check() -> bool:
        async with database.read() as session:
            waiting = await session.execute(select(outbox_table).where(outbox_table.c.published_at.is_(None)))
            return not waiting.all()

    return check


async def lose_everything(broker: Broker) -> None:
    """What `rm -rf` of the JetStream folder leaves, after the migration step of the next start."""
    jetstream = await broker.jetstream()
    await jetstream.delete_stream(EVENTS)
    await migrate_topology(jetstream)


async def ids_in_stream(broker: Broker) -> list[str]:
    jetstream = await broker.jetstream()
    info = await jetstream.stream_info(EVENTS)
    found = []
    for seq in range(1, info.state.last_seq + 1):
        message = await jetstream.get_msg(EVENTS, seq=seq)
        found.append((message.headers or {})["Nats-Msg-Id"])
    return found


async def test_a_deleted_stream_is_filled_again(database: Database, broker: Broker, events: EventLog) -> None:
    del events
    ids = await publish(database, broker, 7)
    await lose_everything(broker)
    async with running_in_background([Relay(database, broker, source="datasets")]):

        async def is_filled() -> bool:
            return len(await ids_in_stream(broker)) == 7

        await eventually(is_filled)
        await eventually(all_published(database))
    assert sorted(await ids_in_stream(broker)) == sorted(map(str, ids))


@pytest.mark.parametrize("kept", [0, 1, 6, 12])
async def test_only_what_the_stream_lost_is_published_again(
    database: Database, broker: Broker, events: EventLog, kept: int
) -> None:
    del events
    await lose_everything(broker)
    ids = await publish(database, broker, 13)
    await lose_everything(broker)
    jetstream = await broker.jetstream()
    for event_id in ids[:kept]:
        await jetstream.publish(DatasetDeleted.subject, b"{}", stream=EVENTS, headers={"Nats-Msg-Id": str(event_id)})
    # Others have published since: the number of messages alone tells nothing.
    for _ in range(20):
        await jetstream.publish(DatasetDeleted.subject, b"{}", stream=EVENTS, headers={"Nats-Msg-Id": str(new_id())})
    assert await republish_lost(database, jetstream) == 13 - kept
    async with database.read() as session:
        lost = select(outbox_table.c.event_id).where(outbox_table.c.published_at.is_(None))
        assert set((await session.scalars(lost)).all()) == set(ids[kept:])


async def test_a_stream_that_lost_nothing_gets_nothing(database: Database, broker: Broker, events: EventLog) -> None:
    del events
    await publish(database, broker, 3)
    assert await republish_lost(database, await broker.jetstream()) == 0


async def test_what_a_consumer_never_saw_is_found_and_published_again(
    platform_settings: PlatformSettings,
    principal_keys: object,
    service_database: MakeDatabase,
    database: Database,
    broker: Broker,
    events: EventLog,
) -> None:
    del events
    await publish(database, broker, 3)
    await lose_everything(broker)
    settings = TrainingSettings(port=0, database_name=await service_database("training"), platform=platform_settings)
    async with running(create_app(settings), principal_keys) as training:  # type: ignore[arg-type]
        linked = platform_settings.model_copy(update={"training_url": str(training.base_url)})
        reconciler = Reconciler(database, linked, source="datasets")
        assert await reconciler.reconcile() == 0  # too young: they may still be on their way
        assert await reconciler.reconcile(youngest=timedelta(0)) == 3
        async with running_in_background([Relay(database, broker, source="datasets")]):

            async def are_handled() -> bool:
                return await reconciler.reconcile(youngest=timedelta(0)) == 0

            await eventually(are_handled)
        await reconciler.close()


async def test_a_publish_that_fails_gives_its_claim_back(
    database: Database, platform_settings: PlatformSettings, broker: Broker, events: EventLog
) -> None:
    del events
    jetstream = await broker.jetstream()
    await jetstream.delete_stream(EVENTS)
    relay = Relay(database, broker, source="datasets")
    async with database.transaction() as session:
        await outbox.append(session, DatasetDeleted(dataset_id=new_id(), name="waits"))
    async with running_in_background([relay]):

        async def has_failed() -> bool:
            return relay.problem() == "cannot publish events"

        await eventually(has_failed)
        await migrate_topology(jetstream)
        await eventually(all_published(database))
        assert relay.problem() is None or await eventually(is_well(relay))


def is_well(relay: Relay) -> Callable[[], Awaitable[bool]]:
    async def check() -> bool:
        return relay.problem() is None

    return check


async def test_a_consumer_with_other_settings_is_reported_until_the_migration_mends_it(
    platform_settings: PlatformSettings, service_database: MakeDatabase, broker: Broker, events: EventLog
) -> None:
    del events
    training = Database(
        platform_settings.database_url(await service_database("training")),
        answer_within_s=platform_settings.answer_within_s,
    )
    jetstream = await broker.jetstream()
    info = await jetstream.consumer_info(EVENTS, "training-dataset-deleted")
    await jetstream.add_consumer(EVENTS, info.config.evolve(ack_wait=7.0))
    bus = Bus(training, broker, service="training")
    bus.on(DatasetDeleted, ignore)
    async with running_in_background([bus]):

        async def is_reported() -> bool:
            return "ack_wait" in (bus.problem() or "")

        async def is_mended() -> bool:
            return bus.problem() is None

        await eventually(is_reported)
        await migrate_topology(jetstream)
        await eventually(is_mended)
        await jetstream.delete_consumer(EVENTS, "training-dataset-deleted")

        async def is_missed() -> bool:
            return "lost its consumer" in (bus.problem() or "")

        await eventually(is_missed)
        await migrate_topology(jetstream)
        await eventually(is_mended)
    await training.close()


async def ignore(session: AsyncSession, event: DatasetDeleted) -> None:
    """Has no effect."""
    del session, event
