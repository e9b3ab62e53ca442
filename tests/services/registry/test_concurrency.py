"""Many registrations at once: versions without gaps or twins."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from uuid import UUID

import httpx2
import pytest

from slm_registry.service.registration import Registrar
from slm_registry.settings import RegistrySettings
from slm_shared.errors import UnavailableError
from slm_shared.events.catalogue import ModelRegistered
from slm_shared.storage.database import Database
from slm_shared.storage.signing import signer_for
from slm_testing.events import EventLog
from slm_testing.waiting import eventually
from tests.support.registry import Artifact, model, models

AT_ONCE = 50


@pytest.fixture
async def database(settings: RegistrySettings) -> AsyncIterator[Database]:
    """The registry's database with a connection for each."""
    database = Database(settings.database_url, pool_size=AT_ONCE, answer_within_s=settings.platform.answer_within_s)
    yield database
    await database.close()


async def test_versions_are_gapless_and_unique_with_fifty_registrations_at_once(
    client: httpx2.AsyncClient,
    base_id: UUID,
    artifact: Artifact,
    database: Database,
    settings: RegistrySettings,
    events: EventLog,
) -> None:
    registrar = Registrar(signer_for(settings.platform.signing_key))
    experiments = [artifact.experiment(base_id) for _ in range(AT_ONCE)]
    begin = asyncio.Event()

    async def register(number: int) -> None:
        await begin.wait()
        while True:
            # The last of fifty may wait longer for its turn than a statement may: the bus would deliver it again.
            with contextlib.suppress(UnavailableError):
                async with database.transaction() as session:
                    await registrar.register_fine_tuned(session, experiments[number])
                return

    tasks = [asyncio.create_task(register(number)) for number in range(AT_ONCE)]
    begin.set()
    await asyncio.gather(*tasks)
    listed = await models(client, family="commands", limit=100)
    assert sorted(each["version"] for each in listed) == list(range(1, AT_ONCE + 1))
    assert {each["name"] for each in listed} == {f"commands-v{number}" for number in range(1, AT_ONCE + 1)}
    assert (await model(client, "commands@latest"))["version"] == AT_ONCE
    moves = (await client.get("/api/models/commands/aliases")).json()["history"]
    assert [move["model"] for move in moves] == [f"commands-v{number}" for number in range(AT_ONCE, 0, -1)]

    async def all_told() -> bool:
        return len(await events.all(ModelRegistered)) == AT_ONCE + 1

    assert await eventually(all_told)


async def test_the_same_experiment_told_many_times_at_once_is_one_model(
    client: httpx2.AsyncClient, base_id: UUID, artifact: Artifact, events: EventLog
) -> None:
    experiment = artifact.experiment(base_id)
    await asyncio.gather(*(events.publish(experiment) for _ in range(10)))
    after = artifact.experiment(base_id)
    await events.publish(after)
    await events.wait_for(ModelRegistered, lambda event: event.experiment_id == after.experiment_id)
    assert sorted(each["version"] for each in await models(client, family="commands")) == [1, 2]
