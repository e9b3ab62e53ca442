"""Takes work from workers that stopped answering."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from slm_shared.background import BackgroundTask
from slm_shared.errors import UnavailableError
from slm_shared.storage.database import Database

log = structlog.get_logger()


class Reaper(BackgroundTask):
    """Calls `take(session)`, which ends every lease that ran out and returns how many, every `interval_s`.

    After a start it first waits as long as a lease lives, and so it does after the database was away: an outage of ours
    must cost no worker its lease.
    """

    name = "reaper"

    def __init__(
        self,
        database: Database,
        take: Callable[[AsyncSession], Awaitable[int]],
        *,
        lease_ttl_s: float,
        interval_s: float,
    ) -> None:
        self._database = database
        self._take = take
        self._lease_ttl_s = lease_ttl_s
        self._interval_s = interval_s

    async def run(self) -> None:
        """Reap until cancelled."""
        await asyncio.sleep(self._lease_ttl_s)
        while True:
            try:
                await self.reap()
                await asyncio.sleep(self._interval_s)
            except UnavailableError:
                await asyncio.sleep(self._lease_ttl_s)

    async def reap(self) -> int:
        """Take every lease that ran out; returns how many. Raises UnavailableError."""
        async with self._database.transaction() as session:
            count = await self._take(session)
        if count:
            log.warning("reaper.leases_expired", count=count)
        return count
