"""Queries about datasets and evaluations of other services, as cards show them."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from slm_registry.tables import DatasetRow, EvaluationRow


async def find_datasets(session: AsyncSession, ids: Sequence[UUID]) -> dict[UUID, DatasetRow]:
    """The known datasets among `ids`."""
    rows = (await session.scalars(select(DatasetRow).where(DatasetRow.id.in_(ids)))).all()
    return {row.id: row for row in rows}


async def evaluations_of(session: AsyncSession, model_ids: Sequence[UUID]) -> Sequence[EvaluationRow]:
    """Every evaluation of these models, oldest first."""
    statement = select(EvaluationRow).where(EvaluationRow.model_id.in_(model_ids))
    return (await session.scalars(statement.order_by(EvaluationRow.completed_at, EvaluationRow.id))).all()
