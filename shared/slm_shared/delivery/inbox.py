"""Each event takes effect once per consumer: the inbox row commits together with the effect."""

from collections.abc import Sequence
from uuid import UUID

from nats.aio.msg import Msg
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from slm_shared.storage.database import dead_letter_table, inbox_table


async def is_first(session: AsyncSession, consumer: str, event_id: UUID) -> bool:
    """Note in the caller's transaction that `consumer` handles this event; False when it already has."""
    statement = insert(inbox_table).values(consumer=consumer, event_id=event_id)
    added = await session.execute(statement.on_conflict_do_nothing().returning(inbox_table.c.event_id))
    return added.first() is not None


async def missing(session: AsyncSession, consumer: str, event_ids: Sequence[UUID]) -> list[UUID]:
    """Those of the events that `consumer` has neither handled nor given up."""
    handled = select(inbox_table.c.event_id).where(inbox_table.c.consumer == consumer)
    done = set((await session.scalars(handled.where(inbox_table.c.event_id.in_(event_ids)))).all())
    given_up = select(dead_letter_table.c.event_id).where(dead_letter_table.c.consumer == consumer)
    dead = set((await session.scalars(given_up.where(dead_letter_table.c.event_id.in_(map(str, event_ids))))).all())
    return [event_id for event_id in event_ids if event_id not in done and str(event_id) not in dead]


async def bury(session: AsyncSession, message: Msg, *, consumer: str, event_id: str, error: str) -> None:
    """Keep a message that cannot be handled, for an operator to look at; burying it twice keeps the first."""
    statement = insert(dead_letter_table).values(
        consumer=consumer,
        event_id=event_id,
        subject=message.subject,
        headers=dict(message.headers or {}),
        body=message.data,
        error=error,
        deliveries=message.metadata.num_delivered,
    )
    await session.execute(statement.on_conflict_do_nothing())
