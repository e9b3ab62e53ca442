"""Removes what attempts left in the object store and nobody refers to: torn artifacts, checkpoints never registered."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import structlog

from slm_shared.errors import UnavailableError
from slm_shared.storage.database import Database
from slm_shared.storage.objects import ObjectStore
from slm_training import store
from slm_training.tables import RunRow

log = structlog.get_logger()

EVERY_S = 24 * 3600.0
# A worker that lost its lease may still be writing; after a week nobody is.
AFTER = timedelta(days=7)
# A service that was away for three weeks misses nothing.
UNTIL = timedelta(days=28)


class Cleanup:
    """Cleans up once a day behind the runs that ended a week to four weeks ago."""

    name = "cleanup"

    def __init__(self, database: Database, objects: ObjectStore) -> None:
        self._database = database
        self._objects = objects

    def problem(self) -> str | None:
        """Nothing depends on the cleanup at any one moment."""
        return None

    async def run(self) -> None:
        """Clean up until cancelled; what does not answer has its turn next time."""
        while True:
            await asyncio.sleep(EVERY_S)
            try:
                await self.clean_up()
            except UnavailableError as error:
                log.info("cleanup.postponed", why=error.message)

    async def clean_up(self) -> int:
        """Remove every object of those runs that nothing refers to; returns how many. Raises UnavailableError."""
        async with self._database.read() as session:
            runs = await store.runs_that_ended(session, after=AFTER, until=UNTIL)
        return sum([await self._clean_up_run(run) for run in runs])

    async def _clean_up_run(self, run: RunRow) -> int:
        async with self._database.read() as session:
            kept = [each.prefix for each in await store.checkpoints_of(session, run.id)]
        if run.result is not None:
            kept.append(run.result["prefix"])
        unwanted = [each.key for each in await self._objects.list(f"runs/{run.id}/") if not _is_under(each.key, kept)]
        for key in unwanted:
            await self._objects.remove(key)
        if unwanted:
            log.info("cleanup.removed", run_id=str(run.id), objects=len(unwanted))
        return len(unwanted)


def _is_under(key: str, prefixes: Sequence[str]) -> bool:
    return any(key.startswith(f"{prefix}/") for prefix in prefixes)
