"""Queries about dataset versions."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, func, or_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import undefer

from slm_datasets.domain.states import DatasetStatus
from slm_datasets.schemas import DatasetFilters
from slm_datasets.tables import DatasetRow, FamilyRow
from slm_shared.http.paging import PageRequest
from slm_shared.http.sorting import Order, Sort, sorted_page
from slm_shared.jobs import leases

GRAM = 3
SORTS = {
    "created_at": Sort(DatasetRow.created_at.expression, datetime),
    "name": Sort(DatasetRow.name.expression, str),
    "rows": Sort(func.coalesce(DatasetRow.rows, 0), int),
    "size_bytes": Sort(DatasetRow.size_bytes.expression, int),
}


def grams_of(text: str) -> list[str]:
    """Every piece of three letters in a text, each once."""
    plain = text.lower()
    return sorted({plain[start : start + GRAM] for start in range(len(plain) - GRAM + 1)})


async def next_version(session: AsyncSession, family: str) -> int:
    """The next version of a family; gapless, because the counter's row is locked until the caller commits."""
    statement = insert(FamilyRow).values(name=family, last_version=1)
    counted = statement.on_conflict_do_update(
        index_elements=[FamilyRow.name], set_={"last_version": FamilyRow.last_version + 1}
    ).returning(FamilyRow.last_version)
    version: int = (await session.execute(counted)).scalar_one()
    return version


async def find_dataset(session: AsyncSession, reference: str, *, with_details: bool = False) -> DatasetRow | None:
    """A dataset by id, name, or family (its latest version); deleted ones are not found.

    `with_details` reads its problems and its profile too.
    """
    statement = _there()
    try:
        statement = statement.where(DatasetRow.id == UUID(reference))
    except ValueError:
        statement = statement.where(or_(DatasetRow.name == reference, DatasetRow.family == reference))
    if with_details:
        statement = statement.options(undefer(DatasetRow.problems), undefer(DatasetRow.profile))
    found: DatasetRow | None = await session.scalar(statement.order_by(DatasetRow.version.desc()).limit(1))
    return found


async def find_identical(session: AsyncSession, family: str, *, sha256: str, reading: Any) -> DatasetRow | None:
    """The version of a family that was made of the same bytes, read the same way, and has not failed."""
    alive = (DatasetStatus.IN_PROGRESS, DatasetStatus.PROCESSED)
    statement = select(DatasetRow).where(
        DatasetRow.family == family,
        DatasetRow.sha256 == sha256,
        DatasetRow.reading == reading,
        DatasetRow.status.in_(alive),
        DatasetRow.derived.is_(None),
    )
    return await session.scalar(statement.order_by(DatasetRow.version).limit(1))


async def list_datasets(
    session: AsyncSession, query: PageRequest, order: Order, filters: DatasetFilters
) -> Sequence[Row[tuple[DatasetRow, Any]]]:
    """One page of datasets (and one more row), each with its place in the order."""
    statement = _there()
    for name, value in asdict(filters).items():
        if name != "q" and value is not None:
            statement = statement.where(getattr(DatasetRow, name) == value)
    if filters.q:
        # The index knows pieces of three letters, so it narrows; the comparison below then decides.
        if pieces := grams_of(filters.q):
            statement = statement.where(DatasetRow.name_grams.contains(pieces))
        statement = statement.where(DatasetRow.name.icontains(filters.q, autoescape=True))
    identity = DatasetRow.id.expression
    rows: Sequence[Row[tuple[DatasetRow, Any]]]
    rows = (await session.execute(sorted_page(statement, order, identity=identity, query=query))).all()
    return rows


def _there() -> Any:
    return select(DatasetRow).where(DatasetRow.status != DatasetStatus.DELETED)


async def restart_dataset(session: AsyncSession, dataset_id: UUID, *, reading: Mapping[str, Any]) -> bool:
    """Put a dataset in error back into the queue; False when it is in another state."""
    statement = (
        update(DatasetRow)
        .where(DatasetRow.id == dataset_id, DatasetRow.status == DatasetStatus.ERROR)
        .values(
            status=DatasetStatus.IN_PROGRESS,
            reading=reading,
            error=None,
            problems=None,
            processed_at=None,
            attempt=0,
            **leases.released(),
        )
        .returning(DatasetRow.id)
    )
    return (await session.execute(statement)).first() is not None


async def delete_dataset(session: AsyncSession, dataset_id: UUID) -> bool:
    """Delete a dataset that is not being processed; False when it is, or when it is gone already."""
    ended = (DatasetStatus.PROCESSED, DatasetStatus.ERROR)
    statement = (
        update(DatasetRow)
        .where(DatasetRow.id == dataset_id, DatasetRow.status.in_(ended))
        .values(status=DatasetStatus.DELETED, deleted_at=func.clock_timestamp())
        .returning(DatasetRow.id)
    )
    return (await session.execute(statement)).first() is not None


async def datasets_to_clean_up(session: AsyncSession, *, after_s: float, limit: int) -> Sequence[DatasetRow]:
    """Deleted datasets whose files are still there and old enough to go."""
    old = func.clock_timestamp() - timedelta(seconds=after_s)
    statement = (
        select(DatasetRow)
        .where(DatasetRow.deleted_at.is_not(None), DatasetRow.files_removed_at.is_(None), DatasetRow.deleted_at <= old)
        .order_by(DatasetRow.deleted_at)
        .limit(limit)
    )
    return (await session.scalars(statement)).all()


async def note_files_removed(session: AsyncSession, dataset_id: UUID) -> None:
    """Remember that the files of a deleted dataset are gone."""
    await session.execute(
        update(DatasetRow).where(DatasetRow.id == dataset_id).values(files_removed_at=func.clock_timestamp())
    )


async def splits_under_way(session: AsyncSession, dataset_id: UUID) -> Sequence[DatasetRow]:
    """Datasets that are still being made of this one."""
    statement = _there().where(
        DatasetRow.status == DatasetStatus.IN_PROGRESS, DatasetRow.derived["source_id"].astext == str(dataset_id)
    )
    return (await session.scalars(statement)).all()
