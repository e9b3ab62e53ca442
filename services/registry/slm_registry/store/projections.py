"""Queries about what other services announced: datasets and evaluations, as cards tell of them."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from slm_registry.tables import DatasetRow, EvaluationRow
from slm_shared.events import DatasetProcessed, EvaluationCompleted


async def project_dataset(session: AsyncSession, event: DatasetProcessed) -> None:
    """Remember a processed dataset."""
    values = {"id": event.dataset_id, **event.model_dump(include={"name", "rows", "row_format", "sha256"})}
    await session.execute(insert(DatasetRow).values(**values).on_conflict_do_nothing())


async def find_datasets(session: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, DatasetRow]:
    """The known datasets among `ids`."""
    rows = (await session.scalars(select(DatasetRow).where(DatasetRow.id.in_(ids)))).all()
    return {row.id: row for row in rows}


async def project_evaluation(session: AsyncSession, event: EvaluationCompleted) -> bool:
    """Remember a finished evaluation; False when it is known already."""
    fields = {"model_id", "model_name", "dataset_id", "dataset_name", "rows", "metrics"}
    values = {"id": event.evaluation_id, **event.model_dump(include=fields)}
    statement = insert(EvaluationRow).values(**values).on_conflict_do_nothing().returning(EvaluationRow.id)
    return (await session.execute(statement)).first() is not None


async def evaluations_of(session: AsyncSession, model_ids: Sequence[UUID]) -> Sequence[EvaluationRow]:
    """Every evaluation of these models, oldest first."""
    statement = select(EvaluationRow).where(EvaluationRow.model_id.in_(model_ids))
    return (await session.scalars(statement.order_by(EvaluationRow.completed_at, EvaluationRow.id))).all()
