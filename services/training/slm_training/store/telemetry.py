"""Metric points and log lines: many in one statement, drawn without reading all of them."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from slm_shared.events.catalogue import TelemetryBatch
from slm_training.tables import ExtremesRow, LogRow, MetricRow, RunRow

EXTREMES_STEPS = 512

ADD_POINTS = text(
    """
    INSERT INTO metric (experiment_id, epoch, name, step, value, time)
    SELECT * FROM unnest(CAST(:experiments AS uuid[]), CAST(:epochs AS integer[]), CAST(:names AS text[]),
                         CAST(:steps AS bigint[]), CAST(:values AS double precision[]), CAST(:times AS timestamptz[]))
    ON CONFLICT DO NOTHING
    """
)
ADD_LINES = text(
    """
    INSERT INTO log_line (experiment_id, epoch, batch, position, time, level, message)
    SELECT * FROM unnest(CAST(:experiments AS uuid[]), CAST(:epochs AS integer[]), CAST(:batches AS integer[]),
                         CAST(:positions AS integer[]), CAST(:times AS timestamptz[]), CAST(:levels AS text[]),
                         CAST(:messages AS text[]))
    ON CONFLICT DO NOTHING
    """
)
WIDEN_EXTREMES = text(
    """
    INSERT INTO metric_extremes AS known
      (experiment_id, epoch, name, bucket, min_step, min_value, max_step, max_value)
    SELECT * FROM unnest(CAST(:experiments AS uuid[]), CAST(:epochs AS integer[]), CAST(:names AS text[]),
                         CAST(:buckets AS bigint[]), CAST(:min_steps AS bigint[]),
                         CAST(:min_values AS double precision[]), CAST(:max_steps AS bigint[]),
                         CAST(:max_values AS double precision[]))
    ON CONFLICT (experiment_id, epoch, name, bucket) DO UPDATE SET
      min_step = CASE WHEN excluded.min_value < known.min_value THEN excluded.min_step ELSE known.min_step END,
      min_value = least(excluded.min_value, known.min_value),
      max_step = CASE WHEN excluded.max_value > known.max_value THEN excluded.max_step ELSE known.max_step END,
      max_value = greatest(excluded.max_value, known.max_value)
    """
)


async def add_telemetry(session: AsyncSession, batches: Sequence[TelemetryBatch]) -> None:
    """Store batches once each, and move the progress of those runs on whose newest attempt they are of."""
    points = [
        (batch.experiment_id, batch.epoch, point.name, point.step, point.value, point.time)
        for batch in batches
        for point in batch.points
    ]
    if points:
        await session.execute(ADD_POINTS, _columns("experiments epochs names steps values times", points))
    if extremes := _extremes(batches):
        names = "experiments epochs names buckets min_values min_steps max_values max_steps"
        await session.execute(WIDEN_EXTREMES, _columns(names, extremes))
    lines = [
        (batch.experiment_id, batch.epoch, batch.batch, position, line.time, line.level, line.message)
        for batch in batches
        for position, line in enumerate(batch.lines)
    ]
    if lines:
        await session.execute(ADD_LINES, _columns("experiments epochs batches positions times levels messages", lines))
    for (experiment_id, epoch), progress in _progress(batches).items():
        current = (RunRow.experiment_id == experiment_id, RunRow.epoch == epoch)
        merged = RunRow.progress.op("||")(progress)
        await session.execute(update(RunRow).where(*current).values(progress=merged))


def _columns(names: str, rows: Sequence[tuple[Any, ...]]) -> dict[str, list[Any]]:
    """Rows as one array per column, so that one statement stores them all however many they are."""
    return dict(zip(names.split(), map(list, zip(*rows, strict=True)), strict=True))


def _extremes(batches: Sequence[TelemetryBatch]) -> list[tuple[Any, ...]]:
    """The extremes of what arrived, one row per bucket; a value that is not finite has none."""
    least: dict[tuple[UUID, int, str, int], tuple[float, int]] = {}
    greatest: dict[tuple[UUID, int, str, int], tuple[float, int]] = {}
    for batch in batches:
        for point in batch.points:
            if point.value is not None:
                key = (batch.experiment_id, batch.epoch, point.name, point.step // EXTREMES_STEPS)
                here = (point.value, point.step)
                least[key] = min(least.get(key, here), here)
                greatest[key] = max(greatest.get(key, here), here)
    # In the order of the key, so that two writers never wait for each other crosswise.
    return [(*key, *least[key], *greatest[key]) for key in sorted(least)]


def _progress(batches: Sequence[TelemetryBatch]) -> dict[tuple[UUID, int], dict[str, float | None]]:
    """The latest value of each series and the latest step, by experiment and epoch."""
    found: dict[tuple[UUID, int], dict[str, float | None]] = {}
    for batch in batches:
        for point in sorted(batch.points, key=lambda each: each.step):
            latest = found.setdefault((batch.experiment_id, batch.epoch), {})
            latest[point.name] = point.value
            latest["step"] = max(point.step, latest.get("step") or 0)
    return found


async def metrics_of(
    session: AsyncSession,
    experiment_id: UUID,
    *,
    epochs: Collection[int],
    names: Sequence[str] = (),
    steps: tuple[int, int] | None = None,
) -> Sequence[MetricRow]:
    """The points that attempts reported, by name and in order of step; `steps` are the first and the last."""
    statement = select(MetricRow).where(MetricRow.experiment_id == experiment_id, MetricRow.epoch.in_(epochs))
    if names:
        statement = statement.where(MetricRow.name.in_(names))
    if steps is not None:
        statement = statement.where(MetricRow.step.between(*steps))
    return (await session.scalars(statement.order_by(MetricRow.name, MetricRow.step))).all()


async def series_lengths(session: AsyncSession, experiment_id: UUID) -> Mapping[str, int]:
    """Roughly how many steps each series spans, over all attempts; quick however long they are."""
    mine = ExtremesRow.experiment_id == experiment_id
    statement = select(ExtremesRow.name, func.count()).where(mine).group_by(ExtremesRow.name)
    return {name: count * EXTREMES_STEPS for name, count in (await session.execute(statement)).all()}


async def extremes_of(session: AsyncSession, experiment_id: UUID, *, name: str) -> Iterator[tuple[Any, ...]]:
    """Epoch, bucket and the two extremes of one series, in order of step."""
    columns = (
        ExtremesRow.epoch, ExtremesRow.bucket, ExtremesRow.min_step, ExtremesRow.min_value, ExtremesRow.max_step,
        ExtremesRow.max_value,
    )  # fmt: skip
    mine = (ExtremesRow.experiment_id == experiment_id, ExtremesRow.name == name)
    found = await session.execute(select(*columns).where(*mine).order_by(ExtremesRow.epoch, ExtremesRow.bucket))
    return iter([tuple(row) for row in found.all()])


async def log_of(
    session: AsyncSession,
    experiment_id: UUID,
    *,
    after: int | None,
    limit: int,
    levels: Sequence[str] = (),
    q: str | None = None,
) -> Sequence[LogRow]:
    """The first lines behind `after`, or the newest of all for None, oldest first; of these levels, with this text."""
    statement = select(LogRow).where(LogRow.experiment_id == experiment_id)
    if levels:
        statement = statement.where(LogRow.level.in_(levels))
    if q:
        statement = statement.where(LogRow.message.icontains(q, autoescape=True))
    if after is not None:
        return (await session.scalars(statement.where(LogRow.seq > after).order_by(LogRow.seq).limit(limit))).all()
    newest = (await session.scalars(statement.order_by(LogRow.seq.desc()).limit(limit))).all()
    return list(reversed(newest))
