"""Which training runs need which datasets."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from slm_datasets import store
from slm_shared.events.catalogue import RunLaunched


async def hold_datasets(session: AsyncSession, event: RunLaunched) -> None:
    """Note the datasets of a run; if its end arrived first, it stays ended."""
    dataset_ids = [each for each in (event.training_dataset_id, event.evaluation_dataset_id) if each is not None]
    await store.note_run(session, event.run_id, name=event.name, dataset_ids=dataset_ids)


async def release_datasets(session: AsyncSession, run_id: UUID) -> None:
    """Note that a run has ended, whether or not its launch was noted."""
    await store.note_run_end(session, run_id)
