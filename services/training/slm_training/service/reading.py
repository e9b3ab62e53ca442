"""What is told of runs and experiments: lists, attempts, logs, metrics, comparisons."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from slm_shared.errors import FieldProblem, Hint, InvalidError
from slm_shared.http.paging import Page, PageRequest
from slm_shared.http.sorting import order_of, page_of_sorted
from slm_training import store
from slm_training.domain import lost_steps
from slm_training.errors import ExperimentNotFoundError, NothingToCompareError
from slm_training.schemas.experiments import (
    RESULT_FIELDS,
    Attempt,
    Checkpoints,
    Comparison,
    Drift,
    Experiment,
    Line,
    Log,
    Metrics,
    StoredCheckpoint,
    Transition,
)
from slm_training.schemas.runs import Filters, Run, Sort
from slm_training.service.series import series_of
from slm_training.tables import RunRow

T = TypeVar("T")

# Steps are 64 bit integers in the database.
LAST_STEP = 2**62
DRIFT_METRICS = tuple(name for name in RESULT_FIELDS if name != "duration_s")


async def list_runs(session: AsyncSession, query: PageRequest, filters: Filters, *, sort: Sort) -> Page[Run]:
    """One page of runs. Raises InvalidError for a cursor that is not of this list."""
    return await _page(session, query, filters, sort=sort, show=Run.of)


async def list_experiments(
    session: AsyncSession, query: PageRequest, filters: Filters, *, sort: Sort
) -> Page[Experiment]:
    """One page of experiments. Raises InvalidError for a cursor that is not of this list."""
    return await _page(session, query, filters, sort=sort, show=Experiment.of)


async def _page(
    session: AsyncSession, query: PageRequest, filters: Filters, *, sort: Sort, show: Callable[[RunRow], T]
) -> Page[T]:
    order = order_of(sort, store.SORTS)
    rows = await store.list_runs(session, query, order, filters)
    return page_of_sorted(rows, query, order, key=lambda row: row.id, show=show)


async def find_experiment(session: AsyncSession, experiment_id: UUID) -> RunRow:
    """The run behind an experiment. Raises ExperimentNotFoundError."""
    row = await store.find_experiment(session, experiment_id)
    if row is None:
        raise ExperimentNotFoundError("There is no such experiment.", hint=Hint.LIST_EXPERIMENTS)
    return row


async def experiment(session: AsyncSession, experiment_id: UUID) -> Experiment:
    """One experiment with its attempts and the timeline of its states. Raises ExperimentNotFoundError."""
    row = await find_experiment(session, experiment_id)
    timeline = [
        Transition.model_validate(each, from_attributes=True) for each in await store.transitions_of(session, row.id)
    ]
    return Experiment.of(row, await _attempts_of(session, row), timeline)


async def _attempts_of(session: AsyncSession, run: RunRow) -> list[Attempt]:
    """Every attempt of a run, oldest first, with how far it came and what of it was lost."""
    rows = await store.attempts_of(session, run.id)
    last = await store.last_steps(session, run.experiment_id)
    ways = [(row.resumed_from_step, max(row.resumed_from_step, last.get(row.epoch, 0))) for row in rows]
    return [
        Attempt.model_validate(row, from_attributes=True).model_copy(update={"last_step": way[1], "lost_steps": lost})
        for row, way, lost in zip(rows, ways, lost_steps(ways), strict=True)
    ]


async def checkpoints(session: AsyncSession, experiment_id: UUID) -> Checkpoints:
    """The checkpoints that are kept of an experiment, the newest first. Raises ExperimentNotFoundError."""
    rows = await store.checkpoints_of(session, (await find_experiment(session, experiment_id)).id)
    return Checkpoints(items=[StoredCheckpoint.model_validate(row, from_attributes=True) for row in rows])


async def log(
    session: AsyncSession, experiment_id: UUID, *, after: int, limit: int, levels: Sequence[str], q: str | None
) -> Log:
    """Log lines of an experiment: the newest, or those behind `after`. Raises ExperimentNotFoundError."""
    await find_experiment(session, experiment_id)
    rows = await store.log_of(session, experiment_id, after=after or None, limit=limit, levels=levels, q=q)
    lines = [Line.model_validate(row, from_attributes=True) for row in rows]
    return Log(experiment_id=experiment_id, lines=lines)


async def metrics(
    session: AsyncSession,
    experiment_id: UUID,
    *,
    names: Sequence[str],
    first_step: int,
    last_step: int | None,
    points: int | None,
) -> Metrics:
    """The series of an experiment from one step to another. Raises ExperimentNotFoundError."""
    row = await find_experiment(session, experiment_id)
    # Only a whole series can be drawn from its extremes.
    is_whole = not first_step and last_step is None
    steps = None if is_whole else (first_step, LAST_STEP if last_step is None else last_step)
    series = await series_of(session, row, names=names, steps=steps, points=points)
    return Metrics.model_construct(experiment_id=experiment_id, series=series)


async def compare(session: AsyncSession, ids: Sequence[UUID], *, names: Sequence[str], points: int) -> Comparison:
    """Experiments side by side: what differs in their settings, and their curves. Raises InvalidError."""
    runs = await store.find_experiments(session, ids)
    if len(runs) < len(set(ids)):
        problem = FieldProblem("id", "names an experiment that does not exist")
        raise InvalidError("One of the experiments does not exist.", errors=[problem])
    shown = [Experiment.of(run) for run in runs]
    settings = {str(each.id): _settings(each) for each in shown}
    options = sorted({name for each in settings.values() for name in each})
    return Comparison(
        experiments=shown,
        differences={
            name: {key: each.get(name) for key, each in settings.items()}
            for name in options
            if len({repr(each.get(name)) for each in settings.values()}) > 1
        },
        series={str(run.experiment_id): await series_of(session, run, names=names, points=points) for run in runs},
    )


def _settings(experiment: Experiment) -> dict[str, Any]:
    evaluation = experiment.evaluation_dataset
    return {
        **experiment.config,
        "base_model": experiment.base_model.name,
        "training_dataset": experiment.training_dataset.name,
        "evaluation_dataset": evaluation.name if evaluation else None,
    }


async def drift(session: AsyncSession, experiment_id: UUID) -> Drift:
    """How the result of a reproduction differs from the original's.

    Raises ExperimentNotFoundError and NothingToCompareError.
    """
    run = await find_experiment(session, experiment_id)
    if run.origin is None or run.origin["relation"] != "reproduction":
        raise NothingToCompareError("The experiment reproduces no other.", hint=Hint.REPRODUCE_RUN)
    original = await find_experiment(session, UUID(run.origin["experiment_id"]))
    before, after = original.result, run.result
    if before is None or after is None:
        raise NothingToCompareError("Both runs must have completed before they can be compared.")
    first, second = [
        {point.step: point.value for point in (await series_of(session, each, names=["loss"])).get("loss", [])}
        for each in (original, run)
    ]
    both = [(first[step], second[step]) for step in first.keys() & second.keys()]
    gaps = [abs(one - other) for one, other in both if one is not None and other is not None]
    return Drift(
        original_id=original.experiment_id,
        experiment_id=run.experiment_id,
        identical=before["manifest_sha256"] == after["manifest_sha256"],
        metrics={name: _difference(before.get(name), after.get(name)) for name in DRIFT_METRICS},
        largest_loss_difference=max(gaps) if gaps else None,
    )


def _difference(before: float | None, after: float | None) -> dict[str, float | None]:
    gap = None if before is None or after is None else after - before
    return {"original": before, "reproduction": after, "difference": gap}
