"""Runs: found, moved from state to state, queued again."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from slm_shared.jobs import leases
from slm_training.domain import RunState, states_before
from slm_training.tables import RunRow, TransitionRow

TRAIN, PLAN = "train", "plan"


async def find_run(session: AsyncSession, run_id: UUID) -> RunRow | None:
    """A run by its id, whatever its purpose."""
    return await session.get(RunRow, run_id)


async def find_experiment(session: AsyncSession, experiment_id: UUID) -> RunRow | None:
    """The run behind an experiment."""
    return await session.scalar(select(RunRow).where(RunRow.experiment_id == experiment_id, RunRow.purpose == TRAIN))


async def find_experiments(session: AsyncSession, ids: Sequence[UUID]) -> list[RunRow]:
    """The runs behind experiments, in the order asked; those that do not exist are left out."""
    found = await session.scalars(select(RunRow).where(RunRow.experiment_id.in_(ids), RunRow.purpose == TRAIN))
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


async def add_run(session: AsyncSession, run: RunRow) -> None:
    """Store a new run with the first entry of its timeline."""
    session.add(run)
    await session.flush()
    await session.refresh(run)
    note_transition(session, run)


async def remove_draft(session: AsyncSession, run: RunRow) -> None:
    """Remove a run that was never started, and its timeline."""
    await session.execute(delete(TransitionRow).where(TransitionRow.run_id == run.id))
    await session.execute(delete(RunRow).where(RunRow.id == run.id, RunRow.state == RunState.DRAFT))


async def move(
    session: AsyncSession, run: RunRow, target: RunState, *, values: Mapping[str, Any] | None = None
) -> bool:
    """Move a run along a legal edge, under its current lease; False when it stands somewhere else by now."""
    statement = (
        update(RunRow)
        .where(RunRow.id == run.id, RunRow.epoch == run.epoch, RunRow.state.in_(states_before(target)))
        .values(state=target, **(values or {}))
        .returning(RunRow)
        .execution_options(populate_existing=True)
    )
    moved = (await session.execute(statement)).scalar_one_or_none() is not None
    if moved:
        note_transition(session, run)
    return moved


def note_transition(session: AsyncSession, run: RunRow) -> None:
    """Write the state of a run into its timeline."""
    session.add(TransitionRow(run_id=run.id, state=run.state, attempt=run.attempt))


async def requeue(
    session: AsyncSession, run: RunRow, *, after_s: float = 0.0, values: Mapping[str, Any] | None = None
) -> bool:
    """Put a run back into the queue, to be claimed after a pause."""
    retry_at = func.clock_timestamp() + timedelta(seconds=after_s)
    back = {**leases.released(), "retry_at": retry_at, "progress": {}}
    return await move(session, run, RunState.QUEUED, values=back | dict(values or {}))


async def change(session: AsyncSession, run: RunRow, values: Mapping[str, Any]) -> None:
    """Change facts of a locked run other than its state."""
    statement = update(RunRow).where(RunRow.id == run.id).values(**values).returning(RunRow)
    await session.execute(statement.execution_options(populate_existing=True))


async def transitions_of(session: AsyncSession, run_id: UUID) -> list[TransitionRow]:
    """The timeline of a run, oldest first."""
    statement = select(TransitionRow).where(TransitionRow.run_id == run_id).order_by(TransitionRow.id)
    return list((await session.scalars(statement)).all())
