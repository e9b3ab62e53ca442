"""Messages that could not be handled: kept with everything needed to try again, for an administrator to decide."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol, runtime_checkable

from pydantic import BaseModel
from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from slm_shared.errors import NotFoundError
from slm_shared.storage.database import dead_letter_table


class DeadLetterNotFoundError(NotFoundError):
    """No such dead letter."""

    code = "dead_letter_not_found"


@runtime_checkable
class Redriver(Protocol):
    """A service's bus, as its web edge sees it: an app that consumes nothing need not import FastStream."""

    async def redrive(self, session: AsyncSession, consumer: str, event_id: str) -> None:
        """Handle a dead letter again in the caller's transaction, which also forgets it."""


class DeadLetter(BaseModel):
    """One message that one consumer gave up; `error` says why."""

    consumer: str
    event_id: str
    subject: str
    error: str
    deliveries: int
    created_at: datetime
    headers: dict[str, str]
    body: str


async def list_all(session: AsyncSession, *, limit: int) -> Sequence[DeadLetter]:
    """The newest dead letters of the service."""
    statement = select(dead_letter_table).order_by(dead_letter_table.c.created_at.desc()).limit(limit)
    return [_shown(row) for row in (await session.execute(statement)).mappings()]


async def count(session: AsyncSession) -> int:
    """How many there are."""
    counted: int = (await session.execute(select(func.count()).select_from(dead_letter_table))).scalar_one()
    return counted


async def find(session: AsyncSession, consumer: str, event_id: str) -> DeadLetter:
    """One dead letter, locked for this transaction. Raises DeadLetterNotFoundError."""
    statement = select(dead_letter_table).where(*_this(consumer, event_id)).with_for_update()
    row = (await session.execute(statement)).mappings().one_or_none()
    if row is None:
        raise DeadLetterNotFoundError("There is no such dead letter.")
    return _shown(row)


async def remove(session: AsyncSession, consumer: str, event_id: str) -> None:
    """Forget one."""
    await session.execute(delete(dead_letter_table).where(*_this(consumer, event_id)))


def _this(consumer: str, event_id: str):  # type: ignore[no-untyped-def]  # a pair of SQLAlchemy's conditions
    return dead_letter_table.c.consumer == consumer, dead_letter_table.c.event_id == event_id


def _shown(row) -> DeadLetter:  # type: ignore[no-untyped-def]  # a mapping of SQLAlchemy's
    return DeadLetter.model_validate({**row, "body": bytes(row["body"]).decode("utf-8", "replace")})
