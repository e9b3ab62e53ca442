"""Plans: what a run would take, before it is launched."""

from typing import Annotated
from uuid import UUID

from fastapi import Query, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import JSONResponse

from slm_shared.http.access import Member, Viewer
from slm_shared.http.idempotency import Idempotency
from slm_shared.http.provided import given
from slm_shared.http.routing import ReadSession, router
from slm_shared.storage.database import Database
from slm_training.schemas.config import RunCreate
from slm_training.schemas.plans import Plan
from slm_training.schemas.runs import Run
from slm_training.service import control, planning
from slm_training.service.resolving import Resolver

routes = router(tags=["plans"])


@routes.post("/api/runs:preflight", status_code=200, responses={202: {"model": Plan}})
async def preflight(
    body: RunCreate,
    request: Request,
    principal: Member,
    response: Response,
    wait_s: Annotated[float, Query(ge=0, le=30, description="How long to wait for the plan.")] = 20.0,
) -> Plan:
    """Plan a run: 200 with the plan, 422 with what cannot work, 202 when every worker is busy for longer than that."""
    resolver = given(request.app, Resolver)
    database = given(request.app, Database)
    inputs = await resolver.resolve(body)
    async with database.transaction(answering=True) as session:
        plan_id = (await planning.begin_plan(session, body, inputs, owner=principal.subject)).id
    row = await planning.wait_for_plan(database, plan_id, within_s=wait_s)
    async with database.read(answering=True) as session:
        plan = Plan.of(row, await control.queue_place(session, row))
    response.headers["Location"] = f"/api/plans/{plan_id}"
    response.status_code = 202 if plan.status == "planning" else 200
    return plan


@routes.get("/api/plans/{plan_id}")
async def get_plan(plan_id: UUID, _: Viewer, session: ReadSession) -> Plan:
    """One plan."""
    row = await planning.find_plan(session, plan_id)
    return Plan.of(row, await control.queue_place(session, row))


@routes.post("/api/plans/{plan_id}:launch", status_code=202, response_model=Run)
async def launch_plan(plan_id: UUID, principal: Member, once: Idempotency) -> JSONResponse:
    """Launch exactly what was planned: the same inputs by content hash, the same options."""

    async def work(session: AsyncSession) -> Run:
        return Run.of(await planning.launch_plan(session, plan_id, owner=principal.subject))

    return await once(work, of=str(plan_id), status=202, location=lambda run: f"/api/runs/{run.id}")
