"""Finding datasets."""

from sqlalchemy.ext.asyncio import AsyncSession

from slm_datasets import store
from slm_datasets.domain.states import DatasetStatus
from slm_datasets.errors import DatasetNotFoundError, DatasetNotReadyError
from slm_datasets.schemas import Dataset, DatasetFilters, DatasetSort, Problems
from slm_datasets.tables import DatasetRow
from slm_shared.errors import Hint
from slm_shared.http.paging import Page, PageRequest
from slm_shared.http.sorting import order_of, page_of_sorted


async def get_dataset(session: AsyncSession, reference: str, *, with_details: bool = False) -> DatasetRow:
    """A dataset by id, name or family. Raises DatasetNotFoundError."""
    dataset = await store.find_dataset(session, reference, with_details=with_details)
    if dataset is None:
        raise DatasetNotFoundError("There is no such dataset.", hint=Hint.LIST_DATASETS)
    return dataset


async def get_processed(session: AsyncSession, reference: str, *, with_details: bool = False) -> DatasetRow:
    """A dataset whose rows can be read. Raises DatasetNotFoundError and DatasetNotReadyError."""
    dataset = await get_dataset(session, reference, with_details=with_details)
    if dataset.status != DatasetStatus.PROCESSED:
        raise DatasetNotReadyError(f"The dataset has no rows to show: its status is {dataset.status}.")
    return dataset


async def list_datasets(
    session: AsyncSession, query: PageRequest, *, sort: DatasetSort, filters: DatasetFilters
) -> Page[Dataset]:
    """One page of datasets. Raises InvalidError for a cursor that is not of this list."""
    order = order_of(sort, store.SORTS)
    found = await store.list_datasets(session, query, order, filters)
    return page_of_sorted(found, query, order, key=lambda row: row.id, show=Dataset.of)


async def get_problems(session: AsyncSession, reference: str) -> Problems:
    """What is wrong with the file of a dataset. Raises DatasetNotFoundError."""
    dataset = await get_dataset(session, reference, with_details=True)
    return Problems.model_validate({**(dataset.problems or {}), "skipped_rows": dataset.skipped_rows})
