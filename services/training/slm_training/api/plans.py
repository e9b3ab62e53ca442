"""Plans: what a run would take, before it is launched."""

from typing import Annotated
from uuid import UUID

from fastapi import Query, Response
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import JSONResponse

from slm_shared.http.access import Member, Viewer
from slm_shared.http.idempotency import Idempotency
from slm_shared.http.routing import ReadSession, ServiceDatabase, router
from slm_training.api.dependencies import Resolving
from slm_training.schemas.config import RunCreate
from slm_training.schemas.plans import Plan
from slm_training.schemas.runs import Run
from slm_training.service import planning

routes = router(tags=["plans"])


@routes.post("/api/runs:preflight", status_code=200, responses={202: {"model": Plan}})
async def preflight(
    body: RunCreate,
    resolver: Resolving,
    database: ServiceDatabase,
    principal: Member,
    response: Response,
    wait_s: Annotated[float, Query(ge=0, le=30, description="How long to wait for the plan.")] = 20.0,
) -> Plan:
    """Plan a run: 200 with the plan, 422 with what cannot work, 202 when every worker is busy for longer than that."""
    plan = await planning.plan_run(database, resolver, body, owner=principal.subject, wait_s=wait_s)
    response.headers["Location"] = f"/api/plans/{plan.id}"
    response.status_code = 202 if plan.status == "planning" else 200
    return plan


@routes.get("/api/plans/{plan_id}")
async def get_plan(plan_id: UUID, _: Viewer, session: ReadSession) -> Plan:
    """One plan."""
    return await planning.show_plan(session, plan_id)


@routes.post("/api/plans/{plan_id}:launch", status_code=202, response_model=Run)
async def launch_plan(plan_id: UUID, principal: Member, once: Idempotency) -> JSONResponse:
    """Launch exactly what was planned: the same inputs by content hash, the same options."""

    async def work(session: AsyncSession) -> Run:
        return Run.of(await planning.launch_plan(session, plan_id, owner=principal.subject))

    return await once(work, of=str(plan_id), status=202, location=lambda run: f"/api/runs/{run.id}")
