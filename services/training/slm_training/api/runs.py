"""Runs: what was asked for."""

from typing import Annotated, Any
from uuid import UUID

from fastapi import Query, Request, Response
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import JSONResponse

from slm_shared.errors import Hint
from slm_shared.http.access import Member, Viewer
from slm_shared.http.idempotency import Idempotency
from slm_shared.http.paging import Page, PageQuery
from slm_shared.http.preconditions import version_named
from slm_shared.http.provided import given
from slm_shared.http.routing import ReadSession, WriteSession, router
from slm_shared.storage.database import Database
from slm_training import store
from slm_training.domain import ExperimentStatus
from slm_training.errors import RunNotFoundError
from slm_training.schemas.config import RunCreate, config_schema
from slm_training.schemas.runs import Origin, Priority, Run
from slm_training.service import control, launching
from slm_training.service.resolving import Resolver
from slm_training.store import Filters, Sort
from slm_training.tables import RunRow

routes = router(tags=["runs"])


@routes.post("/api/runs", status_code=202, response_model=Run)
async def launch_run(body: RunCreate, request: Request, principal: Member, once: Idempotency) -> JSONResponse:
    """Launch a training run, or keep it as a draft."""
    canonical = body.model_dump_json()
    if (stored := await once.stored(of=canonical)) is not None:
        return stored
    resolver = given(request.app, Resolver)
    inputs = await resolver.resolve(body)

    async def work(session: AsyncSession) -> Run:
        return Run.of(await launching.launch_run(session, body, inputs, owner=principal.subject))

    return await once(work, of=canonical, status=202, location=lambda run: f"/api/runs/{run.id}")


@routes.get("/api/runs/schema")
async def get_schema(_: Viewer) -> dict[str, Any]:
    """The JSON Schema of a configuration file, versioned by its `$id`."""
    return config_schema()


@routes.get("/api/runs")
async def list_runs(
    _: Viewer,
    session: ReadSession,
    query: PageQuery,
    status: Annotated[ExperimentStatus | None, Query()] = None,
    tag: Annotated[str | None, Query(max_length=60)] = None,
    owner: Annotated[str | None, Query(max_length=200)] = None,
    q: Annotated[str | None, Query(max_length=100, description="Part of name, goal, description or tags.")] = None,
    sort: Annotated[Sort, Query()] = "-created_at",
) -> Page[Run]:
    """Runs, newest first unless sorted otherwise."""
    rows = await store.list_runs(session, query, Filters(status=status, tag=tag, owner=owner, q=q), sort=sort)
    more = len(rows) > query.limit
    shown = rows[: query.limit]
    return Page(items=[Run.of(row) for row in shown], next_cursor=store.cursor_of(shown[-1], sort) if more else None)


async def _find(session: AsyncSession, run_id: UUID) -> RunRow:
    row = await store.find_run(session, run_id)
    if row is None or row.purpose != store.TRAIN:
        raise RunNotFoundError("There is no such run.", hint=Hint.LIST_RUNS)
    return row


@routes.get("/api/runs/{run_id}")
async def get_run(run_id: UUID, _: Viewer, session: ReadSession, response: Response) -> Run:
    """One run; `ETag` is the version that an edit of a draft has to name in `If-Match`."""
    row = await _find(session, run_id)
    response.headers["ETag"] = f'"{row.version}"'
    return Run.of(row, await control.queue_place(session, row))


@routes.patch("/api/runs/{run_id}")
async def edit_draft(
    run_id: UUID, body: dict[str, Any], request: Request, principal: Member, response: Response
) -> Run:
    """Change options of a draft; null goes back to the default. `If-Match` names the version that was read."""
    version = version_named(request.headers.get("If-Match"))
    async with given(request.app, Database).read(answering=True) as session:
        changed = launching.request_of(await _find(session, run_id), body)
    inputs = await given(request.app, Resolver).resolve(changed)
    async with given(request.app, Database).transaction(answering=True) as session:
        row = await launching.edit_draft(session, run_id, changed, inputs, version=version, actor=principal.subject)
        response.headers["ETag"] = f'"{row.version}"'
        return Run.of(row)


@routes.delete("/api/runs/{run_id}", status_code=204)
async def remove_draft(run_id: UUID, principal: Member, session: WriteSession) -> None:
    """Remove a run that was never started."""
    await launching.remove_draft(session, run_id, actor=principal.subject)


@routes.post("/api/runs/{run_id}:start", status_code=202)
async def start_draft(run_id: UUID, request: Request, principal: Member) -> Run:
    """Queue a draft; its inputs are what they are now."""
    async with given(request.app, Database).read(answering=True) as session:
        asked = launching.request_of(await _find(session, run_id))
    inputs = await given(request.app, Resolver).resolve(asked)
    async with given(request.app, Database).transaction(answering=True) as session:
        return Run.of(await launching.start_draft(session, run_id, inputs, actor=principal.subject))


@routes.post("/api/runs/{run_id}:clone", status_code=202, response_model=Run)
async def clone_run(
    run_id: UUID, body: dict[str, Any], request: Request, principal: Member, once: Idempotency
) -> JSONResponse:
    """Launch (or draft) a run like another one, with the changes of the body."""
    async with given(request.app, Database).read(answering=True) as session:
        row = await _find(session, run_id)
    changed = launching.request_of(row, body)
    canonical = changed.model_dump_json()
    if (stored := await once.stored(of=canonical)) is not None:
        return stored
    inputs = await given(request.app, Resolver).resolve(changed)
    origin = Origin(relation="clone", run_id=row.id, experiment_id=row.experiment_id).model_dump(mode="json")

    async def work(session: AsyncSession) -> Run:
        made = await launching.launch_run(session, changed, inputs, owner=principal.subject, origin=origin)
        return Run.of(made)

    return await once(work, of=canonical, status=202, location=lambda run: f"/api/runs/{run.id}")


@routes.post("/api/runs/{run_id}:reproduce", status_code=202, response_model=Run)
async def reproduce_run(run_id: UUID, principal: Member, once: Idempotency) -> JSONResponse:
    """Run the very same again: same inputs by content hash, same options, same seed."""

    async def work(session: AsyncSession) -> Run:
        return Run.of(await launching.reproduce_run(session, run_id, owner=principal.subject))

    return await once(work, of=str(run_id), status=202, location=lambda run: f"/api/runs/{run.id}")


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
    return Run.of(row, await control.queue_place(session, row))
