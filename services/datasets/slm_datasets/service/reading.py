"""Finding datasets."""

from sqlalchemy.ext.asyncio import AsyncSession

from slm_datasets.domain.states import DatasetStatus
from slm_datasets.errors import DatasetNotFoundError, DatasetNotReadyError
from slm_datasets.store import datasets as store
from slm_datasets.tables import DatasetRow


async def get_dataset(session: AsyncSession, reference: str, *, with_details: bool = False) -> DatasetRow:
    """A dataset by id, name or family. Raises DatasetNotFoundError."""
    dataset = await store.find(session, reference, with_details=with_details)
    if dataset is None:
        raise DatasetNotFoundError("There is no such dataset.", hint="`slm datasets list` shows what there is.")
    return dataset


async def get_processed(session: AsyncSession, reference: str, *, with_details: bool = False) -> DatasetRow:
    """A dataset whose rows can be read. Raises DatasetNotFoundError and DatasetNotReadyError."""
    dataset = await get_dataset(session, reference, with_details=with_details)
    if dataset.status != DatasetStatus.PROCESSED:
        raise DatasetNotReadyError(f"The dataset has no rows to show: its status is {dataset.status}.")
    return dataset
