"""Finds events that were lost in the middle of a stream, where no sequence number shows it.

Every hour each service asks the consumers of its events which of those published ten minutes to two hours ago they have
not handled, and publishes these again.
"""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import structlog
from sqlalchemy import func, select, update

from slm_shared.background import BackgroundTask
from slm_shared.errors import UnavailableError
from slm_shared.events.topology import Consumer, consumers_of
from slm_shared.peers import Peer
from slm_shared.settings import PlatformSettings
from slm_shared.storage.database import Database, outbox_table

log = structlog.get_logger()

EVERY_S = 3600.0
# The window in which the stream drops a repeated id is over by then.
YOUNGEST = timedelta(minutes=10, seconds=30)
OLDEST = timedelta(hours=2)
BATCH = 1000


class Reconciler(BackgroundTask):
    """The reconciler of one service's events."""

    name = "reconciler"

    def __init__(self, database: Database, platform: PlatformSettings, *, source: str) -> None:
        self._database = database
        self._consumers = consumers_of(source)
        self._peers = {each.service: Peer(platform, service=each.service) for each in self._consumers}

    async def run(self) -> None:
        """Reconcile every hour until cancelled; a consumer that does not answer is asked next time."""
        try:
            while True:
                await asyncio.sleep(EVERY_S)
                await self.reconcile()
        finally:
            await self.close()

    async def close(self) -> None:
        """Close the connections to the consumers' services."""
        for peer in self._peers.values():
            await peer.close()

    async def reconcile(self, *, youngest: timedelta = YOUNGEST) -> int:
        """Publish again what some consumer has not handled; returns how many events."""
        missing: set[UUID] = set()
        for consumer in self._consumers:
            try:
                missing |= await self._missing(consumer, youngest)
            except UnavailableError as error:
                log.warning("reconciler.not_answered", consumer=consumer.durable, why=error.message)
        if missing:
            log.error("reconciler.events_were_lost", count=len(missing))
            await self._publish_again(missing)
        return len(missing)

    async def _missing(self, consumer: Consumer, youngest: timedelta) -> set[UUID]:
        now = func.now()
        published = outbox_table.c.published_at
        statement = select(outbox_table.c.event_id).where(
            outbox_table.c.subject == consumer.subject, published > now - OLDEST, published < now - youngest
        )
        async with self._database.read() as session:
            event_ids = (await session.scalars(statement.order_by(published))).all()
        found: set[UUID] = set()
        for start in range(0, len(event_ids), BATCH):
            found |= await self._ask(consumer, event_ids[start : start + BATCH])
        return found

    async def _ask(self, consumer: Consumer, event_ids: Sequence[UUID]) -> set[UUID]:
        body = {"consumer": consumer.durable, "event_ids": list(map(str, event_ids))}
        path = f"/api/operations/{consumer.service}/inbox:missing"
        status, answer = await self._peers[consumer.service].request("POST", path, json=body)
        if status != 200 or answer is None:
            raise UnavailableError(f"The {consumer.service} service did not say what is missing.")
        return set(map(UUID, answer["missing"]))

    async def _publish_again(self, event_ids: set[UUID]) -> None:
        async with self._database.transaction() as session:
            await session.execute(
                update(outbox_table)
                .where(outbox_table.c.event_id.in_(event_ids))
                .values(published_at=None, stream_seq=None, claim_expires_at=None)
            )
