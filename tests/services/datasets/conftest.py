"""The datasets service on real servers."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import httpx2
import pytest

from slm_datasets.app import create_app
from slm_datasets.settings import DatasetsSettings
from slm_shared.settings import PlatformSettings
from slm_shared.testing import EventLog, running


@pytest.fixture
async def client(
    platform_settings: PlatformSettings,
    principal_keys: Path,
    service_database: Callable[[str], Awaitable[str]],
    events: EventLog,
) -> AsyncIterator[httpx2.AsyncClient]:
    settings = DatasetsSettings(
        port=0,
        database_name=await service_database("datasets"),
        platform=platform_settings,
        max_upload_bytes=2 * 1024 * 1024,
        poll_s=0.2,
        sweep_after_s=0.0,
        sweep_every_s=0.2,
    )
    async with running(create_app(settings), principal_keys) as client:
        yield client
