"""Runs by their id, by their experiment, by their end; and their timelines."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from slm_training.domain import RunState
from slm_training.tables import PlanRow, RunRow, TransitionRow


async def find_run(session: AsyncSession, run_id: UUID) -> RunRow | None:
    """A run by its id."""
    return await session.get(RunRow, run_id)


async def find_plan(session: AsyncSession, plan_id: UUID) -> PlanRow | None:
    """A plan by its id."""
    return await session.get(PlanRow, plan_id)


async def find_experiment(session: AsyncSession, experiment_id: UUID) -> RunRow | None:
    """The run behind an experiment."""
    return await session.scalar(select(RunRow).where(RunRow.experiment_id == experiment_id))


async def find_experiments(session: AsyncSession, ids: Sequence[UUID]) -> list[RunRow]:
    """The runs behind experiments, in the order asked; those that do not exist are left out."""
    found = await session.scalars(select(RunRow).where(RunRow.experiment_id.in_(ids)))
    rows = {row.experiment_id: row for row in found.all()}
    return [rows[each] for each in ids if each in rows]


async def locked_run(session: AsyncSession, run_id: UUID) -> RunRow | None:
    """The run, locked for this transaction."""
    return await session.scalar(select(RunRow).where(RunRow.id == run_id).with_for_update())


async def runs_that_ended(session: AsyncSession, *, after: timedelta, until: timedelta) -> list[RunRow]:
    """The runs whose end lies at least `after` and at most `until` in the past."""
    now = func.clock_timestamp()
    statement = select(RunRow).where(RunRow.completed_at < now - after, RunRow.completed_at > now - until)
    return list((await session.scalars(statement)).all())


async def remove_draft(session: AsyncSession, run: RunRow) -> None:
    """Remove a run that was never started, and its timeline."""
    await session.execute(delete(TransitionRow).where(TransitionRow.run_id == run.id))
    await session.execute(delete(RunRow).where(RunRow.id == run.id, RunRow.state == RunState.DRAFT))


async def transitions_of(session: AsyncSession, run_id: UUID) -> list[TransitionRow]:
    """The timeline of a run, oldest first."""
    statement = select(TransitionRow).where(TransitionRow.run_id == run_id).order_by(TransitionRow.id)
    return list((await session.scalars(statement)).all())
