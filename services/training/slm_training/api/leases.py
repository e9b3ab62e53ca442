"""What trainers ask and report. Not reachable through the gateway; every write carries the epoch of its lease."""

from uuid import UUID

from fastapi import Response
from starlette.responses import JSONResponse

from slm_shared.http.access import Worker
from slm_shared.http.routing import ServiceDatabase, WriteSession, router
from slm_training.api.dependencies import Artifacts, Settings
from slm_training.domain import Failure, RunState
from slm_training.schemas.leases import (
    Checkpoint,
    CheckpointAnswer,
    Choices,
    Claim,
    Completion,
    FailureReport,
    Fenced,
    Forget,
    Heartbeat,
    HeartbeatAnswer,
    PlanReport,
    Resumption,
)
from slm_training.service import completing, leasing, planning

routes = router(tags=["leases"])


@routes.post("/api/leases:claim", response_model=None)
async def claim(body: Claim, settings: Settings, _: Worker, session: WriteSession) -> Response:
    """Lease the next run; 204 when there is none."""
    lease = await leasing.claim_job(session, body, settings)
    return JSONResponse(lease) if lease is not None else Response(status_code=204)


@routes.post("/api/leases:forget", status_code=204)
async def forget(body: Forget, _: Worker, session: WriteSession) -> None:
    """A worker has restarted: free what it held."""
    await leasing.forget_worker(session, body.worker)


@routes.post("/api/leases/{run_id}:start", status_code=204)
async def start(run_id: UUID, body: Fenced, _: Worker, session: WriteSession) -> None:
    """The work has begun."""
    await leasing.start_job(session, run_id, body.epoch)


@routes.post("/api/leases/{run_id}:heartbeat")
async def heartbeat(
    run_id: UUID, body: Heartbeat, settings: Settings, _: Worker, session: WriteSession
) -> HeartbeatAnswer:
    """Keep the lease and hear whether to stop."""
    state = await leasing.keep_lease(session, run_id, body.epoch, settings)
    return HeartbeatAnswer(cancel=state is RunState.CANCELLING, drain=state is RunState.PAUSING)


@routes.post("/api/leases/{run_id}:choose", status_code=204)
async def choose(run_id: UUID, body: Choices, _: Worker, session: WriteSession) -> None:
    """What the trainer settled by itself, and why."""
    await leasing.note_choices(session, run_id, body)


@routes.post("/api/leases/{run_id}:checkpoint")
async def add_checkpoint(run_id: UUID, body: Checkpoint, _: Worker, session: WriteSession) -> CheckpointAnswer:
    """A checkpoint is stored; the next attempt may go on from it."""
    return CheckpointAnswer(obsolete=await leasing.add_checkpoint(session, run_id, body))


@routes.post("/api/leases/{run_id}:resume", status_code=204)
async def resume(run_id: UUID, body: Resumption, _: Worker, session: WriteSession) -> None:
    """The attempt goes on from a checkpoint."""
    await leasing.resume_run(session, run_id, body.epoch, step=body.step)


@routes.post("/api/leases/{run_id}:complete", status_code=204)
async def complete(
    run_id: UUID, body: Completion | PlanReport, database: ServiceDatabase, objects: Artifacts, _: Worker
) -> None:
    """The artifact is stored: read all of it back, and only then call the run succeeded. A plan is its report."""
    if isinstance(body, Completion):
        await completing.complete_run(database, objects, run_id, body)
    else:
        await planning.complete_plan(database, run_id, body)


@routes.post("/api/leases/{run_id}:fail", status_code=204)
async def fail(run_id: UUID, body: FailureReport, _: Worker, session: WriteSession) -> None:
    """The attempt ended without a result."""
    failure = Failure(body.code, body.message, body.blame, body.retry, body.log_tail)
    await leasing.fail_attempt(session, run_id, body.epoch, failure)


@routes.post("/api/leases/{run_id}:release", status_code=204)
async def release(run_id: UUID, body: Fenced, _: Worker, session: WriteSession) -> None:
    """The run is given back unfinished."""
    await leasing.release_job(session, run_id, body.epoch)
