"""Jobs, which are runs and plans: queued, leased, moved from state to state."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import ColumnElement, Float, and_, func, or_, select, tuple_, update
from sqlalchemy.ext.asyncio import AsyncSession

from slm_shared.jobs import leases
from slm_training.domain import WORKING, Capabilities, RunState, states_before
from slm_training.tables import JobColumns, PlanRow, RunRow, TransitionRow

Job = RunRow | PlanRow
J = TypeVar("J", RunRow, PlanRow)


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


async def claim(
    session: AsyncSession, *, pool: str, worker: str, claim_id: UUID, ttl_s: float, able: Capabilities
) -> Job | None:
    """Lease the next job that is due and that a worker with these capabilities can do.

    Plans come first, for somebody waits for them; then the higher priority, then what was queued earlier.
    """
    # A claim that is asked again gets what it was granted, even if a plan has come in between.
    if (again := await session.scalar(select(RunRow).where(RunRow.claim_id == claim_id))) is not None:
        return again

    async def next_of(kind: type[J]) -> J | None:
        return await leases.claim(
            session,
            kind,
            where=and_(kind.state == RunState.QUEUED, kind.pool == pool, _can_do(kind, able)),
            order_by=[kind.priority.desc(), kind.queued_at.asc(), kind.id.asc()],
            worker=worker,
            claim_id=claim_id,
            ttl_s=ttl_s,
            values={"state": RunState.LEASED},
        )

    return await next_of(PlanRow) or await next_of(RunRow)


def _can_do(kind: type[JobColumns], able: Capabilities) -> ColumnElement[bool]:
    """Whether a worker has what a job needs; `domain.lacks` says the same of one job."""
    device, memory = kind.needs["device"].astext, kind.needs["memory_gb"].astext.cast(Float)
    processes = kind.needs["processes"].astext.cast(Float)
    return and_(
        or_(device.is_(None), device == able.device),
        or_(memory.is_(None), memory <= able.memory_gb),
        or_(processes.is_(None), processes <= able.slots),
    )


async def find_job(session: AsyncSession, job_id: UUID) -> Job | None:
    """A run or a plan by its id."""
    return await session.get(RunRow, job_id) or await session.get(PlanRow, job_id)


async def held_job(session: AsyncSession, job_id: UUID, epoch: int) -> Job | None:
    """The job, locked, if `epoch` is its newest lease and still held."""

    async def held(kind: type[J]) -> J | None:
        statement = select(kind).where(leases.held(kind, job_id, epoch)).with_for_update()
        return await session.scalar(statement.execution_options(populate_existing=True))

    return await held(RunRow) or await held(PlanRow)


async def expired_jobs(session: AsyncSession) -> Sequence[Job]:
    """Jobs at work whose lease ran out, locked."""
    runs = await leases.expired(session, RunRow, where=RunRow.state.in_(WORKING))
    return [*runs, *await leases.expired(session, PlanRow, where=PlanRow.state.in_(WORKING))]


async def jobs_of_worker(session: AsyncSession, worker: str) -> Sequence[Job]:
    """Jobs at work that a worker holds, locked."""

    async def mine(kind: type[J]) -> Sequence[J]:
        statement = select(kind).where(kind.worker == worker, kind.state.in_(WORKING))
        return (await session.scalars(statement.with_for_update(skip_locked=True))).all()

    return [*await mine(RunRow), *await mine(PlanRow)]


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
