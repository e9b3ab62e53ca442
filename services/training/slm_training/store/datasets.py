"""The projection of the datasets that exist."""

from uuid import UUID

from sqlalchemy import or_, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from slm_shared.events.catalogue import DatasetProcessed
from slm_training.tables import DatasetRow


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
