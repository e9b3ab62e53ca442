"""Every query of the training service."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, delete, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from slm_shared import leases
from slm_shared.events import DatasetProcessed, TelemetryBatch
from slm_shared.paging import PageRequest, keyset
from slm_training.domain import WORKING, ExperimentStatus, RunState, states_before, states_shown_as
from slm_training.tables import AttemptRow, CheckpointRow, DatasetRow, LogRow, MetricRow, RunRow

MAX_LOG_LINES = 1000


async def find_run(session: AsyncSession, run_id: UUID) -> RunRow | None:
    """A run by its id."""
    return await session.get(RunRow, run_id)


async def find_experiment(session: AsyncSession, experiment_id: UUID) -> RunRow | None:
    """The run behind an experiment."""
    return await session.scalar(select(RunRow).where(RunRow.experiment_id == experiment_id))


async def list_runs(
    session: AsyncSession,
    query: PageRequest,
    *,
    status: ExperimentStatus | None = None,
    dataset_id: UUID | None = None,
    base_model_id: UUID | None = None,
    q: str | None = None,
) -> Sequence[RunRow]:
    """One page of runs (and one more row), newest first."""
    statement = select(RunRow)
    if status is not None:
        statement = statement.where(RunRow.state.in_(states_shown_as(status)))
    if dataset_id is not None:
        trained, evaluated = RunRow.training_dataset["id"].astext, RunRow.evaluation_dataset["id"].astext
        statement = statement.where(or_(trained == str(dataset_id), evaluated == str(dataset_id)))
    if base_model_id is not None:
        statement = statement.where(RunRow.base_model["id"].astext == str(base_model_id))
    if q:
        statement = statement.where(RunRow.name.icontains(q, autoescape=True))
    return (await session.scalars(keyset(statement, key=(RunRow.created_at, RunRow.id), query=query))).all()


async def move(
    session: AsyncSession, run: RunRow, target: RunState, *, values: Mapping[str, Any] | None = None
) -> bool:
    """Move a run along a legal edge, under its current lease; False when it stands somewhere else by now."""
    statement = (
        update(RunRow)
        .where(RunRow.id == run.id, RunRow.epoch == run.epoch, RunRow.state.in_(states_before(target)))
        .values(state=target, **(values or {}))
        .returning(RunRow)
        .execution_options(populate_existing=True)
    )
    return (await session.execute(statement)).scalar_one_or_none() is not None


async def requeue(
    session: AsyncSession, run: RunRow, *, after_s: float = 0.0, values: Mapping[str, Any] | None = None
) -> bool:
    """Put a run back into the queue, to be claimed after a pause."""
    retry_at = func.clock_timestamp() + timedelta(seconds=after_s)
    back = {**leases.released(), "retry_at": retry_at, "progress": {}}
    return await move(session, run, RunState.QUEUED, values=back | dict(values or {}))


async def claim(session: AsyncSession, *, pool: str, worker: str, claim_id: UUID, ttl_s: float) -> RunRow | None:
    """Lease the oldest run that is due."""
    return await leases.claim(
        session,
        RunRow,
        where=(RunRow.state == RunState.QUEUED) & (RunRow.pool == pool),
        order_by=[RunRow.created_at.asc(), RunRow.id.asc()],
        worker=worker,
        claim_id=claim_id,
        ttl_s=ttl_s,
        values={"state": RunState.LEASED},
    )


async def held_run(session: AsyncSession, run_id: UUID, epoch: int) -> RunRow | None:
    """The run, locked, if `epoch` is its newest lease and still held."""
    statement = select(RunRow).where(leases.held(RunRow, run_id, epoch)).with_for_update()
    return await session.scalar(statement.execution_options(populate_existing=True))


async def locked_run(session: AsyncSession, run_id: UUID) -> RunRow | None:
    """The run, locked for this transaction."""
    return await session.scalar(select(RunRow).where(RunRow.id == run_id).with_for_update())


async def expired_runs(session: AsyncSession) -> Sequence[RunRow]:
    """Working runs whose lease ran out, locked."""
    return await leases.expired(session, RunRow, where=RunRow.state.in_(WORKING))


async def runs_of_worker(session: AsyncSession, worker: str) -> Sequence[RunRow]:
    """Working runs that a worker holds, locked."""
    mine: ColumnElement[bool] = (RunRow.worker == worker) & RunRow.state.in_(WORKING)
    return (await session.scalars(select(RunRow).where(mine).with_for_update(skip_locked=True))).all()


async def open_attempt(session: AsyncSession, run: RunRow) -> None:
    """Note a claimed attempt; a claim that is answered again changes nothing."""
    values = {"run_id": run.id, "epoch": run.epoch, "number": run.attempt, "worker": run.worker}
    await session.execute(insert(AttemptRow).values(**values).on_conflict_do_nothing())


async def start_attempt(session: AsyncSession, run: RunRow) -> None:
    """Note that the attempt of the current lease has begun."""
    statement = update(AttemptRow).where(AttemptRow.run_id == run.id, AttemptRow.epoch == run.epoch)
    await session.execute(statement.values(started_at=func.clock_timestamp()))


async def end_attempt(session: AsyncSession, run: RunRow, *, outcome: str, code: str | None = None) -> None:
    """Note how the attempt of the current lease ended."""
    mine = (AttemptRow.run_id == run.id, AttemptRow.epoch == run.epoch, AttemptRow.ended_at.is_(None))
    values = {"ended_at": func.clock_timestamp(), "outcome": outcome, "code": code}
    await session.execute(update(AttemptRow).where(*mine).values(**values))


async def note_resumed(session: AsyncSession, run: RunRow, step: int) -> None:
    """Note where the attempt of the current lease went on; those beyond it could not be used and are forgotten."""
    mine = (AttemptRow.run_id == run.id, AttemptRow.epoch == run.epoch)
    await session.execute(update(AttemptRow).where(*mine).values(resumed_from_step=step))
    await session.execute(
        delete(CheckpointRow).where(
            CheckpointRow.run_id == run.id, CheckpointRow.step > step, CheckpointRow.epoch < run.epoch
        )
    )


async def add_checkpoint(session: AsyncSession, values: Mapping[str, Any]) -> None:
    """Note a stored checkpoint; one of the same step by an earlier attempt is replaced."""
    statement = insert(CheckpointRow).values(**values)
    replaced = {name: values[name] for name in ("epoch", "prefix", "manifest_sha256", "size_bytes")}
    key = [CheckpointRow.run_id, CheckpointRow.step]
    await session.execute(statement.on_conflict_do_update(index_elements=key, set_=replaced))


async def reset_failures(session: AsyncSession, run: RunRow) -> None:
    """The run came further than before."""
    await session.execute(update(RunRow).where(RunRow.id == run.id).values(failures=0))


async def checkpoints_of(session: AsyncSession, run_id: UUID) -> list[CheckpointRow]:
    """The checkpoints of a run, the newest first."""
    statement = select(CheckpointRow).where(CheckpointRow.run_id == run_id).order_by(CheckpointRow.step.desc())
    return list((await session.scalars(statement)).all())


async def forget_checkpoints(session: AsyncSession, run_id: UUID, *, up_to_step: int) -> None:
    """Forget the checkpoints of a run up to a step."""
    old = (CheckpointRow.run_id == run_id, CheckpointRow.step <= up_to_step)
    await session.execute(delete(CheckpointRow).where(*old))


async def last_steps(session: AsyncSession, experiment_id: UUID) -> dict[int, int]:
    """The last optimiser step that each attempt reported, by lease epoch."""
    mine = (MetricRow.experiment_id == experiment_id,)
    statement = select(MetricRow.epoch, func.max(MetricRow.step)).where(*mine).group_by(MetricRow.epoch)
    return {epoch: step for epoch, step in (await session.execute(statement)).all()}


async def attempts_of(session: AsyncSession, run_id: UUID) -> list[AttemptRow]:
    """Every attempt of a run, oldest first."""
    statement = select(AttemptRow).where(AttemptRow.run_id == run_id).order_by(AttemptRow.epoch)
    return list((await session.scalars(statement)).all())


async def project_dataset(session: AsyncSession, event: DatasetProcessed) -> None:
    """Remember a processed dataset; one that was deleted meanwhile stays deleted."""
    values = {
        "id": event.dataset_id,
        **event.model_dump(
            include={"name", "family", "version", "row_format", "mapping", "rows", "sha256", "object_key"}
        ),
    }
    statement = insert(DatasetRow).values(**values)
    await session.execute(statement.on_conflict_do_nothing(index_elements=[DatasetRow.id]))


async def forget_dataset(session: AsyncSession, dataset_id: UUID, name: str) -> None:
    """Remember that a dataset is gone, whether or not it was known."""
    gone = {"id": dataset_id, "name": name, "family": "", "version": 0, "row_format": "", "mapping": {}}
    gone |= {"rows": 0, "sha256": "", "object_key": "", "deleted": True}
    statement = insert(DatasetRow).values(**gone)
    await session.execute(statement.on_conflict_do_update(index_elements=[DatasetRow.id], set_={"deleted": True}))


async def find_dataset(session: AsyncSession, reference: str) -> DatasetRow | None:
    """A dataset by id, name, or family (its latest version)."""
    try:
        return await session.get(DatasetRow, UUID(reference))
    except ValueError:
        named = or_(DatasetRow.name == reference, DatasetRow.family == reference)
        statement = select(DatasetRow).where(named, DatasetRow.deleted.is_(False))
        return await session.scalar(statement.order_by(DatasetRow.version.desc()).limit(1))


async def add_telemetry(session: AsyncSession, batch: TelemetryBatch) -> None:
    """Store a batch once, and move the run's progress on if the batch is of its newest attempt."""
    key = {"experiment_id": batch.experiment_id, "epoch": batch.epoch}
    points = {(point.name, point.step): {**key, **point.model_dump()} for point in batch.points}
    if points:
        await session.execute(insert(MetricRow).on_conflict_do_nothing(), list(points.values()))
    lines = [
        {**key, "batch": batch.batch, "position": position, **line.model_dump()}
        for position, line in enumerate(batch.lines)
    ]
    if lines:
        await session.execute(insert(LogRow).on_conflict_do_nothing(), lines)
    progress = _progress_of(batch)
    if progress:
        current = (RunRow.experiment_id == batch.experiment_id, RunRow.epoch == batch.epoch)
        merged = RunRow.progress.op("||")(progress)
        await session.execute(update(RunRow).where(*current).values(progress=merged))


def _progress_of(batch: TelemetryBatch) -> dict[str, float | None]:
    ordered = sorted(batch.points, key=lambda point: point.step)
    latest: dict[str, float | None] = {point.name: point.value for point in ordered}
    return latest | ({"step": ordered[-1].step} if ordered else {})


async def metrics_of(session: AsyncSession, experiment_id: UUID, *, name: str | None) -> Sequence[MetricRow]:
    """The points that all attempts reported, in order of step."""
    statement = select(MetricRow).where(MetricRow.experiment_id == experiment_id)
    if name is not None:
        statement = statement.where(MetricRow.name == name)
    return (await session.scalars(statement.order_by(MetricRow.name, MetricRow.step))).all()


async def log_of(session: AsyncSession, experiment_id: UUID, *, after: int, limit: int) -> Sequence[LogRow]:
    """Lines behind `after` (oldest first), or the newest ones when `after` is 0."""
    statement = select(LogRow).where(LogRow.experiment_id == experiment_id)
    if after:
        return (await session.scalars(statement.where(LogRow.seq > after).order_by(LogRow.seq).limit(limit))).all()
    newest = (await session.scalars(statement.order_by(LogRow.seq.desc()).limit(limit))).all()
    return list(reversed(newest))
