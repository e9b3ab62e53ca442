"""Takes evaluations from workers that stopped answering."""

import asyncio

import structlog

from slm_evaluation.service import leasing
from slm_evaluation.settings import EvaluationSettings
from slm_shared.database import Database
from slm_shared.errors import UnavailableError

log = structlog.get_logger()


class Reaper:
    """Looks for expired leases every few seconds, after it has first waited as long as a lease lives."""

    name = "reaper"

    def __init__(self, database: Database, settings: EvaluationSettings) -> None:
        self._database = database
        self._settings = settings

    def problem(self) -> str | None:
        """Nothing depends on the reaper at any one moment."""
        return None

    async def run(self) -> None:
        """Reap until cancelled."""
        await asyncio.sleep(self._settings.lease_ttl_s)
        while True:
            try:
                async with self._database.transaction() as session:
                    if count := await leasing.reap(session):
                        log.warning("reaper.leases_expired", count=count)
                await asyncio.sleep(self._settings.reaper_interval_s)
            except UnavailableError:
                await asyncio.sleep(self._settings.lease_ttl_s)
