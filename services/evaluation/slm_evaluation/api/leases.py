"""What evaluation workers ask and report. Not reachable through the gateway."""

from uuid import UUID

from fastapi import Request, Response
from starlette.responses import JSONResponse

from slm_evaluation import store
from slm_evaluation.schemas import Claim, Completion, FailureReport, Fenced, Forget, Heartbeat, HeartbeatAnswer
from slm_evaluation.service import leasing, regression
from slm_evaluation.service.planning import predictions_key
from slm_evaluation.service.regression import Regression
from slm_evaluation.settings import EvaluationSettings
from slm_shared.errors import FieldProblem, InvalidError
from slm_shared.http.access import Worker
from slm_shared.http.provided import given
from slm_shared.http.routing import WriteSession, router
from slm_shared.storage.database import Database
from slm_shared.storage.objects import ObjectStore

routes = router(tags=["leases"])
PATH = "/api/evaluation-leases"


@routes.post(f"{PATH}:claim", response_model=None)
async def claim(body: Claim, request: Request, _: Worker, session: WriteSession) -> Response:
    """Lease the next evaluation; 204 when there is none."""
    lease = await leasing.claim_evaluation(session, body, given(request.app, EvaluationSettings))
    return JSONResponse(lease) if lease is not None else Response(status_code=204)


@routes.post(f"{PATH}:forget", status_code=204)
async def forget(body: Forget, _: Worker, session: WriteSession) -> None:
    """A worker has restarted: free what it held."""
    await leasing.forget_worker(session, body.worker)


@routes.post(f"{PATH}/{{evaluation_id}}:start", status_code=204)
async def start(evaluation_id: UUID, body: Fenced, _: Worker, session: WriteSession) -> None:
    """The work has begun; a claimed evaluation already counts as running."""
    await leasing.held(session, evaluation_id, body.epoch)


@routes.post(f"{PATH}/{{evaluation_id}}:heartbeat")
async def heartbeat(
    evaluation_id: UUID, body: Heartbeat, request: Request, _: Worker, session: WriteSession
) -> HeartbeatAnswer:
    """Keep the lease and tell the progress."""
    ttl_s = given(request.app, EvaluationSettings).lease_ttl_s
    return await leasing.keep_lease(session, evaluation_id, body, ttl_s=ttl_s)


@routes.post(f"{PATH}/{{evaluation_id}}:complete", status_code=204)
async def complete(evaluation_id: UUID, body: Completion, request: Request, _: Worker) -> None:
    """What was measured; a model that is worse than its predecessor is told of."""
    if body.predictions_key not in (None, predictions_key(evaluation_id, body.epoch)):
        problem = FieldProblem("predictions_key", "must be predictions.jsonl under the lease's own prefix")
        raise InvalidError("The predictions are not under the lease's prefix.", errors=[problem])
    found = await _regressions(evaluation_id, body, given(request.app, Database), given(request.app, ObjectStore))
    async with given(request.app, Database).transaction(answering=True) as session:
        price = given(request.app, EvaluationSettings).hourly_price
        row = await leasing.complete_evaluation(session, evaluation_id, body, hourly_price=price)
        for each in found if row is not None else ():
            await regression.announce_regression(session, each)


async def _regressions(
    evaluation_id: UUID, body: Completion, database: Database, objects: ObjectStore
) -> list[Regression]:
    """What is worse than in the version before, here or in the version after; read before the transaction begins."""
    if body.predictions_key is None:
        return []
    async with database.read(answering=True) as session:
        row = await store.find(session, evaluation_id)
        neighbours = await store.neighbours(session, row) if row is not None else None
    if row is None or neighbours is None:
        return []
    return await regression.find_regressions(objects, row, body.predictions_key, neighbours)


@routes.post(f"{PATH}/{{evaluation_id}}:fail", status_code=204)
async def fail(evaluation_id: UUID, body: FailureReport, _: Worker, session: WriteSession) -> None:
    """The attempt ended without a result."""
    await leasing.fail_attempt(session, evaluation_id, body)


@routes.post(f"{PATH}/{{evaluation_id}}:release", status_code=204)
async def release(evaluation_id: UUID, body: Fenced, _: Worker, session: WriteSession) -> None:
    """The evaluation is given back unfinished."""
    await leasing.release(session, evaluation_id, body.epoch)
