"""What the training service does when something happened elsewhere."""

from sqlalchemy.ext.asyncio import AsyncSession

from slm_shared.delivery.bus import Bus
from slm_shared.events.catalogue import DatasetDeleted, DatasetProcessed
from slm_training import store


async def remember_dataset(session: AsyncSession, event: DatasetProcessed) -> None:
    """A dataset can be trained on from now."""
    await store.project_dataset(session, event)


async def forget_dataset(session: AsyncSession, event: DatasetDeleted) -> None:
    """A dataset cannot be used for new runs any more."""
    await store.forget_dataset(session, event.dataset_id, event.name)


def register(bus: Bus) -> None:
    """Subscribe to everything this service consumes."""
    bus.on(DatasetProcessed, remember_dataset)
    bus.on(DatasetDeleted, forget_dataset)
