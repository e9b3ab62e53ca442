"""What only trainers report, beside the routes of all leased work. Not reachable through the gateway."""

from uuid import UUID

from slm_shared.http.access import Worker
from slm_shared.http.routing import WriteSession, router
from slm_training.api.dependencies import Leased
from slm_training.schemas.leases import Checkpoint, CheckpointAnswer, Choices, Resumption

routes = router(tags=["leases"])


@routes.post("/api/leases/{run_id}:choose", status_code=204)
async def choose(run_id: UUID, body: Choices, leased: Leased, _: Worker, session: WriteSession) -> None:
    """What the trainer settled by itself, and why."""
    await leased.note_choices(session, run_id, body)


@routes.post("/api/leases/{run_id}:checkpoint")
async def add_checkpoint(
    run_id: UUID, body: Checkpoint, leased: Leased, _: Worker, session: WriteSession
) -> CheckpointAnswer:
    """A checkpoint is stored; the next attempt may go on from it."""
    return CheckpointAnswer(obsolete=await leased.add_checkpoint(session, run_id, body))


@routes.post("/api/leases/{run_id}:resume", status_code=204)
async def resume(run_id: UUID, body: Resumption, leased: Leased, _: Worker, session: WriteSession) -> None:
    """The attempt goes on from a checkpoint."""
    await leased.resume(session, run_id, body)
