"""Fixtures for tests on real servers (`pytest_plugins = ["slm_testing.plugin"]`).

NATS, PostgreSQL and S3 come from one of three sources, and tests cannot tell which:
- the environment names them: `SLM_TEST_NATS_URL`, `SLM_TEST_POSTGRES_URL` and `SLM_TEST_S3_ENDPOINT`;
- `pytest -m containers` runs the tests with that marker on containers, and skips them where no engine answers;
- otherwise each test process starts the embedded servers.
Each test gets fresh databases and empty streams.
"""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from slm_shared.settings import PlatformSettings
from slm_testing.containers import NoEngineError
from slm_testing.databases import MakeDatabase, Templates, fresh_databases
from slm_testing.events import EventLog, emptied_events
from slm_testing.servers import servers_for_tests


@pytest.fixture(scope="session")
async def platform_settings(
    pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[PlatformSettings]:
    """Settings that lead to real servers with bucket, streams and signing keys in place."""
    chosen: str = pytestconfig.getoption("markexpr")
    async with AsyncExitStack() as running:
        try:
            servers = servers_for_tests(tmp_path_factory.mktemp("servers"), in_containers=chosen == "containers")
            settings = await running.enter_async_context(servers)
        except NoEngineError as error:
            pytest.skip(str(error))
        yield settings


@pytest.fixture(scope="session")
def principal_keys(platform_settings: PlatformSettings) -> Path:
    """The folder with `gateway.json`, `service.json`, `worker.json` and `principals.json`."""
    assert platform_settings.principal_keys is not None
    return platform_settings.principal_keys.parent


@pytest.fixture(scope="session")
def _templates(platform_settings: PlatformSettings) -> Templates:
    return Templates(platform_settings)


@pytest.fixture
async def service_database(
    platform_settings: PlatformSettings, _templates: Templates, events: EventLog
) -> AsyncIterator[MakeDatabase]:
    """`await service_database("training")`: the name of a fresh, migrated database, dropped after the test."""
    del events
    async with fresh_databases(platform_settings, _templates) as make:
        yield make


@pytest.fixture
async def events(platform_settings: PlatformSettings) -> AsyncIterator[EventLog]:
    """The event stream, emptied for this test."""
    async with emptied_events(platform_settings) as log:
        yield log
