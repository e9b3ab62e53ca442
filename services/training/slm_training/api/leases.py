"""What trainers ask and report. Not reachable through the gateway; every write carries the epoch of its lease."""

from typing import Any
from uuid import UUID

from fastapi import Request, Response
from starlette.responses import JSONResponse

from slm_shared.errors import FieldProblem, InvalidError
from slm_shared.http.access import Worker
from slm_shared.http.provided import given
from slm_shared.http.routing import WriteSession, router
from slm_shared.storage import manifest
from slm_shared.storage.database import Database
from slm_shared.storage.manifest import ArtifactMismatchError
from slm_shared.storage.objects import ObjectStore
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
from slm_training.service import leasing
from slm_training.settings import TrainingSettings

routes = router(tags=["leases"])


@routes.post("/api/leases:claim", response_model=None)
async def claim(body: Claim, request: Request, _: Worker, session: WriteSession) -> Response:
    """Lease the next run; 204 when there is none."""
    lease: dict[str, Any] | None = await leasing.claim_run(session, body, given(request.app, TrainingSettings))
    return JSONResponse(lease) if lease is not None else Response(status_code=204)


@routes.post("/api/leases:forget", status_code=204)
async def forget(body: Forget, _: Worker, session: WriteSession) -> None:
    """A worker has restarted: free what it held."""
    await leasing.forget_worker(session, body.worker)


@routes.post("/api/leases/{run_id}:start", status_code=204)
async def start(run_id: UUID, body: Fenced, _: Worker, session: WriteSession) -> None:
    """The work has begun."""
    await leasing.start_run(session, run_id, body.epoch)


@routes.post("/api/leases/{run_id}:heartbeat")
async def heartbeat(
    run_id: UUID, body: Heartbeat, request: Request, _: Worker, session: WriteSession
) -> HeartbeatAnswer:
    """Keep the lease and hear whether to stop."""
    state = await leasing.keep_lease(session, run_id, body.epoch, given(request.app, TrainingSettings))
    return HeartbeatAnswer(cancel=state is RunState.CANCELLING, drain=state is RunState.PAUSING)


@routes.post("/api/leases/{run_id}:choose", status_code=204)
async def choose(run_id: UUID, body: Choices, _: Worker, session: WriteSession) -> None:
    """What the trainer settled by itself, and why."""
    choices = {name: choice.model_dump() for name, choice in body.choices.items()}
    await leasing.note_choices(session, run_id, body.epoch, choices)


@routes.post("/api/leases/{run_id}:checkpoint")
async def add_checkpoint(run_id: UUID, body: Checkpoint, _: Worker, session: WriteSession) -> CheckpointAnswer:
    """A checkpoint is stored; the next attempt may go on from it."""
    return CheckpointAnswer(obsolete=await leasing.add_checkpoint(session, run_id, body))


@routes.post("/api/leases/{run_id}:resume", status_code=204)
async def resume(run_id: UUID, body: Resumption, _: Worker, session: WriteSession) -> None:
    """The attempt goes on from a checkpoint."""
    await leasing.resume_run(session, run_id, body.epoch, step=body.step)


@routes.post("/api/leases/{run_id}:complete", status_code=204)
async def complete(run_id: UUID, body: Completion | PlanReport, request: Request, _: Worker) -> None:
    """The artifact is stored: read all of it back, and only then call the run succeeded. A plan is its report."""
    database = given(request.app, Database)
    if isinstance(body, PlanReport):
        async with database.transaction(answering=True) as session:
            await leasing.complete_plan(session, run_id, body.epoch, body.report)
        return
    async with database.transaction(answering=True) as session:
        run = await leasing.begin_completion(session, run_id, body)
    if run is None:
        return
    prefix = leasing.artifact_prefix(run)
    if body.manifest_key != f"{prefix}/{manifest.MANIFEST_NAME}":
        problem = FieldProblem("manifest_key", "must be the manifest under the lease's own prefix")
        raise InvalidError("The manifest is not under the lease's prefix.", errors=[problem])
    try:
        await manifest.verify(given(request.app, ObjectStore), prefix, body.manifest_sha256)
    except ArtifactMismatchError as error:
        failure = Failure("artifact_mismatch", error.message, "infra", retry=True)
        async with database.transaction(answering=True) as session:
            await leasing.fail_attempt(session, run_id, body.epoch, failure)
        return
    async with database.transaction(answering=True) as session:
        await leasing.complete_run(session, run_id, body)


@routes.post("/api/leases/{run_id}:fail", status_code=204)
async def fail(run_id: UUID, body: FailureReport, _: Worker, session: WriteSession) -> None:
    """The attempt ended without a result."""
    failure = Failure(body.code, body.message, body.blame, body.retry, body.log_tail)
    await leasing.fail_attempt(session, run_id, body.epoch, failure)


@routes.post("/api/leases/{run_id}:release", status_code=204)
async def release(run_id: UUID, body: Fenced, _: Worker, session: WriteSession) -> None:
    """The run is given back unfinished."""
    await leasing.release_run(session, run_id, body.epoch)
