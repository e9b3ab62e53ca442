"""From a committed transaction to JetStream.

`append` writes an event in the transaction of the change that it reports; the relay publishes what was committed, with
the event id as `Nats-Msg-Id`, for as long as it takes. Losing the broker costs latency, never an event.
Pattern: transactional outbox, https://microservices.io/patterns/data/transactional-outbox.html
"""

import asyncio
import json
import random
from dataclasses import dataclass, fields
from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from sqlalchemy import case, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from slm_shared.delivery.broker import Broker
from slm_shared.delivery.failpoints import failpoint
from slm_shared.delivery.replay import republish_lost
from slm_shared.errors import UnavailableError
from slm_shared.events.catalogue import Event
from slm_shared.events.cloudevents import headers_of
from slm_shared.events.topology import EVENTS
from slm_shared.observability.tracing import current_traceparent, publishing
from slm_shared.storage.database import PUBLISHES, Database, outbox_table
from slm_shared.storage.ids import new_id

log = structlog.get_logger()

BATCH = 100
# Longer than a batch takes while the broker answers; what a relay that died had claimed waits for so long.
CLAIM_TTL = timedelta(seconds=30)
POLL_S = 0.5
MAX_BACKOFF_S = 5.0


async def append(session: AsyncSession, event: Event) -> UUID:
    """Record an event in the caller's transaction; it is published once that commits. Returns the event id."""
    event_id = new_id()
    await session.execute(
        insert(outbox_table).values(
            event_id=event_id,
            subject=event.subject,
            aggregate_id=event.aggregate_id,
            payload=event.model_dump(mode="json"),
            traceparent=current_traceparent(),
        )
    )
    session.info[PUBLISHES] = True
    return event_id


@dataclass(frozen=True)
class _Claimed:
    position: int
    event_id: UUID
    subject: str
    aggregate_id: UUID
    payload: dict[str, Any]
    traceparent: str | None
    created_at: Any


class Relay:
    """Publishes one service's outbox. Any number may run: rows are claimed with SKIP LOCKED and an expiry."""

    name = "relay"

    def __init__(self, database: Database, broker: Broker, *, source: str) -> None:
        self._database = database
        self._broker = broker
        self._source = source
        self._wake = asyncio.Event()
        self._problem: str | None = "has not reached the broker yet"
        database.on_commit.append(self._wake.set)

    def problem(self) -> str | None:
        """None while publishing works."""
        return self._problem

    async def run(self) -> None:
        """Publish until cancelled: at once when a transaction committed here, else every half second."""
        failures, connection = 0, None
        while True:
            try:
                jetstream = await self._broker.jetstream()
                if connection != (connection := self._broker.connections):
                    await republish_lost(self._database, jetstream)
                while await self._publish_batch(jetstream):
                    pass
                self._problem, failures = None, 0
                await self._wait_for_work(POLL_S)
            except (NatsError, UnavailableError, OSError, TimeoutError) as error:
                failures, connection = failures + 1, None
                self._problem = "cannot publish events"
                log.warning("outbox.publish_failed", error=type(error).__name__, failures=failures)
                # At random, so that not all services come back at the same moment.
                await asyncio.sleep(min(MAX_BACKOFF_S, 0.2 * 2 ** min(failures, 8)) * random.uniform(0.5, 1.0))

    async def _wait_for_work(self, timeout_s: float) -> None:
        try:
            # Not `wait_for`: in Python 3.11 it takes a cancellation for the event when both come at once.
            async with asyncio.timeout(timeout_s):
                await self._wake.wait()
        except TimeoutError:
            return
        finally:
            self._wake.clear()

    async def _publish_batch(self, jetstream: JetStreamContext) -> bool:
        """Publish up to `BATCH` rows; returns whether more may be waiting."""
        token = new_id()
        rows = await self._claim(token)
        if not rows:
            return False
        failpoint("claimed-before-publish")
        results = await asyncio.gather(*(self._publish(jetstream, row) for row in rows), return_exceptions=True)
        published = {
            row.position: ack for row, ack in zip(rows, results, strict=True) if not isinstance(ack, BaseException)
        }
        failpoint("published-before-mark")
        # Also when some failed: what was published must not be published again in half a minute.
        await self._mark_published(token, published)
        if len(published) < len(rows):
            await self._give_back(token)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return len(rows) == BATCH

    async def _claim(self, token: UUID) -> list[_Claimed]:
        free = (
            select(outbox_table.c.position)
            .where(
                outbox_table.c.published_at.is_(None),
                outbox_table.c.claim_expires_at.is_(None) | (outbox_table.c.claim_expires_at < func.clock_timestamp()),
            )
            .order_by(outbox_table.c.position)
            .limit(BATCH)
            .with_for_update(skip_locked=True)
            .cte("free")
        )
        statement = (
            update(outbox_table)
            .where(outbox_table.c.position.in_(select(free.c.position)))
            .values(claim_token=token, claim_expires_at=func.clock_timestamp() + CLAIM_TTL)
            .returning(*(outbox_table.c[field.name] for field in fields(_Claimed)))
        )
        # `read` commits each statement by itself, which is all that a claim needs.
        async with self._database.read() as session:
            rows = (await session.execute(statement)).all()
        # An UPDATE returns rows in any order.
        return sorted((_Claimed(*row) for row in rows), key=lambda row: row.position)

    async def _publish(self, jetstream: JetStreamContext, row: _Claimed) -> int:
        with publishing(row.subject, event_id=str(row.event_id), traceparent=row.traceparent) as traceparent:
            headers = headers_of(
                event_id=str(row.event_id),
                subject=row.subject,
                source=self._source,
                aggregate_id=str(row.aggregate_id),
                time=row.created_at,
                traceparent=traceparent,
            )
            body = json.dumps(row.payload, separators=(",", ":")).encode()
            ack = await jetstream.publish(row.subject, body, stream=EVENTS, headers=headers)
            return ack.seq

    async def _give_back(self, token: UUID) -> None:
        """What could not be published is free again at once, not only when the claim runs out."""
        async with self._database.read() as session:
            await session.execute(
                update(outbox_table)
                .where(outbox_table.c.claim_token == token, outbox_table.c.published_at.is_(None))
                .values(claim_expires_at=None)
            )

    async def _mark_published(self, token: UUID, sequences: dict[int, int]) -> None:
        if not sequences:
            return
        async with self._database.read() as session:
            await session.execute(
                update(outbox_table)
                .where(outbox_table.c.claim_token == token, outbox_table.c.position.in_(sequences))
                .values(published_at=func.clock_timestamp(), stream_seq=case(sequences, value=outbox_table.c.position))
            )
