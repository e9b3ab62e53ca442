"""Jobs, which are runs and plans: queued, leased, moved from state to state."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Float, and_, func, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from slm_shared.jobs import leases
from slm_shared.jobs.lifecycle import Queue
from slm_training.domain import WORKING, Capabilities, RunState, states_before
from slm_training.tables import JobColumns, PlanRow, RunRow, TransitionRow

Job = RunRow | PlanRow


async def add(session: AsyncSession, job: Job) -> None:
    """Store a new job with the first entry of its timeline."""
    session.add(job)
    await session.flush()
    await session.refresh(job)
    note_transition(session, job)


def note_transition(session: AsyncSession, job: Job) -> None:
    """Write the state of a run into its timeline; a plan has none."""
    if isinstance(job, RunRow):
        session.add(TransitionRow(run_id=job.id, state=job.state, attempt=job.attempt))


AT_WORK: dict[type[Job], ColumnElement[bool]] = {kind: kind.state.in_(WORKING) for kind in (RunRow, PlanRow)}


def queue(kind: type[Job], *, pool: str, able: Capabilities) -> Queue[Job]:
    """The queued jobs of a pool that a worker with these capabilities can do: by priority, then by when they queued."""
    return Queue(
        kind,
        where=and_(kind.state == RunState.QUEUED, kind.pool == pool, _can_do(kind, able)),
        order_by=[kind.priority.desc(), kind.queued_at.asc(), kind.id.asc()],
        values={"state": RunState.LEASED},
    )


def _can_do(kind: type[JobColumns], able: Capabilities) -> ColumnElement[bool]:
    """Whether a worker has what a job needs; `domain.lacks` says the same of one job."""
    device, memory = kind.needs["device"].astext, kind.needs["memory_gb"].astext.cast(Float)
    processes = kind.needs["processes"].astext.cast(Float)
    return and_(
        or_(device.is_(None), device == able.device),
        or_(memory.is_(None), memory <= able.memory_gb),
        or_(processes.is_(None), processes <= able.cores),
    )


async def jobs_ahead(session: AsyncSession, job: Job) -> int:
    """How many queued jobs of its kind and pool are claimed before this one."""
    kind = type(job)
    earlier = tuple_(kind.queued_at, kind.id) < tuple_(job.queued_at, job.id)
    ahead = or_(kind.priority > job.priority, and_(kind.priority == job.priority, earlier))
    queued = (kind.state == RunState.QUEUED, kind.pool == job.pool)
    return await session.scalar(select(func.count()).where(*queued, ahead)) or 0


async def move(session: AsyncSession, job: Job, target: RunState, *, values: Mapping[str, Any] | None = None) -> bool:
    """Move a job along a legal edge, under its current lease; False when it stands somewhere else by now."""
    kind = type(job)
    statement = (
        update(kind)
        .where(kind.id == job.id, kind.epoch == job.epoch, kind.state.in_(states_before(target)))
        .values(state=target, **(values or {}))
        .returning(kind)
        .execution_options(populate_existing=True)
    )
    moved = (await session.execute(statement)).scalar_one_or_none() is not None
    if moved:
        note_transition(session, job)
    return moved


async def requeue(
    session: AsyncSession, job: Job, *, after_s: float = 0.0, values: Mapping[str, Any] | None = None
) -> bool:
    """Put a job back into the queue, to be claimed after a pause."""
    back = {**leases.released(), "retry_at": func.clock_timestamp() + timedelta(seconds=after_s)}
    if isinstance(job, RunRow):
        back["progress"] = {}
    return await move(session, job, RunState.QUEUED, values=back | dict(values or {}))


async def change(session: AsyncSession, job: Job, values: Mapping[str, Any]) -> None:
    """Change facts of a locked job other than its state."""
    kind = type(job)
    statement = update(kind).where(kind.id == job.id).values(**values).returning(kind)
    await session.execute(statement.execution_options(populate_existing=True))
