"""Every query of the evaluation service."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import DateTime, Row, Text, func, literal_column, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from slm_evaluation.domain import RETRYABLE, EvaluationStatus, statuses_before
from slm_evaluation.schemas.evaluations import Filters
from slm_evaluation.schemas.leases import KnownModel
from slm_evaluation.tables import DatasetRow, EvaluationRow, ModelRow
from slm_shared.http.paging import PageRequest
from slm_shared.http.sorting import Order, Sort, sorted_page
from slm_shared.jobs import leases
from slm_shared.jobs.lifecycle import Queue
from slm_shared.references import DatasetRef


def _metric(name: str) -> Sort:
    text = f"coalesce((evaluation.metrics->>'{name}')::double precision, 'Infinity')"
    return Sort(literal_column(text), float)


# Written out, because an index on an expression is only found by the very same expression.
SORTS: dict[str, Sort] = {
    "created_at": Sort(EvaluationRow.created_at.expression, datetime),
    "completed_at": Sort(
        literal_column("coalesce(evaluation.completed_at, 'infinity'::timestamptz)", DateTime(timezone=True)), datetime
    ),
    "model": Sort(literal_column("(evaluation.model->>'name')", Text), str),
    "dataset": Sort(literal_column("(evaluation.dataset->>'name')", Text), str),
    "status": Sort(EvaluationRow.status.expression, str),
    "loss": _metric("loss"),
    "exact_match": _metric("exact_match"),
    "quality_score": _metric("quality_score"),
}


async def project_model(session: AsyncSession, model: KnownModel) -> None:
    """Remember a registered model; one that was known by less learns the rest."""
    statement = insert(ModelRow).values(**model.model_dump())
    rest = model.model_dump(include={"family", "version", "signature"})
    await session.execute(statement.on_conflict_do_update(index_elements=["id"], set_=rest))


async def forget_model(session: AsyncSession, model_id: UUID) -> None:
    """A model was deleted."""
    await session.execute(update(ModelRow).where(ModelRow.id == model_id).values(deleted=True))


async def project_dataset(session: AsyncSession, dataset: DatasetRef) -> None:
    """Remember a processed dataset."""
    await session.execute(insert(DatasetRow).values(**dataset.model_dump(exclude={"rows"})).on_conflict_do_nothing())


async def find_model_named(session: AsyncSession, reference: str) -> ModelRow | None:
    """A model by id or name."""
    return await session.scalar(select(ModelRow).where(_is(ModelRow, reference)))


async def find_dataset_named(session: AsyncSession, reference: str) -> DatasetRow | None:
    """A dataset by id or name."""
    return await session.scalar(select(DatasetRow).where(_is(DatasetRow, reference)))


def _is(row: type[ModelRow] | type[DatasetRow], reference: str) -> Any:
    try:
        return row.id == UUID(reference)
    except ValueError:
        return row.name == reference


async def find_model(session: AsyncSession, model_id: UUID) -> ModelRow | None:
    """A model that was registered."""
    return await session.get(ModelRow, model_id)


@dataclass(frozen=True)
class NewEvaluation:
    """An evaluation to be queued: model and dataset as they are now, how it is measured, and the hash of that."""

    id: UUID
    model_id: UUID
    dataset_id: UUID
    settings: dict[str, Any]
    settings_hash: str
    model: dict[str, Any]
    dataset: dict[str, Any]
    owner: str | None = None
    experiment_id: UUID | None = None
    baseline_evaluation_id: UUID | None = None


async def add_evaluation(session: AsyncSession, new: NewEvaluation) -> UUID:
    """Queue an evaluation, or find the existing one of this model, dataset and settings; returns its id."""
    values = {**vars(new), "status": EvaluationStatus.QUEUED, "metrics": {}, "samples": []}
    statement = insert(EvaluationRow).values(**values).on_conflict_do_nothing().returning(EvaluationRow.id)
    added = (await session.execute(statement)).scalar_one_or_none()
    if added is not None:
        return added
    same = (getattr(EvaluationRow, name) == values[name] for name in ("model_id", "dataset_id", "settings_hash"))
    found: UUID = (await session.scalars(select(EvaluationRow.id).where(*same))).one()
    return found


async def find(session: AsyncSession, evaluation_id: UUID) -> EvaluationRow | None:
    """An evaluation by its id."""
    return await session.get(EvaluationRow, evaluation_id)


async def list_evaluations(
    session: AsyncSession, query: PageRequest, order: Order, filters: Filters
) -> Sequence[Row[tuple[EvaluationRow, Any]]]:
    """One page of evaluations (and one more row), each with its place in the order."""
    statement = select(EvaluationRow)
    for name in ("model_id", "dataset_id", "experiment_id", "status"):
        if (value := getattr(filters, name)) is not None:
            statement = statement.where(getattr(EvaluationRow, name) == value)
    if filters.since is not None:
        statement = statement.where(EvaluationRow.created_at >= filters.since)
    if filters.until is not None:
        statement = statement.where(EvaluationRow.created_at < filters.until)
    page = sorted_page(statement, order, identity=EvaluationRow.id.expression, query=query)
    rows: Sequence[Row[tuple[EvaluationRow, Any]]] = (await session.execute(page)).all()
    return rows


async def completed_of_experiment(session: AsyncSession, experiment_id: UUID) -> Sequence[EvaluationRow]:
    """What an experiment's model scores, oldest first."""
    done = (EvaluationRow.experiment_id == experiment_id, EvaluationRow.status == EvaluationStatus.COMPLETED)
    statement = select(EvaluationRow).where(*done).order_by(EvaluationRow.created_at, EvaluationRow.id)
    return (await session.scalars(statement)).all()


@dataclass(frozen=True)
class Neighbours:
    """The same measurement of the nearest earlier and the nearest later version of a model that have one."""

    before: EvaluationRow | None
    after: EvaluationRow | None


async def neighbours(session: AsyncSession, row: EvaluationRow) -> Neighbours:
    """The completed evaluations on both sides of one, among the versions of its model's family."""
    model = await session.get(ModelRow, row.model_id)
    if model is None or model.family is None or model.version is None:
        return Neighbours(None, None)
    same = (
        ModelRow.family == model.family,
        EvaluationRow.dataset_id == row.dataset_id,
        EvaluationRow.settings_hash == row.settings_hash,
        EvaluationRow.status == EvaluationStatus.COMPLETED,
    )
    statement = select(EvaluationRow).join(ModelRow, ModelRow.id == EvaluationRow.model_id).where(*same).limit(1)
    earlier = statement.where(ModelRow.version < model.version).order_by(ModelRow.version.desc())
    later = statement.where(ModelRow.version > model.version).order_by(ModelRow.version)
    return Neighbours(await session.scalar(earlier), await session.scalar(later))


async def ask_to_cancel(session: AsyncSession, row: EvaluationRow) -> None:
    """Note that a running evaluation was cancelled; the answer to the next heartbeat tells its worker."""
    await session.execute(update(EvaluationRow).where(EvaluationRow.id == row.id).values(cancel_requested=True))


async def retry(session: AsyncSession, row: EvaluationRow) -> bool:
    """Put an evaluation that ended without numbers back into the queue, as if it were new."""
    fresh: dict[str, Any] = {
        "status": EvaluationStatus.QUEUED,
        "attempt": 0,
        "done_rows": 0,
        "error": None,
        "cancel_requested": False,
        "retry_at": None,
        "started_at": None,
        "completed_at": None,
    }
    here = (EvaluationRow.id == row.id, EvaluationRow.status.in_(RETRYABLE))
    statement = update(EvaluationRow).where(*here).values(**fresh).returning(EvaluationRow)
    changed = await session.execute(statement.execution_options(populate_existing=True))
    return changed.scalar_one_or_none() is not None


RUNNING = EvaluationRow.status == EvaluationStatus.RUNNING
QUEUE = Queue(
    EvaluationRow,
    where=EvaluationRow.status == EvaluationStatus.QUEUED,
    order_by=[EvaluationRow.created_at.asc(), EvaluationRow.id.asc()],
    values={"status": EvaluationStatus.RUNNING, "started_at": func.clock_timestamp(), "done_rows": 0},
)


async def locked(session: AsyncSession, evaluation_id: UUID) -> EvaluationRow | None:
    """The evaluation, locked for this transaction."""
    return await session.scalar(select(EvaluationRow).where(EvaluationRow.id == evaluation_id).with_for_update())


async def note_progress(session: AsyncSession, row: EvaluationRow, *, done_rows: int, rows: int | None) -> None:
    """Note how many rows are done, and of how many if that is known."""
    values = {"done_rows": done_rows} | ({} if rows is None else {"rows": rows})
    await session.execute(update(EvaluationRow).where(EvaluationRow.id == row.id).values(**values))


async def move(
    session: AsyncSession, row: EvaluationRow, target: EvaluationStatus, *, values: Mapping[str, Any] | None = None
) -> bool:
    """Change the status, if `domain.EDGES` allows it, and end the lease; False if somebody else changed it first."""
    here = (EvaluationRow.id == row.id, EvaluationRow.epoch == row.epoch)
    statement = (
        update(EvaluationRow)
        .where(*here, EvaluationRow.status.in_(statuses_before(target)))
        .values(status=target, **leases.released(), **(values or {}))
        .returning(EvaluationRow)
        .execution_options(populate_existing=True)
    )
    return (await session.execute(statement)).scalar_one_or_none() is not None


async def requeue(session: AsyncSession, row: EvaluationRow, *, after_s: float, counted: bool) -> None:
    """Put an evaluation back into the queue. An attempt that is not `counted` is subtracted again."""
    retry_at = func.clock_timestamp() + timedelta(seconds=after_s)
    attempt = row.attempt if counted else row.attempt - 1
    await move(session, row, EvaluationStatus.QUEUED, values={"retry_at": retry_at, "attempt": attempt})
