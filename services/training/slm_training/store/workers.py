"""Who works the queue off, and what the service did so far in numbers."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Float, and_, func, or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from slm_training.domain import WORKING, RunState
from slm_training.store.jobs import Job
from slm_training.tables import AttemptRow, PlanRow, RunRow, WorkerRow


async def note_worker(session: AsyncSession, name: str, *, pool: str, capabilities: dict[str, Any]) -> None:
    """A worker has spoken; empty `capabilities` leave what is known of it."""
    seen: dict[str, Any] = {"last_seen_at": func.clock_timestamp(), "pool": pool}
    if capabilities:
        seen["capabilities"] = capabilities
    statement = insert(WorkerRow).values(name=name, pool=pool, capabilities=capabilities)
    await session.execute(statement.on_conflict_do_update(index_elements=[WorkerRow.name], set_=seen))


async def list_workers(session: AsyncSession, *, seen_within_s: float) -> Sequence[tuple[WorkerRow, Job | None]]:
    """The workers that spoke lately or hold a lease, each with the job it holds, by name."""
    trains = and_(RunRow.worker == WorkerRow.name, RunRow.state.in_(WORKING))
    plans = and_(PlanRow.worker == WorkerRow.name, PlanRow.state.in_(WORKING))
    recent = WorkerRow.last_seen_at > func.clock_timestamp() - timedelta(seconds=seen_within_s)
    statement = select(WorkerRow, RunRow, PlanRow).outerjoin(RunRow, trains).outerjoin(PlanRow, plans)
    statement = statement.where(or_(recent, RunRow.id.is_not(None), PlanRow.id.is_not(None)))
    found = await session.execute(statement.order_by(WorkerRow.name))
    return [(worker, run or plan) for worker, run, plan in found.all()]


async def statistics(session: AsyncSession, *, since: datetime | None) -> dict[str, Any]:
    """Runs by state, times in seconds, device hours and trained tokens of the runs made since a moment."""
    mine = [RunRow.state != RunState.DRAFT]
    if since is not None:
        mine.append(RunRow.created_at >= since)
    by_state = await session.execute(select(RunRow.state, func.count()).where(*mine).group_by(RunRow.state))
    first = select(func.min(AttemptRow.started_at)).where(AttemptRow.run_id == RunRow.id).scalar_subquery()
    done = func.extract("epoch", RunRow.completed_at - RunRow.started_at)
    waited = func.extract("epoch", first - RunRow.queued_at)
    succeeded, median = RunRow.state == RunState.SUCCEEDED, func.percentile_cont(0.5).within_group
    columns = (
        func.avg(done).filter(succeeded).label("mean_duration_s"),
        median(done).filter(succeeded).label("median_duration_s"),
        func.avg(waited).label("mean_queue_wait_s"),
        median(waited).label("median_queue_wait_s"),
    )
    times = (await session.execute(select(*columns).where(*mine))).mappings().one()
    worked = func.extract("epoch", func.coalesce(AttemptRow.ended_at, func.clock_timestamp()) - AttemptRow.started_at)
    attempts = select(func.sum(worked), func.count()).join(RunRow, RunRow.id == AttemptRow.run_id).where(*mine)
    seconds, count = (await session.execute(attempts)).one()
    tokens = select(func.sum(RunRow.result["trained_tokens"].astext.cast(Float))).where(*mine)
    return {
        "by_state": {state: number for state, number in by_state.all()},
        **{name: None if time is None else round(float(time), 3) for name, time in times.items()},
        "device_hours": round(float(seconds or 0) / 3600, 6),
        "attempts": count,
        "trained_tokens": int(await session.scalar(tokens) or 0),
    }
