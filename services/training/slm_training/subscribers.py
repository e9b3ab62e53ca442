"""What the training service does when something happened elsewhere."""

from sqlalchemy.ext.asyncio import AsyncSession

from slm_shared.delivery.handlers import Handlers
from slm_shared.events.catalogue import DatasetDeleted, DatasetProcessed
from slm_training.service import projections

handlers = Handlers()


@handlers.on(DatasetProcessed)
async def remember_dataset(session: AsyncSession, event: DatasetProcessed) -> None:
    """A dataset can be trained on from now."""
    await projections.remember_dataset(session, event)


@handlers.on(DatasetDeleted)
async def forget_dataset(session: AsyncSession, event: DatasetDeleted) -> None:
    """A dataset cannot be used for new runs any more."""
    await projections.forget_dataset(session, event)
