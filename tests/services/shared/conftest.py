"""One service's database and a connection to NATS."""

from collections.abc import AsyncIterator

import pytest

from slm_shared.delivery.broker import Broker
from slm_shared.settings import PlatformSettings
from slm_shared.storage.database import Database
from slm_testing.databases import MakeDatabase


@pytest.fixture
async def database(platform_settings: PlatformSettings, service_database: MakeDatabase) -> AsyncIterator[Database]:
    """A fresh database of the training service."""
    database = Database(
        platform_settings.database_url(await service_database("training")),
        answer_within_s=platform_settings.answer_within_s,
    )
    yield database
    await database.close()


@pytest.fixture
async def broker(platform_settings: PlatformSettings) -> AsyncIterator[Broker]:
    """A connection to NATS."""
    broker = Broker(platform_settings.nats_url, name="test")
    yield broker
    await broker.close()
