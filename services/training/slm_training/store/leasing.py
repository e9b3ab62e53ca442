"""Runs under a lease: claiming, attempts, checkpoints."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Float, and_, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from slm_shared.jobs import leases
from slm_training.domain import WORKING, Capabilities, RunState
from slm_training.tables import AttemptRow, CheckpointRow, MetricRow, RunRow


async def claim(
    session: AsyncSession, *, pool: str, worker: str, claim_id: UUID, ttl_s: float, able: Capabilities
) -> RunRow | None:
    """Lease the next run that is due and that a worker with these capabilities can do.

    Plans come first, for somebody waits for them; then the higher priority, then what was queued earlier.
    """
    return await leases.claim(
        session,
        RunRow,
        where=and_(RunRow.state == RunState.QUEUED, RunRow.pool == pool, can_do(able)),
        order_by=[RunRow.purpose.asc(), RunRow.priority.desc(), RunRow.queued_at.asc(), RunRow.id.asc()],
        worker=worker,
        claim_id=claim_id,
        ttl_s=ttl_s,
        values={"state": RunState.LEASED},
    )


def can_do(able: Capabilities) -> ColumnElement[bool]:
    """Whether a worker has what a run needs; `domain.lacks` says the same of one run."""
    device, memory = RunRow.needs["device"].astext, RunRow.needs["memory_gb"].astext.cast(Float)
    processes = RunRow.needs["processes"].astext.cast(Float)
    return and_(
        or_(device.is_(None), device == able.device),
        or_(memory.is_(None), memory <= able.memory_gb),
        or_(processes.is_(None), processes <= able.slots),
    )


async def held_run(session: AsyncSession, run_id: UUID, epoch: int) -> RunRow | None:
    """The run, locked, if `epoch` is its newest lease and still held."""
    statement = select(RunRow).where(leases.held(RunRow, run_id, epoch)).with_for_update()
    return await session.scalar(statement.execution_options(populate_existing=True))


async def expired_runs(session: AsyncSession) -> Sequence[RunRow]:
    """Working runs whose lease ran out, locked."""
    return await leases.expired(session, RunRow, where=RunRow.state.in_(WORKING))


async def runs_of_worker(session: AsyncSession, worker: str) -> Sequence[RunRow]:
    """Working runs that a worker holds, locked."""
    mine: ColumnElement[bool] = (RunRow.worker == worker) & RunRow.state.in_(WORKING)
    return (await session.scalars(select(RunRow).where(mine).with_for_update(skip_locked=True))).all()


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
    await session.execute(
        delete(CheckpointRow).where(
            CheckpointRow.run_id == run.id, CheckpointRow.step > step, CheckpointRow.epoch < run.epoch
        )
    )


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
