"""Queries about the training runs that read datasets."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Text, cast, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from slm_datasets.tables import RunUseRow


async def note_run(session: AsyncSession, run_id: UUID, *, name: str, dataset_ids: Sequence[UUID]) -> None:
    """A run reads these datasets; if its end was stored first, it stays ended."""
    given = {"name": name, "dataset_ids": list(dataset_ids)}
    statement = insert(RunUseRow).values(run_id=run_id, has_ended=False, **given)
    await session.execute(statement.on_conflict_do_update(index_elements=[RunUseRow.run_id], set_=given))


async def note_run_end(session: AsyncSession, run_id: UUID) -> None:
    """A run has ended, whether or not its launch is known yet."""
    statement = insert(RunUseRow).values(run_id=run_id, name=None, dataset_ids=[], has_ended=True)
    await session.execute(statement.on_conflict_do_update(index_elements=[RunUseRow.run_id], set_={"has_ended": True}))


async def runs_that_need(session: AsyncSession, dataset_id: UUID) -> Sequence[str]:
    """Names of queued and running runs that read a dataset, at most ten."""
    statement = (
        select(func.coalesce(RunUseRow.name, cast(RunUseRow.run_id, Text)))
        .where(RunUseRow.dataset_ids.contains([dataset_id]), RunUseRow.has_ended.is_(False))
        .order_by(RunUseRow.run_id)
        .limit(10)
    )
    return (await session.scalars(statement)).all()
