"""Evaluations, as users see them."""

import json
from typing import Annotated
from uuid import UUID

from fastapi import Query, Request

from slm_evaluation import store
from slm_evaluation.domain import EvaluationStatus
from slm_evaluation.errors import EvaluationNotFoundError, EvaluationNotReadyError
from slm_evaluation.schemas import Evaluation, Predictions, Sample
from slm_evaluation.tables import EvaluationRow
from slm_shared.access import Viewer
from slm_shared.paging import Page, PageQuery, page_of
from slm_shared.web import ReadSession, router

routes = router(tags=["evaluations"])


async def _find(session: ReadSession, evaluation_id: UUID) -> EvaluationRow:
    row = await store.find(session, evaluation_id)
    if row is None:
        hint = "`slm evaluations list` shows what there is."
        raise EvaluationNotFoundError("There is no such evaluation.", hint=hint)
    return row


@routes.get("/api/evaluations")
async def list_evaluations(
    _: Viewer,
    session: ReadSession,
    query: PageQuery,
    model_id: Annotated[UUID | None, Query()] = None,
    dataset_id: Annotated[UUID | None, Query()] = None,
    experiment_id: Annotated[UUID | None, Query()] = None,
    status: Annotated[EvaluationStatus | None, Query()] = None,
) -> Page[Evaluation]:
    """Evaluations, newest first."""
    rows = await store.list_evaluations(
        session, query, model_id=model_id, dataset_id=dataset_id, experiment_id=experiment_id, status=status
    )
    return page_of(rows, query, key=lambda row: (row.created_at, row.id), show=Evaluation.of)


@routes.get("/api/evaluations/{evaluation_id}")
async def get_evaluation(evaluation_id: UUID, _: Viewer, session: ReadSession) -> Evaluation:
    """One evaluation."""
    return Evaluation.of(await _find(session, evaluation_id))


@routes.get("/api/evaluations/{evaluation_id}/predictions")
async def get_predictions(
    evaluation_id: UUID,
    request: Request,
    _: Viewer,
    session: ReadSession,
    offset: Annotated[int, Query(ge=0, lt=2**31)] = 0,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
) -> Predictions:
    """What the model answered, row by row."""
    row = await _find(session, evaluation_id)
    if row.predictions_key is None:
        raise EvaluationNotReadyError(f"The evaluation has no predictions: its status is {row.status}.")
    lines = (await request.app.state.objects.get_bytes(row.predictions_key)).decode().splitlines()
    items = [Sample.model_validate(json.loads(line)) for line in lines[offset : offset + limit]]
    return Predictions(items=items, offset=offset, total=len(lines))
