"""Migrations happen wholly or not at all, and once however many ask for them."""

import asyncio
import os
import sys

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.ext.asyncio import create_async_engine

from slm_shared.migrate import create_database, migrate_database
from slm_shared.settings import PlatformSettings
from slm_shared.storage.ids import new_id

pytestmark = pytest.mark.containers

TABLES = "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1"


async def execute(settings: PlatformSettings, database: str, statement: str) -> list[str]:
    """Run one statement; the first column of what it gives."""
    engine = create_async_engine(settings.database_url(database), isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        result = await connection.execute(text(statement))
        rows = [str(row[0]) for row in result] if result.returns_rows else []
    await engine.dispose()
    return rows


async def test_a_migration_that_fails_half_way_leaves_nothing(platform_settings: PlatformSettings) -> None:
    name = f"half_{new_id().hex}"
    await create_database(platform_settings, name)
    # The second revision makes a table of this name; the first has long passed by then.
    await execute(platform_settings, name, "CREATE TABLE checkpoint (mine int)")
    with pytest.raises(ProgrammingError):
        await migrate_database(platform_settings, "training", name=name)
    assert await execute(platform_settings, name, TABLES) == ["checkpoint"]
    await execute(platform_settings, name, "DROP TABLE checkpoint")
    await migrate_database(platform_settings, "training", name=name)
    assert {"run", "attempt", "checkpoint", "outbox"} <= set(await execute(platform_settings, name, TABLES))
    await execute(platform_settings, "postgres", f'DROP DATABASE "{name}"')


async def test_migrations_at_the_same_time_are_one_migration(platform_settings: PlatformSettings) -> None:
    password = platform_settings.postgres_password
    environment = {
        **os.environ,
        "SLM_NATS_URL": platform_settings.nats_url,
        "SLM_POSTGRES_URL": platform_settings.postgres_url,
        "SLM_POSTGRES_PASSWORD": password.get_secret_value() if password else "",
        "SLM_S3_ENDPOINT": platform_settings.s3_endpoint,
        "SLM_S3_ACCESS_KEY": platform_settings.s3_access_key.get_secret_value(),
        "SLM_S3_SECRET_KEY": platform_settings.s3_secret_key.get_secret_value(),
    }
    command = (sys.executable, "-m", "slm_shared.migrate", "evaluation")
    migrations = [await asyncio.create_subprocess_exec(*command, env=environment) for _ in range(3)]
    assert [await each.wait() for each in migrations] == [0, 0, 0]
    versions = await execute(platform_settings, "slm_evaluation", "SELECT version_num FROM alembic_version")
    assert len(versions) == 1
    await execute(platform_settings, "postgres", "DROP DATABASE slm_evaluation")
