"""Experiments: what became of runs."""

from typing import Annotated
from uuid import UUID

from fastapi import Query

from slm_shared.access import Viewer
from slm_shared.paging import Page, PageQuery, page_of
from slm_shared.web import ReadSession, router
from slm_training import store
from slm_training.domain import ExperimentStatus
from slm_training.errors import ExperimentNotFoundError
from slm_training.schemas import Experiment, Line, Log, Metrics
from slm_training.service import reading
from slm_training.tables import RunRow

routes = router(tags=["experiments"])


async def _find(session: ReadSession, experiment_id: UUID) -> RunRow:
    row = await store.find_experiment(session, experiment_id)
    if row is None:
        raise ExperimentNotFoundError(
            "There is no such experiment.", hint="`slm experiments list` shows what there is."
        )
    return row


@routes.get("/api/experiments")
async def list_experiments(
    _: Viewer,
    session: ReadSession,
    query: PageQuery,
    status: Annotated[ExperimentStatus | None, Query()] = None,
    dataset_id: Annotated[UUID | None, Query()] = None,
    base_model_id: Annotated[UUID | None, Query()] = None,
    q: Annotated[str | None, Query(max_length=100, description="Part of the name.")] = None,
) -> Page[Experiment]:
    """Experiments, newest first."""
    rows = await store.list_runs(session, query, status=status, dataset_id=dataset_id, base_model_id=base_model_id, q=q)
    return page_of(rows, query, key=lambda row: (row.created_at, row.id), show=Experiment.of)


@routes.get("/api/experiments/{experiment_id}")
async def get_experiment(experiment_id: UUID, _: Viewer, session: ReadSession) -> Experiment:
    """One experiment with its attempts."""
    row = await _find(session, experiment_id)
    return Experiment.of(row, await reading.attempts_of(session, row))


@routes.get("/api/experiments/{experiment_id}/metrics")
async def get_metrics(
    experiment_id: UUID,
    _: Viewer,
    session: ReadSession,
    name: Annotated[str | None, Query(max_length=100, description="Only this series.")] = None,
) -> Metrics:
    """The metric series; steps that were lost with an attempt are not among them."""
    row = await _find(session, experiment_id)
    return Metrics(experiment_id=experiment_id, series=await reading.series_of(session, row, name=name))


@routes.get("/api/experiments/{experiment_id}/log")
async def get_log(
    experiment_id: UUID,
    _: Viewer,
    session: ReadSession,
    after: Annotated[int, Query(ge=0, lt=2**63, description="Lines behind this `seq`.")] = 0,
    limit: Annotated[int, Query(ge=1, le=store.MAX_LOG_LINES)] = 200,
) -> Log:
    """The log of an experiment over all attempts: its newest lines, or those behind `after`."""
    await _find(session, experiment_id)
    rows = await store.log_of(session, experiment_id, after=after, limit=limit)
    lines = [Line.model_validate(row, from_attributes=True) for row in rows]
    return Log(experiment_id=experiment_id, lines=lines)
