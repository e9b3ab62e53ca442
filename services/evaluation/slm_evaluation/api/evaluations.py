"""Evaluations, as users see them."""

from typing import Annotated
from uuid import UUID

from anyio import to_thread
from fastapi import Query
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.responses import JSONResponse, StreamingResponse

from slm_evaluation.api.dependencies import FilteredBy, InputResolver, Settings, SortedBy, TrainingService
from slm_evaluation.schemas.evaluations import (
    Curves,
    Evaluation,
    EvaluationComparison,
    EvaluationCreate,
    Predictions,
    Suites,
)
from slm_evaluation.service import comparing, curves, ordering, predictions, reading, suites
from slm_shared.http.access import Member, Viewer
from slm_shared.http.idempotency import Idempotency
from slm_shared.http.paging import Page, PageQuery
from slm_shared.http.routing import Objects, OpenRead, ReadSession, WriteSession, router

routes = router(tags=["evaluations"])


@routes.post("/api/evaluations", status_code=202, response_model=Evaluation)
async def create_evaluation(
    body: EvaluationCreate, principal: Member, once: Idempotency, resolver: InputResolver, settings: Settings
) -> JSONResponse:
    """Queue an evaluation of any model on any processed dataset; the same question has one answer."""
    canonical = body.model_dump_json()
    if (stored := await once.stored(of=canonical)) is not None:
        return stored
    inputs = await resolver.resolve(body)

    async def order(session: AsyncSession) -> Evaluation:
        owner = principal.subject
        return Evaluation.of(await ordering.order_evaluation(session, body, inputs, settings=settings, owner=owner))

    return await once(order, of=canonical, status=202, location=lambda made: f"/api/evaluations/{made.id}")


@routes.get("/api/evaluations")
async def list_evaluations(
    _: Viewer, session: ReadSession, query: PageQuery, filters: FilteredBy, sort: SortedBy = "-created_at"
) -> Page[Evaluation]:
    """Evaluations, newest first unless `sort` says otherwise; a missing number sorts as the largest."""
    return await reading.list_evaluations(session, query, sort=sort, filters=filters)


@routes.get("/api/evaluations:compare")
async def compare_evaluations(
    _: Viewer, objects: Objects, read: OpenRead, first: UUID, second: UUID
) -> EvaluationComparison:
    """Two evaluations of the same rows: every metric's difference, with a 95 % interval where rows are scored."""
    async with read() as session:
        one = await reading.find_evaluation(session, first)
        other = await reading.find_evaluation(session, second)
    return await comparing.compare(objects, one, other)


@routes.get("/api/evaluations:suites")
async def list_suites(settings: Settings, _: Viewer) -> Suites:
    """The benchmark suites that may be asked for."""
    return Suites(items=await to_thread.run_sync(suites.list_suites, settings.suites_folder))


@routes.get("/api/evaluations/{evaluation_id}")
async def get_evaluation(evaluation_id: UUID, _: Viewer, session: ReadSession) -> Evaluation:
    """One evaluation."""
    return Evaluation.of(await reading.find_evaluation(session, evaluation_id))


@routes.post("/api/evaluations/{evaluation_id}:cancel", status_code=202)
async def cancel_evaluation(evaluation_id: UUID, principal: Member, session: WriteSession) -> Evaluation:
    """Stop an evaluation: at once while it waits, within seconds while it runs."""
    return Evaluation.of(await ordering.cancel_evaluation(session, evaluation_id, actor=principal.subject))


@routes.post("/api/evaluations/{evaluation_id}:retry", status_code=202)
async def retry_evaluation(evaluation_id: UUID, principal: Member, session: WriteSession) -> Evaluation:
    """Queue an evaluation again that failed or was cancelled."""
    return Evaluation.of(await ordering.retry_evaluation(session, evaluation_id, actor=principal.subject))


@routes.get("/api/evaluations/{evaluation_id}/predictions", response_model_exclude_unset=True)
async def get_predictions(
    evaluation_id: UUID,
    _: Viewer,
    objects: Objects,
    read: OpenRead,
    offset: Annotated[int, Query(ge=0, lt=2**31)] = 0,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
    sort: Annotated[str, Query(max_length=40, description="row, loss or a metric; -loss: the worst first.")] = "row",
    exact: Annotated[bool | None, Query(description="Only exact matches, or only the others.")] = None,
) -> Predictions:
    """What the model answered, row by row."""
    async with read() as session:
        row = await reading.find_evaluation(session, evaluation_id)
    return await predictions.read_page(objects, row, sort=sort, offset=offset, limit=limit, exact=exact)


@routes.get("/api/evaluations/{evaluation_id}/predictions/download", response_class=StreamingResponse)
async def download_predictions(evaluation_id: UUID, _: Viewer, objects: Objects, read: OpenRead) -> StreamingResponse:
    """Every answer as JSON lines."""
    async with read() as session:
        row = await reading.find_evaluation(session, evaluation_id)
    key = predictions.key_of(row)
    headers = {"Content-Disposition": f'attachment; filename="{row.model["name"]}-{row.dataset["name"]}.jsonl"'}
    return StreamingResponse(objects.stream(key), media_type="application/x-ndjson", headers=headers)


@routes.get("/api/evaluations/{evaluation_id}/curves")
async def get_curves(evaluation_id: UUID, training: TrainingService, _: Viewer, read: OpenRead) -> Curves:
    """The loss curves of the training that made the model, beside what the model scores."""
    async with read() as session:
        row = await reading.find_evaluation(session, evaluation_id)
        scored = await curves.scored_beside(session, row)
    return await curves.read_curves(training, row, scored)
