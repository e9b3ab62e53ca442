"""Accepting a file: store and inspect it while it arrives, then make the next version of its family."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from slm_datasets import store
from slm_datasets.domain.files import (
    ACCEPTED_SUFFIXES,
    FileKind,
    detect_kind,
    family_of,
    kind_by_name,
    shown_file_name,
    stem_of,
)
from slm_datasets.domain.keys import raw_key
from slm_datasets.domain.states import DatasetStatus
from slm_datasets.errors import (
    FileEmptyError,
    FileMismatchError,
    FileTypeError,
    IdenticalContentError,
)
from slm_datasets.schemas import Dataset, UploadFields
from slm_datasets.service import reading
from slm_datasets.tables import DatasetRow
from slm_shared.delivery import outbox
from slm_shared.errors import FieldProblem, PlatformError, UnavailableError
from slm_shared.events.catalogue import DatasetUploaded
from slm_shared.storage import audit
from slm_shared.storage.database import PUBLISHES
from slm_shared.storage.ids import new_id
from slm_shared.storage.multipart import ObjectWriter
from slm_shared.storage.objects import ObjectStore

HEAD_BYTES = 4096


@dataclass(frozen=True)
class UploadedFile:
    """What was read of an upload before anything is stored."""

    file_name: str
    kind: FileKind
    size_bytes: int
    sha256: str


class FileUpload:
    """A file on its way into the object store, to become the dataset `dataset_id`: see `receiving`."""

    def __init__(self, writer: ObjectWriter, dataset_id: UUID, *, owner: str) -> None:
        self._writer, self._dataset_id, self._owner = writer, dataset_id, owner
        self._head = b""
        self.is_stored = self.is_added = False

    async def write(self, piece: bytes) -> None:
        """Take the next bytes of the file. Raises UnavailableError."""
        self._head += piece[: HEAD_BYTES - len(self._head)]
        await self._writer.write(piece)

    def describe(self, fields: UploadFields, file_name: str) -> str:
        """Say what the file, which has arrived whole, is to become; a text that is the same for equal requests.

        Raises FileEmptyError, FileTypeError, FileMismatchError.
        """
        size_bytes, sha256 = self._writer.size_bytes, self._writer.sha256
        self._fields = fields
        self._file = described(file_name, size_bytes=size_bytes, sha256=sha256, head=self._head)
        return f"{fields.model_dump_json()}\n{self._file.file_name}\n{sha256}"

    async def refuse_identical(self, session: AsyncSession) -> None:
        """Raise IdenticalContentError when the family has a version of the same bytes, read the same way."""
        await refuse_identical(session, self._fields, self._file)

    async def close(self) -> None:
        """Finish storing the file. Raises UnavailableError."""
        await self._writer.close()
        self.is_stored = True

    async def add(self, session: AsyncSession) -> Dataset:
        """Add the dataset. Raises IdenticalContentError, and DatasetNotFoundError for a parent that is not there."""
        made = await add_dataset(session, self._dataset_id, self._fields, self._file, owner=self._owner)
        self.is_added = True
        return Dataset.of(made)


@asynccontextmanager
async def receiving(objects: ObjectStore, *, owner: str) -> AsyncIterator[FileUpload]:
    """Receive one file, see it stored and add its dataset; a file that no dataset was added for is removed."""
    dataset_id = new_id()
    async with ObjectWriter(objects, raw_key(dataset_id)) as writer:
        upload = FileUpload(writer, dataset_id, owner=owner)
        try:
            yield upload
        except PlatformError as error:
            # Refused for certain. When the database does not answer, the dataset may have been committed.
            if upload.is_stored and not isinstance(error, UnavailableError):
                await objects.remove(raw_key(dataset_id))
            raise
        if upload.is_stored and not upload.is_added:
            await objects.remove(raw_key(dataset_id))


def described(file_name: str, *, size_bytes: int, sha256: str, head: bytes) -> UploadedFile:
    """A file of which size, hash and first bytes are known.

    Raises FileEmptyError, FileTypeError, FileMismatchError.
    """
    shown = shown_file_name(file_name)
    if size_bytes == 0:
        raise FileEmptyError("The file is empty.", hint="Upload a file with at least one row.")
    check_name(shown)
    found = detect_kind(shown, head)
    if found is None:
        raise FileMismatchError(
            "The content of the file does not match the suffix of its name.", hint="Check the file's suffix."
        )
    return UploadedFile(file_name=shown, kind=found, size_bytes=size_bytes, sha256=sha256)


def check_name(shown: str) -> None:
    """Raise FileTypeError for a name without a suffix that is accepted."""
    if kind_by_name(shown) is None:
        accepted = ", ".join(ACCEPTED_SUFFIXES)
        raise FileTypeError("This kind of file is not accepted.", hint=f"The name must end with one of {accepted}.")


async def refuse_identical(session: AsyncSession, fields: UploadFields, uploaded: UploadedFile) -> None:
    """Raise IdenticalContentError when the family has a version of the same bytes, read the same way."""
    family = family_named(fields, uploaded.file_name)
    twin = await store.find_identical(session, family, sha256=uploaded.sha256, reading=fields.reading())
    if twin is not None:
        problem = FieldProblem("file", f"is the content of {twin.name}")
        hint = f"Use {twin.name}, or upload it under another name."
        raise IdenticalContentError(f"The file is the content of {twin.name}.", hint=hint, errors=[problem])


def family_named(fields: UploadFields, file_name: str) -> str:
    """The family an upload belongs to: the name given, else the file's own."""
    return family_of(fields.name or stem_of(file_name))


async def add_dataset(
    session: AsyncSession, dataset_id: UUID, fields: UploadFields, uploaded: UploadedFile, *, owner: str
) -> DatasetRow:
    """Make the next version of the family and queue its processing; the raw file is already stored.

    Raises IdenticalContentError, and DatasetNotFoundError for a parent that is not there.
    """
    family = family_named(fields, uploaded.file_name)
    parents = [await reading.get_dataset(session, reference) for reference in fields.parents]
    # Locks the family: no other transaction adds a version to it until the caller commits.
    version = await store.next_version(session, family)
    await refuse_identical(session, fields, uploaded)
    dataset = DatasetRow(
        id=dataset_id,
        name=f"{family}-v{version}",
        family=family,
        version=version,
        description=fields.description,
        owner=owner,
        usage=fields.usage,
        origin=fields.origin,
        parents=parents_of(parents),
        status=DatasetStatus.IN_PROGRESS,
        reading=fields.reading(),
        format=uploaded.kind.format,
        compression=uploaded.kind.compression,
        file_name=uploaded.file_name,
        size_bytes=uploaded.size_bytes,
        sha256=uploaded.sha256,
        name_grams=store.grams_of(f"{family}-v{version}"),
    )
    return await add_version(session, dataset)


def parents_of(datasets: Sequence[DatasetRow]) -> list[dict[str, str]]:
    """Ids and names of datasets, as another one keeps them."""
    return [{"id": str(each.id), "name": each.name} for each in datasets]


async def add_version(session: AsyncSession, dataset: DatasetRow) -> DatasetRow:
    """Store a new version and queue its processing; an upload also publishes its event."""
    session.add(dataset)
    await session.flush()
    await session.refresh(dataset)
    action = "dataset.uploaded" if dataset.derived is None else "dataset.derived"
    await audit.append(session, action, actor=dataset.owner, object_id=dataset.id, name=dataset.name)
    # Wakes the work queue when this is committed.
    session.info[PUBLISHES] = True
    if dataset.derived is None:
        names = ("name", "family", "version", "usage", "size_bytes", "sha256")
        shared = {name: getattr(dataset, name) for name in names}
        await outbox.append(session, DatasetUploaded(dataset_id=dataset.id, **shared))
    return dataset
