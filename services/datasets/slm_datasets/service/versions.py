"""What becomes of a version after its upload: another try, a split, its end."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from slm_datasets.domain.states import DatasetStatus
from slm_datasets.errors import DatasetInUseError, DatasetNotReadyError, NotRetriableError
from slm_datasets.schemas import ReadingFields, SplitRequest
from slm_datasets.service import reading, uploading
from slm_datasets.store import datasets as store
from slm_datasets.store import uses
from slm_datasets.tables import DatasetRow
from slm_shared.delivery import outbox
from slm_shared.events.catalogue import DatasetDeleted
from slm_shared.storage import audit
from slm_shared.storage.database import PUBLISHES
from slm_shared.storage.ids import new_id


async def retry_dataset(session: AsyncSession, reference: str, fields: ReadingFields, *, actor: str) -> DatasetRow:
    """Process a dataset in error again, from the file that is stored, read as `fields` says.

    Raises DatasetNotFoundError and NotRetriableError.
    """
    dataset = await reading.get_dataset(session, reference)
    # What is not said this time is read as it was the last time.
    wanted = {**dataset.reading, **fields.reading()}
    if fields.on_bad_rows == "fail" and "on_bad_rows" in fields.model_fields_set:
        wanted.pop("on_bad_rows", None)
    if not await store.restart(session, dataset.id, reading=wanted):
        hint = "Upload a new version instead."
        raise NotRetriableError(f"Only a dataset in error is processed again; this one is {dataset.status}.", hint=hint)
    await audit.append(session, "dataset.retried", actor=actor, object_id=dataset.id, name=dataset.name)
    # Wakes the work queue when this is committed.
    session.info[PUBLISHES] = True
    await session.refresh(dataset)
    return dataset


async def split_dataset(
    session: AsyncSession, reference: str, request: SplitRequest, *, actor: str
) -> tuple[DatasetRow, DatasetRow]:
    """Queue the two parts of a processed dataset: new versions of `<family>-train` and `<family>-validation`.

    Raises DatasetNotFoundError and DatasetNotReadyError.
    """
    source = await reading.get_processed(session, reference)
    how = {"seed": request.seed, "fraction": request.validation_fraction}
    train = await _add_part(session, source, "train", how, usage=source.usage, owner=actor)
    validation = await _add_part(session, source, "validation", how, usage="evaluation", owner=actor)
    return train, validation


async def _add_part(
    session: AsyncSession, source: DatasetRow, part: str, how: Mapping[str, Any], *, usage: str, owner: str
) -> DatasetRow:
    family = f"{source.family}-{part}"
    version = await store.next_version(session, family)
    part_of = f"{part.capitalize()} part of {source.name} (seed {how['seed']}, validation {how['fraction']:g})."
    dataset = DatasetRow(
        id=new_id(),
        name=f"{family}-v{version}",
        family=family,
        version=version,
        description=part_of,
        owner=owner,
        usage=usage,
        origin=source.origin,
        parents=uploading.parents_of([source]),
        status=DatasetStatus.IN_PROGRESS,
        format="parquet",
        file_name=f"{family}-v{version}.parquet",
        # Until the part itself is written, those of what it is cut from.
        size_bytes=source.canonical_size_bytes or 0,
        sha256=source.canonical_sha256 or "",
        reading={"mapping": {**source.mapping}} if source.mapping else {},
        derived={
            **how,
            "part": part,
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
    if runs := await uses.runs_that_need(session, dataset.id):
        hint = "Wait until they have ended, or cancel them."
        raise DatasetInUseError(f"Queued or running runs need this dataset: {', '.join(runs)}.", hint=hint)
    if parts := await store.children_of(session, dataset.id):
        names = ", ".join(each.name for each in parts)
        raise DatasetInUseError(f"It is being split into {names}.", hint="Delete it when that has ended.")
    if not await store.mark_deleted(session, dataset.id):
        raise DatasetNotReadyError("The dataset is still being processed.", hint="Delete it when that has ended.")
    await audit.append(session, "dataset.deleted", actor=actor, object_id=dataset.id, name=dataset.name)
    await outbox.append(session, DatasetDeleted(dataset_id=dataset.id, name=dataset.name))
    return dataset.id
