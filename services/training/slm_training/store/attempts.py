"""What attempts at runs leave: how they went, and checkpoints."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from slm_training.tables import AttemptRow, CheckpointRow, MetricRow, RunRow


async def open_attempt(session: AsyncSession, run: RunRow) -> bool:
    """Note a claimed attempt; False for a claim that is answered again, which changes nothing."""
    values = {"run_id": run.id, "epoch": run.epoch, "number": run.attempt, "worker": run.worker}
    statement = insert(AttemptRow).values(**values).on_conflict_do_nothing().returning(AttemptRow.epoch)
    return (await session.execute(statement)).first() is not None


async def start_attempt(session: AsyncSession, run: RunRow) -> bool:
    """Note that the attempt of the current lease has begun; False when that was noted before."""
    mine = (AttemptRow.run_id == run.id, AttemptRow.epoch == run.epoch, AttemptRow.started_at.is_(None))
    statement = update(AttemptRow).where(*mine).values(started_at=func.clock_timestamp()).returning(AttemptRow.epoch)
    return (await session.execute(statement)).first() is not None


async def end_attempt(session: AsyncSession, run: RunRow, *, outcome: str, code: str | None = None) -> None:
    """Note how the attempt of the current lease ended."""
    mine = (AttemptRow.run_id == run.id, AttemptRow.epoch == run.epoch, AttemptRow.ended_at.is_(None))
    values = {"ended_at": func.clock_timestamp(), "outcome": outcome, "code": code}
    await session.execute(update(AttemptRow).where(*mine).values(**values))


async def note_resumed(session: AsyncSession, run: RunRow, step: int) -> None:
    """Note where the attempt of the current lease went on; those beyond it could not be used and are forgotten."""
    mine = (AttemptRow.run_id == run.id, AttemptRow.epoch == run.epoch)
    await session.execute(update(AttemptRow).where(*mine).values(resumed_from_step=step))
    beyond = (CheckpointRow.run_id == run.id, CheckpointRow.step > step, CheckpointRow.epoch < run.epoch)
    await session.execute(delete(CheckpointRow).where(*beyond))


async def add_checkpoint(session: AsyncSession, values: Mapping[str, Any]) -> None:
    """Note a stored checkpoint; one of the same step by an earlier attempt is replaced."""
    statement = insert(CheckpointRow).values(**values)
    replaced = {name: values[name] for name in ("epoch", "prefix", "manifest_sha256", "size_bytes", "metrics")}
    key = [CheckpointRow.run_id, CheckpointRow.step]
    await session.execute(statement.on_conflict_do_update(index_elements=key, set_=replaced))


async def reset_failures(session: AsyncSession, run: RunRow) -> None:
    """The run came further than before."""
    await session.execute(update(RunRow).where(RunRow.id == run.id).values(failures=0))


async def checkpoints_of(session: AsyncSession, run_id: UUID) -> list[CheckpointRow]:
    """The checkpoints of a run, the newest first."""
    statement = select(CheckpointRow).where(CheckpointRow.run_id == run_id).order_by(CheckpointRow.step.desc())
    return list((await session.scalars(statement)).all())


async def forget_checkpoints(session: AsyncSession, run_id: UUID, *, up_to_step: int) -> None:
    """Forget the checkpoints of a run up to a step."""
    old = (CheckpointRow.run_id == run_id, CheckpointRow.step <= up_to_step)
    await session.execute(delete(CheckpointRow).where(*old))


async def last_steps(session: AsyncSession, experiment_id: UUID) -> dict[int, int]:
    """The last optimiser step that each attempt reported, by lease epoch."""
    mine = (MetricRow.experiment_id == experiment_id,)
    statement = select(MetricRow.epoch, func.max(MetricRow.step)).where(*mine).group_by(MetricRow.epoch)
    return {epoch: step for epoch, step in (await session.execute(statement)).all()}


async def attempts_of(session: AsyncSession, run_id: UUID) -> list[AttemptRow]:
    """Every attempt of a run, oldest first."""
    statement = select(AttemptRow).where(AttemptRow.run_id == run_id).order_by(AttemptRow.epoch)
    return list((await session.scalars(statement)).all())
