"""Steering runs that were launched: cancel, pause, resume, priority."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from slm_shared.delivery import outbox
from slm_shared.events.catalogue import ExperimentCancelled
from slm_shared.storage import audit
from slm_shared.storage.database import database_now
from slm_training import store
from slm_training.domain import TERMINAL, RunState
from slm_training.errors import NotPossibleNowError, RunFinishedError
from slm_training.service.launching import announce_launched, locked
from slm_training.tables import RunRow


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
