"""Fresh, migrated databases: each is a copy of a template that is migrated once."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from slm_shared.migrate import create_database, migrate_database
from slm_shared.settings import PlatformSettings
from slm_shared.storage.ids import new_id

MakeDatabase = Callable[[str], Awaitable[str]]
"""`await make("training")`: the name of a fresh database of that service."""


class Templates:
    """One migrated database per service, to copy from."""

    def __init__(self, settings: PlatformSettings) -> None:
        self._settings = settings
        self._names: dict[str, str] = {}

    async def of(self, service: str) -> str:
        """The name of the service's template; migrated when it is first asked for."""
        if service not in self._names:
            name = f"template_{service}_{new_id().hex}"
            await migrate_database(self._settings, service, name=name)
            self._names[service] = name
        return self._names[service]


@asynccontextmanager
async def fresh_databases(settings: PlatformSettings, templates: Templates) -> AsyncIterator[MakeDatabase]:
    """Make databases while the block runs, and drop them at its end."""
    made: list[str] = []

    async def make(service: str) -> str:
        name = f"test_{service}_{new_id().hex}"
        await create_database(settings, name, template=await templates.of(service))
        made.append(name)
        return name

    yield make
    engine = create_async_engine(settings.database_url("postgres"), isolation_level="AUTOCOMMIT")
    async with engine.connect() as connection:
        for name in made:
            await connection.execute(text(f'DROP DATABASE "{name}" WITH (FORCE)'))
    await engine.dispose()
