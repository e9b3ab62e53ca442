"""Publishes again, from the outbox, what the stream has lost.

JetStream may come back with less than it acknowledged: a deleted folder, a restored copy, a torn file. The outbox has
every event of the last days and the place in the stream that it was given, so each service finds out by itself what of
its own is missing. Consumers meet some events again; their inbox makes that harmless.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError as MessageNotFoundError
from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from slm_shared.events.cloudevents import MESSAGE_ID
from slm_shared.events.topology import EVENTS, EVENTS_MAX_AGE_S
from slm_shared.storage.database import Database, outbox_table

log = structlog.get_logger()

# Older messages may have left the stream in the ordinary way.
MAX_AGE = timedelta(seconds=EVENTS_MAX_AGE_S) - timedelta(hours=1)


@dataclass(frozen=True)
class _Published:
    event_id: UUID
    stream_seq: int


async def republish_lost(database: Database, jetstream: JetStreamContext) -> int:
    """Mark what the stream no longer has at its end as unpublished; returns how many events.

    When the newest event of ours is where it was stored, nothing went backwards, which costs one question. Otherwise a
    binary search finds the last one that is. Raises UnavailableError and the errors of nats-py.
    """
    async with database.read() as session:
        count = await _count(session)
        if count == 0 or await _is_stored(jetstream, await _published(session, count - 1)):
            return 0
        intact, lost = -1, count - 1
        while lost - intact > 1:
            middle = (intact + lost) // 2
            if await _is_stored(jetstream, await _published(session, middle)):
                intact = middle
            else:
                lost = middle
        first = await _published(session, lost)
        statement = (
            update(outbox_table)
            .where(*_recent(), outbox_table.c.stream_seq >= first.stream_seq)
            .values(published_at=None, stream_seq=None, claim_expires_at=None)
            .returning(outbox_table.c.position)
        )
        republished = len((await session.execute(statement)).all())
    log.warning("outbox.stream_went_back", from_stream_seq=first.stream_seq, republished=republished)
    return republished


def _recent() -> tuple[Any, ...]:
    return (outbox_table.c.published_at > func.now() - MAX_AGE, outbox_table.c.stream_seq.is_not(None))


async def _count(session: AsyncSession) -> int:
    counted: int = (await session.execute(select(func.count()).where(*_recent()))).scalar_one()
    return counted


async def _published(session: AsyncSession, number: int) -> _Published:
    """The event that is the `number`-th in the order of the stream, from 0."""
    columns = (outbox_table.c.event_id, outbox_table.c.stream_seq)
    statement = select(*columns).where(*_recent()).order_by(outbox_table.c.stream_seq).offset(number).limit(1)
    return _Published(*(await session.execute(statement)).one())


async def _is_stored(jetstream: JetStreamContext, published: _Published) -> bool:
    try:
        message = await jetstream.get_msg(EVENTS, seq=published.stream_seq, direct=True)
    except MessageNotFoundError:
        return False
    return (message.headers or {}).get(MESSAGE_ID) == str(published.event_id)
