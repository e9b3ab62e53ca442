"""Experiments: what became of runs."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import Query

from slm_shared.http.access import Viewer
from slm_shared.http.paging import Page, PageQuery
from slm_shared.http.provided import taken
from slm_shared.http.routing import ReadSession, router
from slm_training.schemas.experiments import Checkpoints, Comparison, Drift, Experiment, Log, Metrics
from slm_training.schemas.runs import ExperimentFilters, Sort
from slm_training.service import reading

routes = router(tags=["experiments"])

MAX_COMPARED = 20
MAX_LOG_LINES = 1000
Names = Annotated[list[str] | None, Query(alias="name", max_length=50, description="Only these series.")]
Points = Annotated[
    int | None, Query(alias="points", ge=4, le=10_000, description="At most so many points per series, peaks kept.")
]
Level = Literal["debug", "info", "warning", "error"]


@routes.get("/api/experiments")
async def list_experiments(
    _: Viewer,
    session: ReadSession,
    query: PageQuery,
    filters: Annotated[ExperimentFilters, taken(ExperimentFilters)],
    sort: Annotated[Sort, Query()] = "-created_at",
) -> Page[Experiment]:
    """Experiments, newest first unless sorted otherwise; drafts only with `status=draft`."""
    return await reading.list_experiments(session, query, filters, sort=sort)


@routes.get("/api/experiments:compare")
async def compare_experiments(
    _: Viewer,
    session: ReadSession,
    ids: Annotated[list[UUID], Query(alias="id", min_length=1, max_length=MAX_COMPARED)],
    names: Names = None,
    points: Points = 500,
) -> Comparison:
    """Experiments side by side: the options in which they differ, and their curves."""
    return await reading.compare(session, ids, names=names or (), points=points or 500)


@routes.get("/api/experiments/{experiment_id}")
async def get_experiment(experiment_id: UUID, _: Viewer, session: ReadSession) -> Experiment:
    """One experiment with its attempts and the timeline of its states."""
    return await reading.experiment(session, experiment_id)


@routes.get("/api/experiments/{experiment_id}/metrics")
async def get_metrics(
    experiment_id: UUID,
    _: Viewer,
    session: ReadSession,
    names: Names = None,
    points: Points = None,
    first_step: Annotated[int, Query(ge=0, lt=2**62)] = 0,
    last_step: Annotated[int | None, Query(ge=0, lt=2**62)] = None,
) -> Metrics:
    """The metric series, raw or thinned out to `points`; steps that were lost with an attempt are not among them."""
    return await reading.metrics(
        session, experiment_id, names=names or (), first_step=first_step, last_step=last_step, points=points
    )


@routes.get("/api/experiments/{experiment_id}/checkpoints")
async def get_checkpoints(experiment_id: UUID, _: Viewer, session: ReadSession) -> Checkpoints:
    """The checkpoints that are kept, with their metrics, the newest first."""
    return await reading.checkpoints(session, experiment_id)


@routes.get("/api/experiments/{experiment_id}/drift")
async def get_drift(experiment_id: UUID, _: Viewer, session: ReadSession) -> Drift:
    """How a reproduction differs from the run that it repeats."""
    return await reading.drift(session, experiment_id)


@routes.get("/api/experiments/{experiment_id}/log")
async def get_log(
    experiment_id: UUID,
    _: Viewer,
    session: ReadSession,
    after: Annotated[int, Query(ge=0, lt=2**63, description="Lines behind this `seq`.")] = 0,
    limit: Annotated[int, Query(ge=1, le=MAX_LOG_LINES)] = 200,
    level: Annotated[list[Level] | None, Query(max_length=4, description="Only of these levels.")] = None,
    q: Annotated[str | None, Query(max_length=200, description="Only lines with this text.")] = None,
) -> Log:
    """The log of an experiment over all attempts: its newest lines, or those behind `after`."""
    return await reading.log(session, experiment_id, after=after, limit=limit, levels=level or (), q=q)
