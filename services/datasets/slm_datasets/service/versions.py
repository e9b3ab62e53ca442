"""What happens to a version after its upload: another try, a split, its deletion."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from slm_datasets import store
from slm_datasets.domain.states import DatasetStatus
from slm_datasets.errors import DatasetInUseError, DatasetNotReadyError, NotRetriableError
from slm_datasets.schemas import Dataset, ReadingFields, Split, SplitRequest
from slm_datasets.service import reading, uploading
from slm_datasets.tables import DatasetRow
from slm_shared.delivery import outbox
from slm_shared.events.catalogue import DatasetDeleted
from slm_shared.storage import audit
from slm_shared.storage.database import PUBLISHES
from slm_shared.storage.ids import new_id


async def retry_dataset(session: AsyncSession, reference: str, fields: ReadingFields, *, actor: str) -> DatasetRow:
    """Process a dataset in error again, from the stored file, with the reading options in `fields`.

    Raises DatasetNotFoundError and NotRetriableError.
    """
    dataset = await reading.get_dataset(session, reference)
    # Options that are not given keep their last value.
    wanted = {**dataset.reading, **fields.reading()}
    if fields.on_bad_rows == "fail" and "on_bad_rows" in fields.model_fields_set:
        wanted.pop("on_bad_rows", None)
    if not await store.restart_dataset(session, dataset.id, reading=wanted):
        hint = "Upload a new version instead."
        raise NotRetriableError(f"Only a dataset in error is processed again; this one is {dataset.status}.", hint=hint)
    await audit.append(session, "dataset.retried", actor=actor, object_id=dataset.id, name=dataset.name)
    # Wakes the work queue when this is committed.
    session.info[PUBLISHES] = True
    await session.refresh(dataset)
    return dataset


async def split_dataset(session: AsyncSession, reference: str, request: SplitRequest, *, actor: str) -> Split:
    """Queue the two splits of a processed dataset: new versions of `<family>-train` and `<family>-validation`.

    Raises DatasetNotFoundError and DatasetNotReadyError.
    """
    source = await reading.get_processed(session, reference)
    train = await _add_split(session, source, "train", request, usage=source.usage, owner=actor)
    validation = await _add_split(session, source, "validation", request, usage="evaluation", owner=actor)
    return Split(train=Dataset.of(train), validation=Dataset.of(validation))


async def _add_split(
    session: AsyncSession, source: DatasetRow, split: str, request: SplitRequest, *, usage: str, owner: str
) -> DatasetRow:
    family = f"{source.family}-{split}"
    version = await store.next_version(session, family)
    how = f"seed {request.seed}, validation {request.validation_fraction:g}"
    dataset = DatasetRow(
        id=new_id(),
        name=f"{family}-v{version}",
        family=family,
        version=version,
        description=f"{split.capitalize()} part of {source.name} ({how}).",
        owner=owner,
        usage=usage,
        origin=source.origin,
        parents=uploading.parents_of([source]),
        status=DatasetStatus.IN_PROGRESS,
        format="parquet",
        file_name=f"{family}-v{version}.parquet",
        # Until its own rows are written, those of what it is cut from.
        size_bytes=source.canonical_size_bytes or 0,
        sha256=source.canonical_sha256 or "",
        reading={"mapping": {**source.mapping}} if source.mapping else {},
        derived={
            "seed": request.seed,
            "fraction": request.validation_fraction,
            "part": split,
            "source_id": str(source.id),
            "object_key": source.object_key,
        },
        name_grams=store.grams_of(f"{family}-v{version}"),
    )
    return await uploading.add_version(session, dataset)


async def delete_dataset(session: AsyncSession, reference: str, *, actor: str) -> UUID:
    """Take a dataset away from new work; its row stays for lineage and its files go a little later.

    Raises DatasetNotFoundError, DatasetNotReadyError while it is being processed, and DatasetInUseError while a run
    that has not ended, or a split under way, reads it.
    """
    dataset = await reading.get_dataset(session, reference)
    if runs := await store.runs_that_need(session, dataset.id):
        hint = "Wait until they have ended, or cancel them."
        raise DatasetInUseError(f"Queued or running runs need this dataset: {', '.join(runs)}.", hint=hint)
    if splits := await store.splits_under_way(session, dataset.id):
        names = ", ".join(each.name for each in splits)
        raise DatasetInUseError(f"It is being split into {names}.", hint="Delete it when that has ended.")
    if not await store.delete_dataset(session, dataset.id):
        raise DatasetNotReadyError("The dataset is still being processed.", hint="Delete it when that has ended.")
    await audit.append(session, "dataset.deleted", actor=actor, object_id=dataset.id, name=dataset.name)
    await outbox.append(session, DatasetDeleted(dataset_id=dataset.id, name=dataset.name))
    return dataset.id
