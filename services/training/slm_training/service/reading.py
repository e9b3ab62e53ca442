"""What is told of an experiment: its attempts, and series that run through all of them."""

import math
from itertools import groupby

from sqlalchemy.ext.asyncio import AsyncSession

from slm_training import store
from slm_training.domain import lost_steps
from slm_training.schemas import Attempt, Point
from slm_training.tables import RunRow


async def attempts_of(session: AsyncSession, run: RunRow) -> list[Attempt]:
    """Every attempt of a run, oldest first, with how far it came and what of it was lost."""
    rows = await store.attempts_of(session, run.id)
    last = await store.last_steps(session, run.experiment_id)
    ways = [(row.resumed_from_step, max(row.resumed_from_step, last.get(row.epoch, 0))) for row in rows]
    return [
        Attempt.model_validate(row, from_attributes=True).model_copy(update={"last_step": way[1], "lost_steps": lost})
        for row, way, lost in zip(rows, ways, lost_steps(ways), strict=True)
    ]


async def series_of(session: AsyncSession, run: RunRow, *, name: str | None) -> dict[str, list[Point]]:
    """The series that lead to where the run stands now, by name: of each attempt what the next ones built on."""
    newest_first = list(reversed(await store.attempts_of(session, run.id)))
    limits: dict[int, float] = {}
    limit = math.inf
    for attempt in newest_first:
        limits[attempt.epoch] = limit
        limit = min(limit, attempt.resumed_from_step)
    points = [
        point
        for point in await store.metrics_of(session, run.experiment_id, name=name)
        if point.step <= limits.get(point.epoch, 0)
    ]
    return {
        name: [Point.model_validate(point, from_attributes=True) for point in group]
        for name, group in groupby(points, key=lambda point: point.name)
    }
