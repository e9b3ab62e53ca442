"""Experiments: what became of runs."""

from typing import Annotated, Literal
from uuid import UUID

from fastapi import Query
from sqlalchemy.ext.asyncio import AsyncSession

from slm_shared.errors import FieldProblem, Hint, InvalidError
from slm_shared.http.access import Viewer
from slm_shared.http.paging import Page, PageQuery
from slm_shared.http.routing import ReadSession, router
from slm_training import store
from slm_training.domain import ExperimentStatus
from slm_training.errors import ExperimentNotFoundError, NothingToCompareError
from slm_training.schemas.experiments import (
    Checkpoints,
    Comparison,
    Drift,
    Experiment,
    Line,
    Log,
    Metrics,
    StoredCheckpoint,
)
from slm_training.service import reading
from slm_training.store import Filters, Sort
from slm_training.tables import RunRow

routes = router(tags=["experiments"])

MAX_COMPARED = 20
Names = Annotated[list[str] | None, Query(alias="name", max_length=50, description="Only these series.")]
Points = Annotated[
    int | None, Query(alias="points", ge=4, le=10_000, description="At most so many points per series, peaks kept.")
]
Level = Literal["debug", "info", "warning", "error"]


async def _find(session: AsyncSession, experiment_id: UUID) -> RunRow:
    row = await store.find_experiment(session, experiment_id)
    if row is None:
        raise ExperimentNotFoundError("There is no such experiment.", hint=Hint.LIST_EXPERIMENTS)
    return row


@routes.get("/api/experiments")
async def list_experiments(
    _: Viewer,
    session: ReadSession,
    query: PageQuery,
    status: Annotated[ExperimentStatus | None, Query()] = None,
    dataset_id: Annotated[UUID | None, Query()] = None,
    base_model_id: Annotated[UUID | None, Query()] = None,
    tag: Annotated[str | None, Query(max_length=60)] = None,
    owner: Annotated[str | None, Query(max_length=200)] = None,
    q: Annotated[str | None, Query(max_length=100, description="Part of name, goal, description or tags.")] = None,
    sort: Annotated[Sort, Query()] = "-created_at",
) -> Page[Experiment]:
    """Experiments, newest first unless sorted otherwise; drafts only with `status=draft`."""
    filters = Filters(status, dataset_id, base_model_id, tag, owner, q, drafts=False)
    rows = await store.list_runs(session, query, filters, sort=sort)
    shown = rows[: query.limit]
    cursor = store.cursor_of(shown[-1], sort) if len(rows) > query.limit else None
    return Page(items=[Experiment.of(row) for row in shown], next_cursor=cursor)


@routes.get("/api/experiments:compare")
async def compare_experiments(
    _: Viewer,
    session: ReadSession,
    ids: Annotated[list[UUID], Query(alias="id", min_length=1, max_length=MAX_COMPARED)],
    names: Names = None,
    points: Points = 500,
) -> Comparison:
    """Experiments side by side: the options in which they differ, and their curves."""
    rows = await store.find_experiments(session, ids)
    if len(rows) < len(set(ids)):
        problem = FieldProblem("id", "names an experiment that does not exist")
        raise InvalidError("One of the experiments does not exist.", errors=[problem])
    return await reading.compare(session, rows, names=names or (), points=points or 500)


@routes.get("/api/experiments/{experiment_id}")
async def get_experiment(experiment_id: UUID, _: Viewer, session: ReadSession) -> Experiment:
    """One experiment with its attempts and the timeline of its states."""
    row = await _find(session, experiment_id)
    return Experiment.of(row, await reading.attempts_of(session, row), await reading.timeline_of(session, row))


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
    row = await _find(session, experiment_id)
    steps = None if not first_step and last_step is None else (first_step, 2**62 if last_step is None else last_step)
    series = await reading.series_of(session, row, names=names or (), steps=steps, points=points)
    return Metrics.model_construct(experiment_id=experiment_id, series=series)


@routes.get("/api/experiments/{experiment_id}/checkpoints")
async def get_checkpoints(experiment_id: UUID, _: Viewer, session: ReadSession) -> Checkpoints:
    """The checkpoints that are kept, with their metrics, the newest first."""
    rows = await store.checkpoints_of(session, (await _find(session, experiment_id)).id)
    return Checkpoints(items=[StoredCheckpoint.model_validate(row, from_attributes=True) for row in rows])


@routes.get("/api/experiments/{experiment_id}/drift")
async def get_drift(experiment_id: UUID, _: Viewer, session: ReadSession) -> Drift:
    """How a reproduction differs from the run that it repeats."""
    row = await _find(session, experiment_id)
    if row.origin is None or row.origin["relation"] != "reproduction":
        raise NothingToCompareError("The experiment reproduces no other.", hint=Hint.REPRODUCE_RUN)
    return await reading.drift(session, await _find(session, UUID(row.origin["experiment_id"])), row)


@routes.get("/api/experiments/{experiment_id}/log")
async def get_log(
    experiment_id: UUID,
    _: Viewer,
    session: ReadSession,
    after: Annotated[int, Query(ge=0, lt=2**63, description="Lines behind this `seq`.")] = 0,
    limit: Annotated[int, Query(ge=1, le=store.MAX_LOG_LINES)] = 200,
    level: Annotated[list[Level] | None, Query(max_length=4, description="Only of these levels.")] = None,
    q: Annotated[str | None, Query(max_length=200, description="Only lines with this text.")] = None,
) -> Log:
    """The log of an experiment over all attempts: its newest lines, or those behind `after`."""
    await _find(session, experiment_id)
    rows = await store.log_of(session, experiment_id, after=after, limit=limit, levels=level or (), q=q)
    lines = [Line.model_validate(row, from_attributes=True) for row in rows]
    return Log(experiment_id=experiment_id, lines=lines)
