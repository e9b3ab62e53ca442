"""The datasets service on real servers."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from slm_datasets.app import create_app
from slm_datasets.settings import DatasetsSettings
from slm_shared.settings import PlatformSettings
from slm_testing.apps import running
from slm_testing.databases import MakeDatabase
from slm_testing.events import EventLog


@pytest.fixture
async def datasets_settings(
    platform_settings: PlatformSettings, service_database: MakeDatabase, events: EventLog
) -> DatasetsSettings:
    """Settings of a service with a database of its own."""
    return DatasetsSettings(
        port=0,
        database_name=await service_database("datasets"),
        platform=platform_settings,
        max_upload_bytes=2 * 1024 * 1024,
        poll_s=0.2,
        cleanup_after_s=0.0,
        cleanup_every_s=0.2,
    )


@pytest.fixture
async def client(datasets_settings: DatasetsSettings, principal_keys: Path) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of a running service."""
    async with running(create_app(datasets_settings), principal_keys) as client:
        yield client


@pytest.fixture
async def parted(datasets_settings: DatasetsSettings, principal_keys: Path) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of a service that takes small parts, and three uploads at a time."""
    settings = datasets_settings.model_copy(update={"upload_part_bytes": 5 * 1024 * 1024, "max_open_uploads": 3})
    async with running(create_app(settings), principal_keys) as client:
        yield client
