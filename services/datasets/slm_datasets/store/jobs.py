"""Queries about examinations of datasets."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from slm_datasets.domain.states import JobKind, JobStatus
from slm_datasets.tables import JobRow
from slm_shared.http.paging import PageRequest
from slm_shared.http.sorting import Order, Sort, sorted_page
from slm_shared.storage.ids import new_id

NEWEST_JOBS_FIRST = Order("created_at", Sort(JobRow.created_at.expression, datetime), descending=True)


async def request_job(
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
    # A conflict without an update returns no row, so the row is read in any case.
    found = select(JobRow).where(JobRow.dataset_id == dataset_id, JobRow.kind == kind, JobRow.key == key)
    return (await session.execute(found.execution_options(populate_existing=True))).scalar_one()


async def find_job(session: AsyncSession, dataset_id: UUID, kind: JobKind, job_id: UUID) -> JobRow | None:
    """One examination of a dataset."""
    statement = select(JobRow).where(JobRow.id == job_id, JobRow.dataset_id == dataset_id, JobRow.kind == kind)
    return await session.scalar(statement)


async def newest_job(session: AsyncSession, dataset_id: UUID, kind: JobKind) -> JobRow | None:
    """The newest examination of one kind."""
    statement = select(JobRow).where(JobRow.dataset_id == dataset_id, JobRow.kind == kind)
    return await session.scalar(statement.order_by(JobRow.created_at.desc(), JobRow.id.desc()).limit(1))


async def list_jobs(
    session: AsyncSession, query: PageRequest, dataset_id: UUID, kind: JobKind
) -> Sequence[Row[tuple[JobRow, Any]]]:
    """One page of examinations (and one more row), newest first, each with its place in the order."""
    statement = select(JobRow).where(JobRow.dataset_id == dataset_id, JobRow.kind == kind)
    page = sorted_page(statement, NEWEST_JOBS_FIRST, identity=JobRow.id.expression, query=query)
    rows: Sequence[Row[tuple[JobRow, Any]]] = (await session.execute(page)).all()
    return rows
