"""Runs: what was asked for."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import Query, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import JSONResponse

from slm_shared.http.access import Member, Viewer
from slm_shared.http.idempotency import Idempotency, Once
from slm_shared.http.paging import Page, PageQuery
from slm_shared.http.preconditions import version_named
from slm_shared.http.provided import taken
from slm_shared.http.routing import OpenRead, ReadSession, ServiceDatabase, WriteSession, router
from slm_shared.identity.principal import Principal
from slm_training.api.dependencies import Resolving
from slm_training.schemas.config import RunCreate, config_schema
from slm_training.schemas.runs import Filters, Origin, Priority, Run, Sort
from slm_training.service import control, drafting, launching, queue, reading
from slm_training.service.resolving import Resolver

routes = router(tags=["runs"])


@routes.post("/api/runs", status_code=202, response_model=Run)
async def launch_run(body: RunCreate, resolver: Resolving, principal: Member, once: Idempotency) -> JSONResponse:
    """Launch a training run, or keep it as a draft."""
    return await _launch(body, resolver, principal, once)


async def _launch(
    body: RunCreate, resolver: Resolver, principal: Principal, once: Once, *, origin: Origin | None = None
) -> JSONResponse:
    canonical = body.model_dump_json()
    # The stored answer first: what the request names may be gone by now.
    if (stored := await once.stored(of=canonical)) is not None:
        return stored
    inputs = await resolver.resolve(body)

    async def work(session: AsyncSession) -> Run:
        return Run.of(await launching.launch_run(session, body, inputs, owner=principal.subject, origin=origin))

    return await once(work, of=canonical, status=202, location=_place_of)


def _place_of(run: Run) -> str:
    return f"/api/runs/{run.id}"


@routes.get("/api/runs/schema")
async def get_schema(_: Viewer) -> dict[str, Any]:
    """The JSON Schema of a configuration file, versioned by its `$id`."""
    return config_schema()


@routes.get("/api/runs")
async def list_runs(
    _: Viewer,
    session: ReadSession,
    query: PageQuery,
    filters: Annotated[Filters, taken(Filters)],
    sort: Annotated[Sort, Query()] = "-created_at",
) -> Page[Run]:
    """Runs, newest first unless sorted otherwise."""
    return await reading.list_runs(session, query, filters, sort=sort)


@routes.get("/api/runs/{run_id}")
async def get_run(run_id: UUID, _: Viewer, session: ReadSession, response: Response) -> Run:
    """One run; `ETag` is the version that an edit of a draft has to name in `If-Match`."""
    row = await launching.find_run(session, run_id)
    response.headers["ETag"] = f'"{row.version}"'
    return Run.of(row, await queue.place_of(session, row))


@routes.patch("/api/runs/{run_id}")
async def edit_draft(
    run_id: UUID,
    body: dict[str, Any],
    request: Request,
    database: ServiceDatabase,
    resolver: Resolving,
    principal: Member,
    response: Response,
) -> Run:
    """Change options of a draft; null goes back to the default. `If-Match` names the version that was read."""
    version = version_named(request.headers.get("If-Match"))
    row = await drafting.edit_draft(database, resolver, run_id, body, version=version, actor=principal.subject)
    response.headers["ETag"] = f'"{row.version}"'
    return Run.of(row)


@routes.delete("/api/runs/{run_id}", status_code=204)
async def remove_draft(run_id: UUID, principal: Member, session: WriteSession) -> None:
    """Remove a run that was never started."""
    await drafting.remove_draft(session, run_id, actor=principal.subject)


@routes.post("/api/runs/{run_id}:start", status_code=202)
async def start_draft(run_id: UUID, database: ServiceDatabase, resolver: Resolving, principal: Member) -> Run:
    """Queue a draft; its inputs are what they are now."""
    return Run.of(await drafting.start_draft(database, resolver, run_id, actor=principal.subject))


@routes.post("/api/runs/{run_id}:clone", status_code=202, response_model=Run)
async def clone_run(
    run_id: UUID, body: dict[str, Any], read: OpenRead, resolver: Resolving, principal: Member, once: Idempotency
) -> JSONResponse:
    """Launch (or draft) a run like another one, with the changes of the body."""
    async with read() as session:
        request, origin = await launching.clone_of(session, run_id, body)
    return await _launch(request, resolver, principal, once, origin=origin)


@routes.post("/api/runs/{run_id}:reproduce", status_code=202, response_model=Run)
async def reproduce_run(run_id: UUID, principal: Member, once: Idempotency) -> JSONResponse:
    """Run the very same again: same inputs by content hash, same options, same seed."""

    async def work(session: AsyncSession) -> Run:
        return Run.of(await launching.reproduce_run(session, run_id, owner=principal.subject))

    return await once(work, of=str(run_id), status=202, location=_place_of)


@routes.post("/api/runs/{run_id}:cancel", status_code=202)
async def cancel_run(run_id: UUID, principal: Member, session: WriteSession) -> Run:
    """Stop a run; one that is working stops at the trainer's next heartbeat."""
    return Run.of(await control.cancel_run(session, run_id, actor=principal.subject))


@routes.post("/api/runs/{run_id}:pause", status_code=202)
async def pause_run(run_id: UUID, principal: Member, session: WriteSession) -> Run:
    """Have a run stop at a checkpoint, to be resumed later."""
    return Run.of(await control.pause_run(session, run_id, actor=principal.subject))


@routes.post("/api/runs/{run_id}:resume", status_code=202)
async def resume_run(run_id: UUID, principal: Member, session: WriteSession) -> Run:
    """Queue a paused run; it goes on from its newest checkpoint."""
    return Run.of(await control.resume_run(session, run_id, actor=principal.subject))


@routes.put("/api/runs/{run_id}/priority")
async def set_priority(run_id: UUID, body: Priority, principal: Member, session: WriteSession) -> Run:
    """Move a run forward or back in the queue."""
    row = await control.set_priority(session, run_id, body.priority, actor=principal.subject)
    return Run.of(row, await queue.place_of(session, row))
