"""Removes what delivery no longer needs: answers to repeated requests, and the ids of events long handled.

The outbox is kept: it is a service's journal, from which its events can be told again.
"""

import asyncio
from datetime import timedelta

import structlog
from sqlalchemy import ColumnElement, Table, delete, func, select, tuple_

from slm_shared.background import BackgroundTask
from slm_shared.errors import UnavailableError
from slm_shared.storage.database import Database, idempotency_table, inbox_table

log = structlog.get_logger()

EVERY_S = 3600.0
# So that no transaction holds its locks for long.
BATCH = 5000
# As long as clients are told that a key is remembered.
KEYS_KEPT = timedelta(hours=72)
# Twice as long as the stream keeps an event that could be delivered again.
INBOX_KEPT = timedelta(days=30)


class Housekeeper(BackgroundTask):
    """Removes old rows of one service every hour, a few thousand per transaction."""

    name = "housekeeper"

    def __init__(self, database: Database) -> None:
        self._database = database

    async def run(self) -> None:
        """Clean until cancelled."""
        while True:
            await asyncio.sleep(EVERY_S)
            try:
                await self.clean()
            except UnavailableError:
                log.info("housekeeping.postponed")

    async def clean(self) -> int:
        """Remove everything that is old enough; returns how many rows. Raises UnavailableError."""
        keys, inbox = idempotency_table.c, inbox_table.c
        return await self._remove(idempotency_table, keys.created_at < func.now() - KEYS_KEPT) + await self._remove(
            inbox_table, inbox.handled_at < func.now() - INBOX_KEPT
        )

    async def _remove(self, table: Table, is_old: ColumnElement[bool]) -> int:
        key = tuple_(*table.primary_key.columns)
        removed = 0
        while True:
            some = select(*table.primary_key.columns).where(is_old).limit(BATCH)
            async with self._database.transaction() as session:
                gone = len(
                    (await session.execute(delete(table).where(key.in_(some)).returning(*table.primary_key))).all()
                )
            removed += gone
            if gone < BATCH:
                return removed
