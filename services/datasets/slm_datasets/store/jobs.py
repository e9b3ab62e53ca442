"""Queries about examinations of datasets."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from slm_datasets.domain.states import JobKind, JobStatus
from slm_datasets.tables import JobRow
from slm_shared.http.paging import PageRequest, keyset
from slm_shared.jobs import leases
from slm_shared.storage.ids import new_id


async def request(
    session: AsyncSession, dataset_id: UUID, kind: JobKind, *, key: str, params: Mapping[str, Any]
) -> JobRow:
    """The examination with this key: made now, or the one that is there. One that failed is queued again."""
    wanted = {"dataset_id": dataset_id, "kind": kind, "key": key, "params": dict(params)}
    statement = insert(JobRow).values(id=new_id(), status=JobStatus.QUEUED, **wanted)
    same = [JobRow.dataset_id, JobRow.kind, JobRow.key]
    again = {"status": JobStatus.QUEUED, "error": None, "attempt": 0, "finished_at": None}
    await session.execute(
        statement.on_conflict_do_update(index_elements=same, set_=again, where=JobRow.status == JobStatus.FAILED)
    )
    found = select(JobRow).where(JobRow.dataset_id == dataset_id, JobRow.kind == kind, JobRow.key == key)
    return (await session.execute(found.execution_options(populate_existing=True))).scalar_one()


async def find(session: AsyncSession, dataset_id: UUID, kind: JobKind, job_id: UUID) -> JobRow | None:
    """One examination of a dataset."""
    statement = select(JobRow).where(JobRow.id == job_id, JobRow.dataset_id == dataset_id, JobRow.kind == kind)
    return await session.scalar(statement)


async def newest(session: AsyncSession, dataset_id: UUID, kind: JobKind) -> JobRow | None:
    """The newest examination of one kind."""
    statement = select(JobRow).where(JobRow.dataset_id == dataset_id, JobRow.kind == kind)
    return await session.scalar(statement.order_by(JobRow.created_at.desc(), JobRow.id.desc()).limit(1))


async def list_jobs(session: AsyncSession, query: PageRequest, dataset_id: UUID, kind: JobKind) -> Sequence[JobRow]:
    """One page of examinations (and one more row), newest first."""
    statement = select(JobRow).where(JobRow.dataset_id == dataset_id, JobRow.kind == kind)
    return (await session.scalars(keyset(statement, key=(JobRow.created_at, JobRow.id), query=query))).all()


async def claim(session: AsyncSession, *, worker: str, claim_id: UUID, ttl_s: float) -> JobRow | None:
    """Lease the oldest examination that nobody works on."""
    free = or_(JobRow.lease_expires_at.is_(None), JobRow.lease_expires_at < func.clock_timestamp())
    return await leases.claim(
        session,
        JobRow,
        where=(JobRow.status == JobStatus.QUEUED) & free,
        order_by=[JobRow.created_at.asc(), JobRow.id.asc()],
        worker=worker,
        claim_id=claim_id,
        ttl_s=ttl_s,
        values={},
    )


async def renew(session: AsyncSession, job: JobRow, *, ttl_s: float) -> bool:
    """Keep the lease of an examination."""
    return await leases.renew(session, JobRow, job.id, epoch=job.epoch, ttl_s=ttl_s)


async def note_progress(session: AsyncSession, job: JobRow, progress: Mapping[str, Any]) -> None:
    """Say how far an examination got, under its lease."""
    await session.execute(update(JobRow).where(leases.held(JobRow, job.id, job.epoch)).values(progress=progress))


async def finish(session: AsyncSession, job: JobRow, status: JobStatus, *, values: Mapping[str, Any]) -> bool:
    """End an examination under its lease; False when the lease is lost."""
    statement = (
        update(JobRow)
        .where(leases.held(JobRow, job.id, job.epoch))
        .values(status=status, progress=None, finished_at=func.clock_timestamp(), **values, **leases.released())
        .returning(JobRow.id)
    )
    return (await session.execute(statement)).first() is not None


async def release(session: AsyncSession, job: JobRow) -> None:
    """Give an unfinished examination back to the queue."""
    await session.execute(update(JobRow).where(leases.held(JobRow, job.id, job.epoch)).values(**leases.released()))
