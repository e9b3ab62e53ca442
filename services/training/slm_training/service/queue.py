"""The queue: why a job waits, who works it off, and what came of it so far in numbers."""

from collections import Counter
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from slm_shared.storage.database import database_now
from slm_training import store
from slm_training.domain import STATUS_OF, Capabilities, RunState, lacks
from slm_training.schemas.runs import QueuePlace
from slm_training.schemas.workers import Statistics, Worker, Workers
from slm_training.store import Job
from slm_training.tables import PlanRow

# A worker speaks every few seconds; it may start its child anew meanwhile.
WORKER_SEEN_S = 60.0


async def place_of(session: AsyncSession, job: Job) -> QueuePlace | None:
    """Where a queued job stands among its kind and what it waits for; None for one that does not wait."""
    if job.state != RunState.QUEUED:
        return None
    ahead = await store.jobs_ahead(session, job)
    return QueuePlace(position=ahead + 1, reason=await _reason(session, job, ahead), retry_at=job.retry_at)


async def _reason(session: AsyncSession, job: Job, ahead: int) -> str:
    if job.retry_at is not None and job.retry_at > await database_now(session):
        return "It failed and is tried again after a pause."
    connected = await store.list_workers(session, seen_within_s=WORKER_SEEN_S)
    workers = [pair for pair in connected if pair[0].pool == job.pool]
    if not workers:
        return "No worker is connected."
    missing = [lacks(job.needs, Capabilities.of(worker.capabilities)) for worker, _ in workers]
    if all(missing):
        return f"No connected worker has {missing[0]}."
    if ahead:
        kind = "plan" if isinstance(job, PlanRow) else "run"
        return f"1 {kind} is ahead of it." if ahead == 1 else f"{ahead} {kind}s are ahead of it."
    if all(held is not None for _, held in workers):
        return "Every worker is busy."
    return "A worker is about to take it."


async def workers(session: AsyncSession) -> Workers:
    """The trainers that are connected, what they can do, and what each is doing."""
    found = await store.list_workers(session, seen_within_s=WORKER_SEEN_S)
    return Workers(items=[Worker.of(worker, job) for worker, job in found])


async def statistics(session: AsyncSession, *, since: datetime | None) -> Statistics:
    """Runs by state, success rate, times, device hours and trained tokens of the runs made since a moment."""
    found = await store.statistics(session, since=since)
    by_status: Counter[str] = Counter()
    for state, count in found["by_state"].items():
        by_status[str(STATUS_OF[RunState(state)])] += count
    ended = by_status["completed"] + by_status["failed"]
    rate = round(by_status["completed"] / ended, 4) if ended else None
    return Statistics(**found, by_status=dict(by_status), runs=by_status.total(), success_rate=rate)
