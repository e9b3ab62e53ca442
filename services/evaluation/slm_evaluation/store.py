"""Every query of the evaluation service."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from slm_evaluation.domain import EvaluationStatus, statuses_before
from slm_evaluation.tables import EvaluationRow, ModelRow
from slm_shared import leases
from slm_shared.events import ModelRegistered
from slm_shared.paging import PageRequest, keyset


async def project_model(session: AsyncSession, event: ModelRegistered) -> None:
    """Remember a registered model."""
    fields = {"name", "artifact_prefix", "manifest_key", "manifest_sha256"}
    values = {"id": event.model_id, **event.model_dump(include=fields)}
    await session.execute(insert(ModelRow).values(**values).on_conflict_do_nothing())


async def find_model(session: AsyncSession, model_id: UUID) -> ModelRow | None:
    """A model that was registered."""
    return await session.get(ModelRow, model_id)


async def add_evaluation(session: AsyncSession, values: Mapping[str, Any]) -> UUID:
    """Queue an evaluation, or find the one that there is for this model, dataset and settings; returns its id."""
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
    session: AsyncSession,
    query: PageRequest,
    *,
    model_id: UUID | None = None,
    dataset_id: UUID | None = None,
    experiment_id: UUID | None = None,
    status: EvaluationStatus | None = None,
) -> Sequence[EvaluationRow]:
    """One page of evaluations (and one more row), newest first."""
    wanted = {"model_id": model_id, "dataset_id": dataset_id, "experiment_id": experiment_id, "status": status}
    statement = select(EvaluationRow)
    for name, value in wanted.items():
        if value is not None:
            statement = statement.where(getattr(EvaluationRow, name) == value)
    key = (EvaluationRow.created_at, EvaluationRow.id)
    return (await session.scalars(keyset(statement, key=key, query=query))).all()


async def claim(session: AsyncSession, *, worker: str, claim_id: UUID, ttl_s: float) -> EvaluationRow | None:
    """Lease the oldest evaluation that is due."""
    return await leases.claim(
        session,
        EvaluationRow,
        where=EvaluationRow.status == EvaluationStatus.QUEUED,
        order_by=[EvaluationRow.created_at.asc(), EvaluationRow.id.asc()],
        worker=worker,
        claim_id=claim_id,
        ttl_s=ttl_s,
        values={"status": EvaluationStatus.RUNNING, "started_at": func.clock_timestamp(), "done_rows": 0},
    )


async def held(session: AsyncSession, evaluation_id: UUID, epoch: int) -> EvaluationRow | None:
    """The evaluation, locked, if `epoch` is its newest lease and still held."""
    statement = select(EvaluationRow).where(leases.held(EvaluationRow, evaluation_id, epoch)).with_for_update()
    return await session.scalar(statement.execution_options(populate_existing=True))


async def locked(session: AsyncSession, evaluation_id: UUID) -> EvaluationRow | None:
    """The evaluation, locked for this transaction."""
    return await session.scalar(select(EvaluationRow).where(EvaluationRow.id == evaluation_id).with_for_update())


async def keep(session: AsyncSession, row: EvaluationRow, *, done_rows: int, rows: int | None, ttl_s: float) -> None:
    """Renew a held lease and note how many rows are done, and of how many if that is known."""
    await leases.renew(session, EvaluationRow, row.id, epoch=row.epoch, ttl_s=ttl_s)
    values = {"done_rows": done_rows} | ({} if rows is None else {"rows": rows})
    await session.execute(update(EvaluationRow).where(EvaluationRow.id == row.id).values(**values))


async def move(
    session: AsyncSession, row: EvaluationRow, target: EvaluationStatus, *, values: Mapping[str, Any] | None = None
) -> bool:
    """Move an evaluation along a legal edge, under its current lease, which ends; False when it stands elsewhere."""
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
    """Put an evaluation back into the queue; an attempt that does not count is taken off again."""
    retry_at = func.clock_timestamp() + timedelta(seconds=after_s)
    attempt = row.attempt if counted else row.attempt - 1
    await move(session, row, EvaluationStatus.QUEUED, values={"retry_at": retry_at, "attempt": attempt})


async def expired(session: AsyncSession) -> Sequence[EvaluationRow]:
    """Running evaluations whose lease ran out, locked."""
    return await leases.expired(session, EvaluationRow, where=EvaluationRow.status == EvaluationStatus.RUNNING)


async def of_worker(session: AsyncSession, worker: str) -> Sequence[EvaluationRow]:
    """Running evaluations that a worker holds, locked."""
    mine = (EvaluationRow.worker == worker) & (EvaluationRow.status == EvaluationStatus.RUNNING)
    return (await session.scalars(select(EvaluationRow).where(mine).with_for_update(skip_locked=True))).all()
