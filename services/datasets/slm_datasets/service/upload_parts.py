"""Uploads that arrive in parts: begin, store parts in any order and again, complete with the checksum, or abort."""

import contextlib
import hashlib
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from slm_datasets import store
from slm_datasets.domain.files import shown_file_name
from slm_datasets.domain.keys import raw_key
from slm_datasets.domain.states import UploadStatus
from slm_datasets.errors import (
    ChecksumMismatchError,
    FileEmptyError,
    FileMismatchError,
    FileTypeError,
    IdenticalContentError,
    OffsetMismatchError,
    QuotaExceededError,
    UploadNotFoundError,
)
from slm_datasets.schemas import Dataset, UploadFields, UploadPart, UploadRequest, UploadState
from slm_datasets.service import uploading
from slm_datasets.settings import DatasetsSettings
from slm_datasets.tables import UploadRow
from slm_shared.errors import FieldProblem, InvalidError
from slm_shared.http.forms import FileTooLargeError
from slm_shared.http.routing import OpenSession
from slm_shared.storage.multipart import ObjectParts, PartSigner
from slm_shared.storage.objects import ObjectMissingError, ObjectStore

# S3 takes no more parts for one object.
MAX_PARTS = 10_000
# Sending the same bytes again would fail again.
HOPELESS = (ChecksumMismatchError, FileTypeError, FileMismatchError, FileEmptyError, IdenticalContentError)
OWN_FIELDS = {"file_name", "size_bytes", "sha256"}


class PartedUploads:
    """The use cases of uploads in parts, with the stores they need."""

    def __init__(self, objects: ObjectStore, settings: DatasetsSettings) -> None:
        self._objects, self._parts, self._settings = objects, ObjectParts(objects), settings
        endpoint = settings.public_s3_endpoint
        self._signer = PartSigner(settings.platform, endpoint=endpoint) if endpoint else None

    def check(self, request: UploadRequest) -> None:
        """Raise FileTypeError and FileTooLargeError before anything is begun."""
        uploading.check_name(shown_file_name(request.file_name))
        limit = self._settings.max_parts_upload_bytes
        if request.size_bytes > limit:
            raise FileTooLargeError(f"A file may have {limit} bytes.", hint="Split the file.")

    async def begin_object(self, upload_id: UUID) -> str:
        """Begin the object that the parts will make; its id in the store."""
        return await self._parts.begin(raw_key(upload_id))

    async def begin(
        self, session: AsyncSession, upload_id: UUID, request: UploadRequest, multipart_id: str, *, owner: str
    ) -> UploadState:
        """Store a new upload; its state. Raises QuotaExceededError."""
        if await store.count_open_uploads(session, owner) >= self._settings.max_open_uploads:
            count = self._settings.max_open_uploads
            hint = "Complete or abort one of them; they end by themselves after a day."
            raise QuotaExceededError(f"You have {count} open uploads.", hint=hint)
        upload = UploadRow(
            id=upload_id,
            owner=owner,
            status=UploadStatus.OPEN,
            fields=request.model_dump(mode="json", exclude=OWN_FIELDS),
            file_name=request.file_name,
            size_bytes=request.size_bytes,
            sha256=request.sha256,
            part_bytes=max(self._settings.upload_part_bytes, -(-request.size_bytes // MAX_PARTS)),
            multipart_id=multipart_id,
        )
        await store.add_upload(session, upload, lifetime_s=self._settings.upload_lifetime_s)
        # It has just begun: no need to ask the object store.
        return self._state(upload, ())

    async def state(self, upload: UploadRow) -> UploadState:
        """The state of an upload: each part, whether the store has it, and where to put it."""
        tags = await self._tags(upload) if upload.status == UploadStatus.OPEN else {}
        return self._state(upload, _numbers(upload) if tags is None else tags)

    def _state(self, upload: UploadRow, stored: Collection[int]) -> UploadState:
        return UploadState(
            id=upload.id,
            status=upload.status,
            file_name=shown_file_name(upload.file_name),
            size_bytes=upload.size_bytes,
            part_bytes=upload.part_bytes,
            parts=[self._part(upload, number, stored) for number in _numbers(upload)],
            expires_at=upload.expires_at,
        )

    def _part(self, upload: UploadRow, number: int, stored: Collection[int]) -> UploadPart:
        size = part_size(upload, number)
        is_stored = upload.status == UploadStatus.COMPLETED or number in stored
        url = None
        if self._signer is not None and upload.status == UploadStatus.OPEN and not is_stored:
            # Whoever has the address may write this part, and it cannot be taken back: it holds for an hour at most.
            lifetime_s = self._settings.upload_lifetime_s
            url = self._signer.sign(raw_key(upload.id), upload.multipart_id, number, expires_s=min(lifetime_s, 3600.0))
        offset = (number - 1) * upload.part_bytes
        return UploadPart(number=number, offset=offset, size_bytes=size, is_stored=is_stored, url=url)

    async def put(self, upload: UploadRow, number: int, data: bytes, *, sha256: str | None) -> UploadPart:
        """Store one part. Raises OffsetMismatchError and ChecksumMismatchError."""
        if not 1 <= number <= part_count(upload):
            raise OffsetMismatchError(f"The upload has parts 1 to {part_count(upload)}.")
        size = part_size(upload, number)
        if len(data) != size:
            raise OffsetMismatchError(f"Part {number} has {len(data)} bytes where {size} belong.")
        if sha256 is not None and hashlib.sha256(data).hexdigest() != sha256.lower():
            raise ChecksumMismatchError(f"Part {number} does not have its checksum.", hint="Send it again.")
        await self._parts.put(raw_key(upload.id), upload.multipart_id, number, data)
        return self._part(upload, number, (number,))

    async def assemble(self, upload: UploadRow, sha256: str | None) -> uploading.UploadedFile:
        """Make the file of its parts and read it back.

        Raises OffsetMismatchError while parts are missing, InvalidError without a checksum, ChecksumMismatchError (the
        upload is over then), FileTypeError and FileMismatchError.
        """
        expected = upload.sha256 or sha256
        if expected is None or (sha256 is not None and sha256 != expected):
            problem = FieldProblem(
                "sha256", "is required" if expected is None else "is not the one that the upload was begun with"
            )
            raise InvalidError(f"sha256 {problem.message}.", errors=[problem])
        key = raw_key(upload.id)
        if (tags := await self._tags(upload)) is not None:
            await self._put_together(upload, tags)
        found, size_bytes = await self._objects.sha256(key)
        if (found, size_bytes) != (expected, upload.size_bytes):
            raise ChecksumMismatchError(
                "The file that arrived does not have the announced size and checksum.", hint="Begin again."
            )
        head = await self._objects.get_range(key, offset=0, length=min(uploading.HEAD_BYTES, size_bytes))
        return uploading.described(upload.file_name, size_bytes=size_bytes, sha256=found, head=head)

    async def _tags(self, upload: UploadRow) -> dict[int, str] | None:
        """The tags of the parts that are stored, by number; None once they have been put together.

        Raises UploadNotFoundError when the store has neither the parts nor the file.
        """
        tags: dict[int, str] | None = None
        with contextlib.suppress(ObjectMissingError):
            parts = await self._parts.list(raw_key(upload.id), upload.multipart_id)
            tags = {part.number: part.tag for part in parts if part.size_bytes == part_size(upload, part.number)}
        # The store removes the parts one by one while it puts them together.
        if (tags is None or len(tags) < part_count(upload)) and await self._objects.stat(
            raw_key(upload.id)
        ) is not None:
            return None
        if tags is None:
            raise not_open()
        return tags

    async def _put_together(self, upload: UploadRow, tags: Mapping[int, str]) -> None:
        if missing := [number for number in _numbers(upload) if number not in tags]:
            shown = ", ".join(map(str, missing[:20]))
            raise OffsetMismatchError(f"Parts are missing: {shown}.", hint="Send them, then complete again.")
        key = raw_key(upload.id)
        try:
            await self._parts.complete(key, upload.multipart_id, [tags[number] for number in _numbers(upload)])
        except ObjectMissingError:
            # Another request has completed or aborted it meanwhile.
            if await self._objects.stat(key) is None:
                raise not_open() from None

    async def forget(self, upload: UploadRow) -> None:
        """Remove whatever of an upload is in the store."""
        await self._parts.abort(raw_key(upload.id), upload.multipart_id)
        await self._objects.remove(raw_key(upload.id))

    @asynccontextmanager
    async def ending(self, upload: UploadRow, write: OpenSession) -> AsyncIterator[None]:
        """A block that completes an upload; an error that another try cannot fix ends the upload."""
        try:
            yield
        except HOPELESS:
            async with write() as session:
                # False when another request completed it meanwhile: then the file belongs to a dataset.
                is_over = await store.close_upload(session, upload.id, UploadStatus.ABORTED)
            if is_over:
                await self.forget(upload)
            raise


async def get_upload(
    session: AsyncSession, upload_id: UUID, *, owner: str, status: UploadStatus | None = None
) -> UploadRow:
    """An upload of this owner. Raises UploadNotFoundError, also when it is not in the wanted status."""
    upload = await store.find_upload(session, upload_id, owner=owner)
    if upload is None or (status is not None and upload.status != status):
        raise not_open()
    return upload


def not_open() -> UploadNotFoundError:
    """The error for an upload that does not exist, or has ended."""
    return UploadNotFoundError("There is no such open upload.", hint="Begin a new one.")


async def find_completed(session: AsyncSession, upload_id: UUID, *, owner: str) -> tuple[UploadRow, Dataset | None]:
    """An upload, and the dataset that it has become. Raises UploadNotFoundError when it ended without one."""
    upload = await get_upload(session, upload_id, owner=owner)
    made = await store.find_dataset(session, str(upload_id))
    if made is None and upload.status != UploadStatus.OPEN:
        raise not_open()
    return upload, Dataset.of(made) if made is not None else None


async def complete(session: AsyncSession, upload: UploadRow, uploaded: uploading.UploadedFile) -> Dataset:
    """Make the dataset of an upload that has been put together. Raises UploadNotFoundError, IdenticalContentError."""
    if await store.close_upload(session, upload.id, UploadStatus.COMPLETED):
        fields = UploadFields.model_validate(upload.fields)
        return Dataset.of(await uploading.add_dataset(session, upload.id, fields, uploaded, owner=upload.owner))
    # Another request has completed or aborted it meanwhile.
    if (made := await store.find_dataset(session, str(upload.id))) is None:
        raise not_open()
    return Dataset.of(made)


async def abort(session: AsyncSession, upload_id: UUID, *, owner: str) -> UploadRow:
    """Give up an open upload. Raises UploadNotFoundError."""
    upload = await get_upload(session, upload_id, owner=owner)
    if not await store.close_upload(session, upload_id, UploadStatus.ABORTED):
        raise not_open()
    return upload


def part_count(upload: UploadRow) -> int:
    """Into how many parts the file is cut."""
    return -(-upload.size_bytes // upload.part_bytes)


def _numbers(upload: UploadRow) -> range:
    return range(1, part_count(upload) + 1)


def part_size(upload: UploadRow, number: int) -> int:
    """The size of one part in bytes: all alike, only the last may be smaller."""
    return min(upload.part_bytes, upload.size_bytes - (number - 1) * upload.part_bytes)
