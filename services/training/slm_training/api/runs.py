"""Runs: what was asked for."""

from typing import Annotated
from uuid import UUID

from fastapi import Query, Request
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import JSONResponse

from slm_shared.access import Member, Viewer
from slm_shared.idempotency import Idempotency
from slm_shared.paging import Page, PageQuery, page_of
from slm_shared.web import ReadSession, WriteSession, router
from slm_training import store
from slm_training.domain import ExperimentStatus
from slm_training.errors import RunNotFoundError
from slm_training.schemas import Run, RunCreate
from slm_training.service import launching
from slm_training.service.launching import Resolver

routes = router(tags=["runs"])


@routes.post("/api/runs", status_code=202, response_model=Run)
async def launch_run(body: RunCreate, request: Request, principal: Member, once: Idempotency) -> JSONResponse:
    """Launch a training run."""
    canonical = body.model_dump_json()
    if (stored := await once.stored(of=canonical)) is not None:
        return stored
    resolver: Resolver = request.app.state.resolver
    inputs = await resolver.resolve(body)

    async def work(session: AsyncSession) -> Run:
        return Run.of(await launching.launch_run(session, body, inputs, owner=principal.subject))

    return await once(work, of=canonical, status=202, location=lambda run: f"/api/runs/{run.id}")


@routes.get("/api/runs")
async def list_runs(
    _: Viewer,
    session: ReadSession,
    query: PageQuery,
    status: Annotated[ExperimentStatus | None, Query()] = None,
    q: Annotated[str | None, Query(max_length=100, description="Part of the name.")] = None,
) -> Page[Run]:
    """Runs, newest first."""
    rows = await store.list_runs(session, query, status=status, q=q)
    return page_of(rows, query, key=lambda row: (row.created_at, row.id), show=Run.of)


@routes.get("/api/runs/{run_id}")
async def get_run(run_id: UUID, _: Viewer, session: ReadSession) -> Run:
    """One run."""
    row = await store.find_run(session, run_id)
    if row is None:
        raise RunNotFoundError("There is no such run.", hint="`slm runs list` shows what there is.")
    return Run.of(row)


@routes.post("/api/runs/{run_id}:cancel", status_code=202)
async def cancel_run(run_id: UUID, principal: Member, session: WriteSession) -> Run:
    """Stop a run; one that is working stops at the trainer's next heartbeat."""
    return Run.of(await launching.cancel_run(session, run_id, actor=principal.subject))
