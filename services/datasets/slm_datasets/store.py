"""Every query of the datasets service."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from slm_datasets.domain import DatasetStatus
from slm_datasets.tables import DatasetRow, FamilyRow
from slm_shared import leases
from slm_shared.paging import PageRequest, keyset


async def next_version(session: AsyncSession, family: str) -> int:
    """The next version of a family; gapless, because the counter's row is locked until the caller commits."""
    statement = insert(FamilyRow).values(name=family, last_version=1)
    counted = statement.on_conflict_do_update(
        index_elements=[FamilyRow.name], set_={"last_version": FamilyRow.last_version + 1}
    ).returning(FamilyRow.last_version)
    version: int = (await session.execute(counted)).scalar_one()
    return version


async def find(session: AsyncSession, reference: str) -> DatasetRow | None:
    """A dataset by id, name, or family (its latest version); deleted ones are not found."""
    statement = select(DatasetRow).where(DatasetRow.status != DatasetStatus.DELETED)
    try:
        statement = statement.where(DatasetRow.id == UUID(reference))
    except ValueError:
        statement = statement.where(or_(DatasetRow.name == reference, DatasetRow.family == reference))
    return await session.scalar(statement.order_by(DatasetRow.version.desc()).limit(1))


async def list_datasets(
    session: AsyncSession,
    query: PageRequest,
    *,
    usage: str | None = None,
    status: DatasetStatus | None = None,
    q: str | None = None,
) -> Sequence[DatasetRow]:
    """One page of datasets (and one more row), newest first."""
    statement = select(DatasetRow).where(DatasetRow.status != DatasetStatus.DELETED)
    if usage is not None:
        statement = statement.where(DatasetRow.usage == usage)
    if status is not None:
        statement = statement.where(DatasetRow.status == status)
    if q:
        statement = statement.where(DatasetRow.name.icontains(q, autoescape=True))
    return (await session.scalars(keyset(statement, key=(DatasetRow.created_at, DatasetRow.id), query=query))).all()


async def claim(session: AsyncSession, *, worker: str, claim_id: UUID, ttl_s: float) -> DatasetRow | None:
    """Lease the oldest upload that nobody works on; a lease that ran out is nobody's."""
    free = or_(DatasetRow.lease_expires_at.is_(None), DatasetRow.lease_expires_at < func.clock_timestamp())
    return await leases.claim(
        session,
        DatasetRow,
        where=(DatasetRow.status == DatasetStatus.IN_PROGRESS) & free,
        order_by=[DatasetRow.created_at.asc(), DatasetRow.id.asc()],
        worker=worker,
        claim_id=claim_id,
        ttl_s=ttl_s,
        values={},
    )


async def finish(
    session: AsyncSession, dataset: DatasetRow, status: DatasetStatus, *, values: Mapping[str, Any]
) -> bool:
    """End the processing of a dataset under its lease; False when the lease is lost."""
    fence = leases.held(DatasetRow, dataset.id, dataset.epoch)
    statement = (
        update(DatasetRow)
        .where(fence, DatasetRow.status == DatasetStatus.IN_PROGRESS)
        .values(status=status, processed_at=func.clock_timestamp(), **values, **leases.released())
        .returning(DatasetRow.id)
    )
    return (await session.execute(statement)).first() is not None


async def release(session: AsyncSession, dataset: DatasetRow) -> None:
    """Give an unfinished dataset back to the queue."""
    fence = leases.held(DatasetRow, dataset.id, dataset.epoch)
    await session.execute(update(DatasetRow).where(fence).values(**leases.released()))


async def renew(session: AsyncSession, dataset: DatasetRow, *, ttl_s: float) -> bool:
    """Keep the lease of a dataset that is being processed."""
    return await leases.renew(session, DatasetRow, dataset.id, epoch=dataset.epoch, ttl_s=ttl_s)


async def mark_deleted(session: AsyncSession, dataset_id: UUID) -> bool:
    """Delete a dataset that is not being processed; False when it is, or when it is gone already."""
    ended = (DatasetStatus.PROCESSED, DatasetStatus.ERROR)
    statement = (
        update(DatasetRow)
        .where(DatasetRow.id == dataset_id, DatasetRow.status.in_(ended))
        .values(status=DatasetStatus.DELETED)
        .returning(DatasetRow.id)
    )
    return (await session.execute(statement)).first() is not None
