"""Queries of the two work queues: datasets to process and examinations to do, leased alike."""

from collections.abc import Mapping
from typing import Any, TypeVar

from sqlalchemy import func, or_, update
from sqlalchemy.ext.asyncio import AsyncSession

from slm_datasets.tables import QueuedRow
from slm_shared.jobs import leases
from slm_shared.storage.ids import new_id

R = TypeVar("R", bound=QueuedRow)


async def claim(session: AsyncSession, kind: type[R], *, worker: str, ttl_s: float) -> R | None:
    """Lease the oldest row that waits and has no lease, or one that has run out."""
    free = or_(kind.lease_expires_at.is_(None), kind.lease_expires_at < func.clock_timestamp())
    return await leases.claim(
        session,
        kind,
        where=(kind.status == kind.WAITING) & free,
        order_by=[kind.created_at.asc(), kind.id.asc()],
        worker=worker,
        claim_id=new_id(),
        ttl_s=ttl_s,
        values={},
    )


async def renew(session: AsyncSession, row: QueuedRow, *, ttl_s: float) -> bool:
    """Keep the lease of a row in work; False when it is lost."""
    return await leases.renew(session, type(row), row.id, epoch=row.epoch, ttl_s=ttl_s)


async def note_progress(session: AsyncSession, row: QueuedRow, progress: Mapping[str, Any]) -> None:
    """Store how far the work got, under its lease."""
    await _update(session, row, {"progress": progress})


async def release(session: AsyncSession, row: QueuedRow) -> None:
    """Give an unfinished row back to its queue."""
    await _update(session, row, leases.released())


async def finish(session: AsyncSession, row: QueuedRow, status: str, *, values: Mapping[str, Any]) -> bool:
    """End the work under its lease, which brings the row into `status`; False when the lease is lost."""
    ended = {"status": status, "progress": None, row.ENDED_AT: func.clock_timestamp()}
    return await _update(session, row, {**ended, **values, **leases.released()})


async def _update(session: AsyncSession, row: QueuedRow, values: Mapping[str, Any]) -> bool:
    kind = type(row)
    fence = leases.held(kind, row.id, row.epoch) & (kind.status == kind.WAITING)
    return (await session.execute(update(kind).where(fence).values(**values).returning(kind.id))).first() is not None
