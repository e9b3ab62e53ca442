"""Metric series that run through all attempts of a run."""

import math
from collections.abc import Sequence
from itertools import groupby

from sqlalchemy.ext.asyncio import AsyncSession

from slm_training import store
from slm_training.domain import least_and_greatest
from slm_training.schemas.experiments import Point
from slm_training.tables import RunRow

# Shorter series are read point by point: that is quick, and exact.
READ_WHOLE_STEPS = 8 * store.EXTREMES_STEPS


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
    kept = least_and_greatest([(each.step, each.value) for each in points], limit)
    return [Point(step=step, value=value) for step, value in kept]


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
    return [
        Point.model_construct(step=step, value=value, time=None) for step, value in least_and_greatest(kept, points)
    ]
