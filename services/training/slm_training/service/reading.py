"""What is told of an experiment: its attempts, and series that run through all of them."""

import math
from collections.abc import Sequence
from itertools import groupby
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from slm_training import store
from slm_training.domain import least_and_greatest, lost_steps
from slm_training.errors import NothingToCompareError
from slm_training.schemas.experiments import (
    RESULT_FIELDS,
    Attempt,
    Comparison,
    Drift,
    Experiment,
    Point,
    Transition,
)
from slm_training.tables import RunRow

READ_WHOLE_STEPS = 8 * store.EXTREMES_STEPS
DRIFT_METRICS = tuple(name for name in RESULT_FIELDS if name != "duration_s")


async def attempts_of(session: AsyncSession, run: RunRow) -> list[Attempt]:
    """Every attempt of a run, oldest first, with how far it came and what of it was lost."""
    rows = await store.attempts_of(session, run.id)
    last = await store.last_steps(session, run.experiment_id)
    ways = [(row.resumed_from_step, max(row.resumed_from_step, last.get(row.epoch, 0))) for row in rows]
    return [
        Attempt.model_validate(row, from_attributes=True).model_copy(update={"last_step": way[1], "lost_steps": lost})
        for row, way, lost in zip(rows, ways, lost_steps(ways), strict=True)
    ]


async def timeline_of(session: AsyncSession, run: RunRow) -> list[Transition]:
    """Every state of a run with its moment, oldest first."""
    rows = await store.transitions_of(session, run.id)
    return [Transition.model_validate(row, from_attributes=True) for row in rows]


async def _limits(session: AsyncSession, run: RunRow) -> dict[int, float]:
    """Up to which step each attempt, by epoch, leads to where the run stands now."""
    limits: dict[int, float] = {}
    limit = math.inf
    for attempt in reversed(await store.attempts_of(session, run.id)):
        limits[attempt.epoch] = limit
        limit = min(limit, attempt.resumed_from_step)
    return limits


async def series_of(
    session: AsyncSession,
    run: RunRow,
    *,
    names: Sequence[str] = (),
    steps: tuple[int, int] | None = None,
    points: int | None = None,
) -> dict[str, list[Point]]:
    """The series that lead to where the run stands now, by name: of each attempt what the next ones built on.

    `points` is how many of each series at most, the least and the greatest values kept; None means all of them.
    """
    limits = await _limits(session, run)
    lengths = await store.series_lengths(session, run.experiment_id) if points and steps is None else {}
    long = [name for name, length in lengths.items() if length > READ_WHOLE_STEPS and (not names or name in names)]
    found = {name: await _long_series(session, run, name, limits, points or 0) for name in long}
    short = [name for name in lengths if name not in long and (not names or name in names)] if long else list(names)
    if short or not long:
        rows = await store.metrics_of(session, run.experiment_id, epochs=limits, names=short, steps=steps)
        led = [row for row in rows if row.step <= limits.get(row.epoch, 0)]
        for name, group in groupby(led, key=lambda row: row.name):
            found[name] = _thinned([Point.model_validate(row, from_attributes=True) for row in group], points)
    return dict(sorted(found.items()))


def _thinned(points: list[Point], limit: int | None) -> list[Point]:
    if limit is None or len(points) <= limit:
        return points
    return [Point(step=step, value=value) for step, value in _thin([(each.step, each.value) for each in points], limit)]


def _thin(points: Sequence[tuple[int, float | None]], limit: int) -> list[tuple[int, float | None]]:
    return least_and_greatest(points, limit)


async def _long_series(
    session: AsyncSession, run: RunRow, name: str, limits: dict[int, float], points: int
) -> list[Point]:
    """From the extremes alone, except where an attempt was cut off in the middle of a bucket."""
    kept: list[tuple[int, float | None]] = []
    for epoch, bucket, *extremes in await store.extremes_of(session, run.experiment_id, name=name):
        limit = limits.get(epoch, 0)
        first, last = bucket * store.EXTREMES_STEPS, (bucket + 1) * store.EXTREMES_STEPS - 1
        if last <= limit:
            kept += {(extremes[0], extremes[1]), (extremes[2], extremes[3])}
        elif first <= limit:
            steps = (first, int(limit))
            rows = await store.metrics_of(session, run.experiment_id, epochs=[epoch], names=[name], steps=steps)
            kept += [(row.step, row.value) for row in rows]
    kept.sort(key=lambda point: point[0])
    return [Point.model_construct(step=step, value=value, time=None) for step, value in _thin(kept, points)]


async def compare(session: AsyncSession, runs: Sequence[RunRow], *, names: Sequence[str], points: int) -> Comparison:
    """Experiments side by side: what differs in their settings, and their curves."""
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


async def drift(session: AsyncSession, original: RunRow, run: RunRow) -> Drift:
    """How the result of a reproduction differs from the original's. Raises NothingToCompareError."""
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
