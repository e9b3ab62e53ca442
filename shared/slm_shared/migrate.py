"""Bring databases, streams and bucket to this version: `python -m slm_shared.migrate [SERVICE ...]`.

A step of its own, run before the services start; running it again changes nothing. Each service's database is created,
then its Alembic revisions run in one transaction under an advisory lock, so that two runs at once are safe.
"""

import argparse
import asyncio
import importlib.util
from pathlib import Path

import structlog
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import create_async_engine

from slm_shared.delivery.broker import Broker
from slm_shared.events.topology import migrate_topology
from slm_shared.observability.logging import configure_logging
from slm_shared.settings import PlatformSettings
from slm_shared.storage.objects import ObjectStore

log = structlog.get_logger()

SERVICES = ("datasets", "training", "registry", "evaluation")
MAINTENANCE_DATABASE = "postgres"
DUPLICATE_DATABASE = ("42P04", "23505")
# Any constant does; it names the lock that two migrations of one database compete for.
ADVISORY_LOCK = 7_305_012


def database_name(service: str) -> str:
    """The database a service owns."""
    return f"slm_{service}"


async def create_database(settings: PlatformSettings, name: str, *, template: str | None = None) -> bool:
    """Create a database unless it is there; returns whether it was made. `template` copies an existing one."""
    engine = create_async_engine(settings.database_url(MAINTENANCE_DATABASE), isolation_level="AUTOCOMMIT")
    try:
        async with engine.connect() as connection:
            there = await connection.scalar(text("SELECT 1 FROM pg_database WHERE datname = :name"), {"name": name})
            if there:
                return False
            # Whatever the server's own encoding is: JSON in another one cannot hold every text.
            suffix = f'TEMPLATE "{template}"' if template else "TEMPLATE template0 ENCODING 'UTF8'"
            await connection.execute(text(f'CREATE DATABASE "{name}" {suffix}'))
            return True
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", None) in DUPLICATE_DATABASE:
            return False
        raise
    finally:
        await engine.dispose()


async def migrate_database(
    settings: PlatformSettings, service: str, *, name: str | None = None, revision: str = "head"
) -> None:
    """Create a service's database and run its revisions up to `revision`, by default the newest."""
    name = name or database_name(service)
    await create_database(settings, name)
    config = Config()
    config.set_main_option("script_location", str(_migrations_folder(service)))
    engine = create_async_engine(settings.database_url(name))
    try:
        async with engine.begin() as connection:
            await connection.run_sync(_upgrade, config, revision)
    finally:
        await engine.dispose()


def _migrations_folder(service: str) -> Path:
    spec = importlib.util.find_spec(f"slm_{service}")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(f"migrate: there is no service {service}")
    return Path(next(iter(spec.submodule_search_locations))) / "migrations"


def _upgrade(connection: Connection, config: Config, revision: str) -> None:
    connection.execute(text(f"SELECT pg_advisory_xact_lock({ADVISORY_LOCK})"))
    if _is_current(connection, config):
        return
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


def _is_current(connection: Connection, config: Config) -> bool:
    if not connection.dialect.has_table(connection, "alembic_version"):
        return False
    applied = set(connection.scalars(text("SELECT version_num FROM alembic_version")))
    return applied == set(ScriptDirectory.from_config(config).get_heads())


async def _migrate_streams(settings: PlatformSettings) -> None:
    broker = Broker(settings.nats_url, name="migrate")
    try:
        await migrate_topology(await broker.jetstream())
    finally:
        await broker.close()


async def _migrate_databases(settings: PlatformSettings, services: tuple[str, ...]) -> None:
    # One after the other: Alembic keeps what it works on in a global of the process.
    for service in services:
        await migrate_database(settings, service)


async def migrate(settings: PlatformSettings, services: tuple[str, ...] = SERVICES) -> None:
    """Bring everything that `services` need to this version."""
    async with asyncio.TaskGroup() as group:
        group.create_task(_migrate_streams(settings))
        group.create_task(ObjectStore(settings).ensure_bucket())
        group.create_task(_migrate_databases(settings, services))
    log.info("migrate.done", services=list(services))


def main() -> None:
    """Read the services from the command line; all of them by default."""
    parser = argparse.ArgumentParser(prog="python -m slm_shared.migrate", description=__doc__)
    parser.add_argument("services", nargs="*", metavar="SERVICE", help=f"any of {', '.join(SERVICES)}; default: all")
    services = tuple(parser.parse_args().services) or SERVICES
    if unknown := set(services) - set(SERVICES):
        parser.error(f"there is no service {', '.join(sorted(unknown))}")
    configure_logging("migrate")
    asyncio.run(migrate(PlatformSettings(), services))


if __name__ == "__main__":
    main()
