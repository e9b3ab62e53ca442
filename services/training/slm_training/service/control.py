"""Steering runs that were launched: cancel, pause, resume, priority, and why one waits."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from slm_shared.delivery import outbox
from slm_shared.events.catalogue import ExperimentCancelled
from slm_shared.storage import audit
from slm_shared.storage.database import database_now
from slm_training import store
from slm_training.domain import TERMINAL, Capabilities, RunState, lacks
from slm_training.errors import NotPossibleNowError, RunFinishedError
from slm_training.schemas.runs import QueuePlace
from slm_training.service.launching import announce_launched, locked
from slm_training.tables import RunRow

WORKER_SEEN_S = 60.0


async def cancel_run(session: AsyncSession, run_id: UUID, *, actor: str) -> RunRow:
    """Stop a run: at once while it waits, at the next heartbeat while it works.

    Cancelling twice is fine. Raises RunNotFoundError, RunFinishedError, and NotPossibleNowError for a draft.
    """
    run = await locked(session, run_id)
    state = RunState(run.state)
    if state is RunState.DRAFT:
        raise NotPossibleNowError("The run was not started; there is nothing to cancel.", hint="Remove the draft.")
    if state in TERMINAL - {RunState.CANCELLED} or state is RunState.COMPLETING:
        raise RunFinishedError(f"The run is {state} and cannot be cancelled any more.")
    if state in (RunState.QUEUED, RunState.PAUSED):
        values = {"retry_at": None, "completed_at": await database_now(session)}
        if await store.move(session, run, RunState.CANCELLED, values=values):
            await announce_cancelled(session, run)
    elif state in (RunState.LEASED, RunState.RUNNING, RunState.PAUSING):
        await store.move(session, run, RunState.CANCELLING)
    if state is not RunState.CANCELLED:
        await audit.append(session, "run.cancelled", actor=actor, object_id=run.id)
    return run


async def announce_cancelled(session: AsyncSession, run: RunRow) -> None:
    """Tell that a run was cancelled."""
    if run.purpose == store.PLAN:
        return
    await outbox.append(session, ExperimentCancelled(experiment_id=run.experiment_id, run_id=run.id))


async def pause_run(session: AsyncSession, run_id: UUID, *, actor: str) -> RunRow:
    """Take a run out of the queue, or have it stop at a checkpoint. Pausing twice is fine.

    Raises NotPossibleNowError when it has ended or was never started.
    """
    run = await locked(session, run_id)
    state = RunState(run.state)
    if state in (RunState.PAUSED, RunState.PAUSING):
        return run
    if state is RunState.QUEUED:
        await store.move(session, run, RunState.PAUSED, values={"retry_at": None})
    elif state in (RunState.LEASED, RunState.RUNNING):
        await store.move(session, run, RunState.PAUSING)
    else:
        raise NotPossibleNowError(f"The run is {state} and cannot be paused.")
    await audit.append(session, "run.paused", actor=actor, object_id=run.id)
    return run


async def resume_run(session: AsyncSession, run_id: UUID, *, actor: str) -> RunRow:
    """Queue a paused run again; it goes on from its newest checkpoint. Raises NotPossibleNowError."""
    run = await locked(session, run_id)
    if run.state != RunState.PAUSED:
        raise NotPossibleNowError(f"The run is {run.state}, not paused.")
    await store.move(session, run, RunState.QUEUED, values={"queued_at": await database_now(session)})
    await announce_launched(session, run, actor=actor)
    return run


async def set_priority(session: AsyncSession, run_id: UUID, priority: int, *, actor: str) -> RunRow:
    """Move a run forward or back in the queue. Raises RunFinishedError."""
    run = await locked(session, run_id)
    if RunState(run.state) in TERMINAL:
        raise RunFinishedError(f"The run is {run.state}.")
    await store.change(session, run, {"priority": priority})
    await audit.append(session, "run.prioritised", actor=actor, object_id=run.id, priority=priority)
    return run


async def queue_place(session: AsyncSession, run: RunRow) -> QueuePlace | None:
    """Where a queued run stands and what it waits for; None for one that does not wait."""
    if run.state != RunState.QUEUED:
        return None
    ahead = await store.runs_ahead(session, run)
    return QueuePlace(position=ahead + 1, reason=await _reason(session, run, ahead), retry_at=run.retry_at)


async def _reason(session: AsyncSession, run: RunRow, ahead: int) -> str:
    if run.retry_at is not None and run.retry_at > await database_now(session):
        return "It failed and is tried again after a pause."
    workers = [
        pair for pair in await store.list_workers(session, seen_within_s=WORKER_SEEN_S) if pair[0].pool == run.pool
    ]
    if not workers:
        return "No worker is connected."
    missing = [lacks(run.needs, Capabilities.of(worker.capabilities)) for worker, _ in workers]
    if all(missing):
        return f"No connected worker has {missing[0]}."
    if ahead:
        return f"{ahead} {'run is' if ahead == 1 else 'runs are'} ahead of it."
    if all(held is not None for _, held in workers):
        return "Every worker is busy."
    return "A worker is about to take it."
