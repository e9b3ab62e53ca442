"""Leases of long work, held in the owner's database.

Whoever works holds a lease with an epoch, the fencing token: every later write must carry it, and a write with an older
epoch changes nothing. Only the database's clock decides about expiry.
Background: https://martin.kleppmann.com/2016/02/08/how-to-do-distributed-locking.html
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, String, and_, func, or_, select, update
from sqlalchemy.dialects.postgresql import TIMESTAMP
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Mapped, mapped_column

from slm_shared.observability.tracing import current_traceparent


class LeaseColumns:
    """Columns of a row that workers lease. `id` is the row's own key; `retry_at` holds it back until then.

    `traceparent` is the trace of the request or event that made the row; the work belongs to it.
    """

    id: Mapped[UUID]
    epoch: Mapped[int] = mapped_column(default=0, server_default="0")
    attempt: Mapped[int] = mapped_column(default=0, server_default="0")
    worker: Mapped[str | None]
    claim_id: Mapped[UUID | None]
    lease_expires_at: Mapped[datetime | None] = mapped_column(TIMESTAMP(timezone=True))
    retry_at: Mapped[datetime | None] = mapped_column(TIMESTAMP(timezone=True))
    traceparent: Mapped[str | None] = mapped_column(String(55), default=current_traceparent)


L = TypeVar("L", bound=LeaseColumns)


async def granted(session: AsyncSession, row: type[L], claim_id: UUID) -> L | None:
    """What a claim was granted before. Asked again, it gets the same, so a lost reply costs nothing."""
    return await session.scalar(select(row).where(row.claim_id == claim_id))


async def claim(
    session: AsyncSession,
    row: type[L],
    *,
    where: ColumnElement[bool],
    order_by: Sequence[ColumnElement[Any]],
    worker: str,
    claim_id: UUID,
    ttl_s: float,
    values: Mapping[str, Any],
) -> L | None:
    """What this claim was granted before, else a lease of the first free row that `where` allows, or None.

    A lease raises the row's `epoch` and `attempt` by one and applies `values` (the change of state).
    """
    again = await granted(session, row, claim_id)
    if again is not None:
        return again
    # Rows that others are about to claim or to change are skipped, so that claims never wait for each other.
    # `clock_timestamp` is the time now; `now` would be that at which the transaction began.
    due = or_(row.retry_at.is_(None), row.retry_at <= func.clock_timestamp())
    first = select(row.id).where(where, due).order_by(*order_by).limit(1).with_for_update(skip_locked=True)
    statement = (
        update(row)
        .where(row.id == first.scalar_subquery())
        .values(
            epoch=row.epoch + 1,
            attempt=row.attempt + 1,
            worker=worker,
            claim_id=claim_id,
            lease_expires_at=func.clock_timestamp() + timedelta(seconds=ttl_s),
            retry_at=None,
            **values,
        )
        .returning(row)
        # Else a row that the session has seen before would keep its old values.
        .execution_options(populate_existing=True)
    )
    return (await session.execute(statement)).scalar_one_or_none()


def held(row: type[L], key: UUID, epoch: int) -> ColumnElement[bool]:
    """The fence: true only for the row under `key` while `epoch` is its newest lease."""
    return and_(row.id == key, row.epoch == epoch, row.lease_expires_at.is_not(None))


async def renew(session: AsyncSession, row: type[L], key: UUID, *, epoch: int, ttl_s: float) -> bool:
    """Move the expiry of a held lease to `ttl_s` from now; False when the lease is lost."""
    expiry = func.clock_timestamp() + timedelta(seconds=ttl_s)
    statement = update(row).where(held(row, key, epoch)).values(lease_expires_at=expiry).returning(row.id)
    return (await session.execute(statement)).first() is not None


async def expired(session: AsyncSession, row: type[L], *, where: ColumnElement[bool]) -> Sequence[L]:
    """The rows whose lease ran out, locked for the caller's transaction; rows others have locked are left out."""
    statement = (
        select(row).where(where, row.lease_expires_at < func.clock_timestamp()).with_for_update(skip_locked=True)
    )
    return (await session.scalars(statement)).all()


async def held_row(session: AsyncSession, row: type[L], key: UUID, epoch: int) -> L | None:
    """The row under `key`, locked, if `epoch` is its newest lease and still held."""
    statement = select(row).where(held(row, key, epoch)).with_for_update()
    return await session.scalar(statement.execution_options(populate_existing=True))


async def held_by(session: AsyncSession, row: type[L], *, worker: str) -> Sequence[L]:
    """The rows that a worker holds, locked; rows others have locked are left out."""
    mine = and_(row.worker == worker, row.lease_expires_at.is_not(None))
    return (await session.scalars(select(row).where(mine).with_for_update(skip_locked=True))).all()


def released() -> dict[str, Any]:
    """The values that end a lease, to be merged into the guarded UPDATE that leaves the working state."""
    return {"lease_expires_at": None, "claim_id": None, "worker": None}
