"""What the datasets service does when something happened elsewhere: it learns which runs read which datasets."""

from sqlalchemy.ext.asyncio import AsyncSession

from slm_datasets.store import uses
from slm_shared.delivery.bus import Bus
from slm_shared.events.catalogue import ExperimentCancelled, ExperimentCompleted, ExperimentFailed, RunLaunched


async def hold_datasets(session: AsyncSession, event: RunLaunched) -> None:
    """A run needs its datasets until it has ended."""
    dataset_ids = [each for each in (event.training_dataset_id, event.evaluation_dataset_id) if each is not None]
    await uses.note_use(session, event.run_id, name=event.name, dataset_ids=dataset_ids)


async def release_datasets(
    session: AsyncSession, event: ExperimentCompleted | ExperimentFailed | ExperimentCancelled
) -> None:
    """A run has ended and needs its datasets no longer."""
    await uses.note_end(session, event.run_id)


def register(bus: Bus) -> None:
    """Subscribe to everything this service consumes."""
    bus.on(RunLaunched, hold_datasets)
    bus.on(ExperimentCompleted, release_datasets)
    bus.on(ExperimentFailed, release_datasets)
    bus.on(ExperimentCancelled, release_datasets)
