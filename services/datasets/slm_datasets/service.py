"""The use cases of the datasets service."""

import hashlib
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import BinaryIO
from uuid import UUID

from anyio import to_thread
from sqlalchemy.ext.asyncio import AsyncSession

from slm_datasets import store
from slm_datasets.domain import FORMAT_OF_SUFFIX, DatasetStatus, detect_format, family_of, shown_file_name
from slm_datasets.errors import (
    DatasetNotFoundError,
    DatasetNotReadyError,
    FileEmptyError,
    FileMismatchError,
    FileTypeError,
)
from slm_datasets.schemas import UploadFields
from slm_datasets.tables import DatasetRow
from slm_shared import audit, outbox
from slm_shared.events import DatasetDeleted, DatasetUploaded

CHUNK_BYTES = 1024 * 1024
HEAD_BYTES = 4096


@dataclass(frozen=True)
class UploadedFile:
    """What was read of an upload before anything is stored."""

    file_name: str
    format: str
    size_bytes: int
    sha256: str


def raw_key(dataset_id: UUID) -> str:
    """Where the file lies as it was uploaded."""
    return f"datasets/{dataset_id}/raw"


def canonical_key(dataset_id: UUID, epoch: int) -> str:
    """Where a processing attempt stores its Parquet; only the one that is committed is ever read."""
    return f"datasets/{dataset_id}/e{epoch}/canonical.parquet"


async def inspect(file: BinaryIO, file_name: str) -> UploadedFile:
    """Measure and recognise an uploaded file. Raises FileEmptyError, FileTypeError, FileMismatchError."""
    digest, size, head = await to_thread.run_sync(_measure, file)
    shown = shown_file_name(file_name)
    if size == 0:
        raise FileEmptyError("The file is empty.", hint="Upload a file with at least one row.")
    if Path(shown.lower()).suffix not in FORMAT_OF_SUFFIX:
        accepted = ", ".join(sorted(FORMAT_OF_SUFFIX))
        raise FileTypeError("This kind of file is not accepted.", hint=f"The name must end with one of {accepted}.")
    found = detect_format(shown, head)
    if found is None:
        raise FileMismatchError("The content of the file is not what its name says.", hint="Check the file's suffix.")
    return UploadedFile(file_name=shown, format=found, size_bytes=size, sha256=digest)


def _measure(file: BinaryIO) -> tuple[str, int, bytes]:
    digest, size, head = hashlib.sha256(), 0, b""
    file.seek(0)
    while chunk := file.read(CHUNK_BYTES):
        head = head or chunk[:HEAD_BYTES]
        digest.update(chunk)
        size += len(chunk)
    file.seek(0)
    return digest.hexdigest(), size, head


async def add_dataset(
    session: AsyncSession, dataset_id: UUID, fields: UploadFields, uploaded: UploadedFile, *, owner: str
) -> DatasetRow:
    """Make the next version of the family and queue its processing; the raw file is already stored."""
    family = family_of(fields.name or PurePath(uploaded.file_name).stem)
    version = await store.next_version(session, family)
    dataset = DatasetRow(
        id=dataset_id,
        name=f"{family}-v{version}",
        family=family,
        version=version,
        description=fields.description,
        owner=owner,
        usage=fields.usage,
        status=DatasetStatus.IN_PROGRESS,
        prompt_column=fields.prompt_column,
        completion_column=fields.completion_column,
        mapping={},
        columns=[],
        format=uploaded.format,
        file_name=uploaded.file_name,
        size_bytes=uploaded.size_bytes,
        sha256=uploaded.sha256,
    )
    session.add(dataset)
    await session.flush()
    await session.refresh(dataset)
    await audit.append(session, "dataset.uploaded", actor=owner, object_id=dataset.id, name=dataset.name)
    shared = {name: getattr(dataset, name) for name in ("name", "family", "version", "usage", "size_bytes", "sha256")}
    await outbox.append(session, DatasetUploaded(dataset_id=dataset.id, **shared))
    return dataset


async def get_dataset(session: AsyncSession, reference: str) -> DatasetRow:
    """A dataset by id, name or family. Raises DatasetNotFoundError."""
    dataset = await store.find(session, reference)
    if dataset is None:
        raise DatasetNotFoundError("There is no such dataset.", hint="`slm datasets list` shows what there is.")
    return dataset


async def get_processed(session: AsyncSession, reference: str) -> DatasetRow:
    """A dataset whose rows can be read. Raises DatasetNotFoundError and DatasetNotReadyError."""
    dataset = await get_dataset(session, reference)
    if dataset.status != DatasetStatus.PROCESSED:
        raise DatasetNotReadyError(f"The dataset has no rows to show: its status is {dataset.status}.")
    return dataset


async def delete_dataset(session: AsyncSession, reference: str, *, actor: str) -> UUID:
    """Take a dataset away from new work; its row stays for lineage.

    Raises DatasetNotReadyError while it is being processed.
    """
    dataset = await get_dataset(session, reference)
    if not await store.mark_deleted(session, dataset.id):
        raise DatasetNotReadyError("The dataset is still being processed.", hint="Delete it when that has ended.")
    await audit.append(session, "dataset.deleted", actor=actor, object_id=dataset.id, name=dataset.name)
    await outbox.append(session, DatasetDeleted(dataset_id=dataset.id, name=dataset.name))
    return dataset.id
