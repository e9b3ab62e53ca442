"""Queries about aliases, and how often models are used."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from slm_registry.tables import AliasMoveRow, AliasRow, UsageRow

MAX_MOVES = 200


async def aliases_of_family(session: AsyncSession, family: str) -> Sequence[AliasRow]:
    """Where the aliases of a family lead now."""
    statement = select(AliasRow).where(AliasRow.family == family).order_by(AliasRow.name)
    return (await session.scalars(statement)).all()


async def aliases_of_model(session: AsyncSession, model_id: UUID) -> Sequence[str]:
    """The aliases that lead to a model."""
    statement = select(AliasRow.name).where(AliasRow.model_id == model_id).order_by(AliasRow.name)
    return (await session.scalars(statement)).all()


async def find_alias(session: AsyncSession, family: str, name: str) -> AliasRow | None:
    """An alias; who moves it holds the lock of its family (`lock_family`)."""
    statement = select(AliasRow).where(AliasRow.family == family, AliasRow.name == name)
    # What the session read before it had the lock may be out of date.
    return await session.scalar(statement.execution_options(populate_existing=True))


async def point_alias(session: AsyncSession, family: str, name: str, model_id: UUID) -> None:
    """Let an alias lead to a model."""
    statement = insert(AliasRow).values(family=family, name=name, model_id=model_id)
    moved = {"model_id": model_id, "moved_at": func.clock_timestamp()}
    await session.execute(statement.on_conflict_do_update(index_elements=["family", "name"], set_=moved))


async def drop_alias(session: AsyncSession, family: str, name: str) -> None:
    """Take an alias away."""
    await session.execute(delete(AliasRow).where(AliasRow.family == family, AliasRow.name == name))


async def note_alias_move(session: AsyncSession, **values: Any) -> AliasMoveRow:
    """Add a move to the history of an alias."""
    statement = insert(AliasMoveRow).values(**values).returning(AliasMoveRow)
    return (await session.execute(statement)).scalar_one()


async def alias_moves_of(
    session: AsyncSession, family: str, *, name: str | None = None, limit: int = MAX_MOVES
) -> Sequence[AliasMoveRow]:
    """The newest moves of a family's aliases, newest first."""
    statement = select(AliasMoveRow).where(AliasMoveRow.family == family)
    if name is not None:
        statement = statement.where(AliasMoveRow.name == name)
    return (await session.scalars(statement.order_by(AliasMoveRow.id.desc()).limit(limit))).all()


async def count_use(session: AsyncSession, model_id: UUID, kind: str) -> None:
    """Count one use of a model."""
    statement = insert(UsageRow).values(model_id=model_id, kind=kind, count=1)
    again = {"count": UsageRow.count + 1, "last_at": func.clock_timestamp()}
    await session.execute(statement.on_conflict_do_update(index_elements=["model_id", "kind"], set_=again))


async def usage_of(session: AsyncSession, model_id: UUID) -> Sequence[UsageRow]:
    """How a model was used."""
    return (await session.scalars(select(UsageRow).where(UsageRow.model_id == model_id).order_by(UsageRow.kind))).all()
