"""The registry on real servers, and a small model that an experiment could have made."""

from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from uuid import UUID

import httpx2
import pytest
from nats.js import JetStreamContext

from slm_registry.app import create_app
from slm_registry.settings import RegistrySettings
from slm_shared.delivery.broker import Broker
from slm_shared.settings import PlatformSettings
from slm_shared.storage import manifest
from slm_shared.storage.ids import new_id
from slm_shared.storage.objects import ObjectStore
from slm_testing.apps import running
from slm_testing.databases import MakeDatabase
from tests.support.registry import CONTENT, Artifact, Settled, model, reached, ready


@pytest.fixture
def objects(platform_settings: PlatformSettings) -> ObjectStore:
    return ObjectStore(platform_settings)


@pytest.fixture
async def artifact(objects: ObjectStore, tmp_path: Path) -> Artifact:
    folder, prefix = tmp_path / "artifact", f"artifacts/{new_id()}"
    for path, content in CONTENT.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return Artifact(prefix, await manifest.upload(objects, folder, prefix))


@pytest.fixture
async def settings(platform_settings: PlatformSettings, service_database: MakeDatabase) -> RegistrySettings:
    return RegistrySettings(port=0, database_name=await service_database("registry"), platform=platform_settings)


@pytest.fixture
async def client(settings: RegistrySettings, principal_keys: Path) -> AsyncIterator[httpx2.AsyncClient]:
    async with running(create_app(settings), principal_keys) as client:
        await ready(client)
        yield client


@pytest.fixture
async def base_id(client: httpx2.AsyncClient) -> UUID:
    return UUID((await model(client, "nano-v1"))["id"])


@pytest.fixture
async def jetstream(platform_settings: PlatformSettings) -> AsyncIterator[JetStreamContext]:
    broker = Broker(platform_settings.nats_url, name="tests")
    yield await broker.jetstream()
    await broker.close()


@pytest.fixture
def delivered(jetstream: JetStreamContext) -> Settled:
    """`await delivered(SomeEvent)`: wait until a registry was given every event of a class, whatever it made of it."""
    return partial(reached, jetstream, lambda info: info.delivered)


@pytest.fixture
def settled(jetstream: JetStreamContext) -> Settled:
    """`await settled(SomeEvent)`: wait until registries have acknowledged every event of a class."""
    return partial(reached, jetstream, lambda info: info.ack_floor)
