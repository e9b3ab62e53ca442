"""What the training service knows of its neighbours' data."""

from sqlalchemy.ext.asyncio import AsyncSession

from slm_shared.events.catalogue import DatasetDeleted, DatasetProcessed
from slm_training import store


async def remember_dataset(session: AsyncSession, event: DatasetProcessed) -> None:
    """Remember a dataset; one that was deleted meanwhile stays deleted."""
    await store.project_dataset(session, event)


async def forget_dataset(session: AsyncSession, event: DatasetDeleted) -> None:
    """Remember that a dataset is gone, whether or not it was known."""
    await store.forget_dataset(session, event.dataset_id, event.name)
