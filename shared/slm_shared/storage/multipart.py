"""Objects that arrive in parts and are read in pieces (S3 multipart uploads and ranged reads).

Nothing shows under a key until all its parts are put together. The client's own methods for single parts are private;
the client is pinned.
"""

import asyncio
import contextlib
import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit

from minio import Minio
from minio.datatypes import Part

from slm_shared.settings import PlatformSettings
from slm_shared.storage.objects import PART_BYTES, ObjectMissingError, ObjectStore

# Each is held in memory until it is stored.
PARTS_AT_ONCE = 3
READ_AHEAD_BYTES = 1024 * 1024


@dataclass(frozen=True)
class ObjectPart:
    """One part that the store has; `number` counts from 1."""

    number: int
    size_bytes: int
    tag: str


class ObjectParts:
    """Parts of objects in the platform's bucket. Raises UnavailableError as the store itself does."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store

    async def begin(self, key: str) -> str:
        """Begin an object; the id of its upload."""
        client, bucket = self._store._client, self._store.bucket
        return await self._store._call(lambda: str(client._create_multipart_upload(bucket, key, {})))

    async def put(self, key: str, upload_id: str, number: int, data: bytes) -> str:
        """Store one part; its tag. Storing a part again replaces it. Raises ObjectMissingError for no such upload."""
        client, bucket = self._store._client, self._store.bucket
        tag = await self._store._call(lambda: str(client._upload_part(bucket, key, data, None, upload_id, number)))
        return tag.strip('"')

    async def list(self, key: str, upload_id: str) -> list[ObjectPart]:
        """The parts that are there, in order. Raises ObjectMissingError for an upload that is not."""
        client, bucket = self._store._client, self._store.bucket

        def work() -> list[ObjectPart]:
            found: list[ObjectPart] = []
            while True:
                marker = str(found[-1].number) if found else None
                page = client._list_parts(bucket, key, upload_id, part_number_marker=marker)
                found += [ObjectPart(int(p.part_number), int(p.size or 0), str(p.etag).strip('"')) for p in page.parts]
                if not page.is_truncated or not page.parts:
                    return found

        return await self._store._call(work)

    async def complete(self, key: str, upload_id: str, tags: Sequence[str]) -> None:
        """Make the object of its parts, given by their tags in order."""
        client, bucket = self._store._client, self._store.bucket
        parts = [Part(number, tag) for number, tag in enumerate(tags, start=1)]
        await self._store._call(lambda: client._complete_multipart_upload(bucket, key, upload_id, parts))

    async def abort(self, key: str, upload_id: str) -> None:
        """Forget an upload and its parts; one that is not there is fine."""
        client, bucket = self._store._client, self._store.bucket
        with contextlib.suppress(ObjectMissingError):
            await self._store._call(lambda: client._abort_multipart_upload(bucket, key, upload_id))


class PartSigner:
    """Signs addresses where one part may be put without credentials, at an endpoint that clients can reach."""

    def __init__(self, settings: PlatformSettings, *, endpoint: str) -> None:
        public = urlsplit(endpoint)
        self._bucket = settings.s3_bucket
        self._client = Minio(
            public.netloc,
            access_key=settings.s3_access_key.get_secret_value(),
            secret_key=settings.s3_secret_key.get_secret_value(),
            secure=public.scheme == "https",
            region="us-east-1",
        )

    def sign(self, key: str, upload_id: str, number: int, *, expires_s: float) -> str:
        """An address for one part of one upload. Computed here, the store is not asked."""
        query: dict[str, str | list[str] | tuple[str]] = {"partNumber": str(number), "uploadId": upload_id}
        lifetime = timedelta(seconds=expires_s)
        return str(self._client.get_presigned_url("PUT", self._bucket, key, lifetime, extra_query_params=query))


class ObjectWriter:
    """Writes an object of unknown size as it arrives, hashing it on the way; a few parts are under way at a time.

    Small objects are put at once. Use it as a context manager: an upload that was not closed is aborted.
    """

    def __init__(self, store: ObjectStore, key: str, *, part_bytes: int = PART_BYTES) -> None:
        self._store, self._parts, self._key, self._part_bytes = store, ObjectParts(store), key, part_bytes
        self._buffer = bytearray()
        self._upload_id: str | None = None
        self._tasks: list[asyncio.Task[str]] = []
        self._free = asyncio.Semaphore(PARTS_AT_ONCE)
        self._digest = hashlib.sha256()
        self.size_bytes = 0

    async def __aenter__(self) -> "ObjectWriter":
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._upload_id is not None:
            await self._parts.abort(self._key, self._upload_id)

    @property
    def sha256(self) -> str:
        """SHA-256 (hex) of what was written so far."""
        return self._digest.hexdigest()

    async def write(self, chunk: bytes) -> None:
        """Append bytes. Raises UnavailableError when a part cannot be stored."""
        self._digest.update(chunk)
        self.size_bytes += len(chunk)
        self._buffer += chunk
        while len(self._buffer) >= self._part_bytes:
            part = bytes(memoryview(self._buffer)[: self._part_bytes])
            del self._buffer[: self._part_bytes]
            await self._send(part)

    async def close(self) -> None:
        """Store what is left and make the object of its parts."""
        if self._upload_id is None:
            await self._store.put_stream(self._key, io.BytesIO(bytes(self._buffer)), len(self._buffer))
            return
        if self._buffer:
            await self._send(bytes(self._buffer))
        tags = await asyncio.gather(*self._tasks)
        await self._parts.complete(self._key, self._upload_id, tags)
        self._upload_id = None

    async def _send(self, part: bytes) -> None:
        self._upload_id = self._upload_id or await self._parts.begin(self._key)
        await self._free.acquire()
        # A part that failed ends the upload now, and not after everything else was sent.
        for task in self._tasks:
            if task.done():
                task.result()
        number, upload_id = len(self._tasks) + 1, self._upload_id

        async def put() -> str:
            try:
                return await self._parts.put(self._key, upload_id, number, part)
            finally:
                self._free.release()

        self._tasks.append(asyncio.create_task(put()))


class ObjectReader(io.RawIOBase):
    """An object as a seekable file that fetches only what is read; for worker threads of a running event loop.

    Wrap it into `io.BufferedReader` for a look-ahead of a sensible size.
    """

    def __init__(self, store: ObjectStore, key: str, *, size_bytes: int, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._store, self._key, self._size, self._loop = store, key, size_bytes, loop
        self._place = 0

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a place; nothing is fetched."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        self._place = max(0, start + offset)
        return self._place

    def tell(self) -> int:
        """The place."""
        return self._place

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Fetch at most as many bytes as fit."""
        length = min(len(buffer), self._size - self._place)
        if length <= 0:
            return 0
        wanted = self._store.get_range(self._key, offset=self._place, length=length)
        data = asyncio.run_coroutine_threadsafe(wanted, self._loop).result()
        buffer[: len(data)] = data
        self._place += len(data)
        return len(data)


def open_object(store: ObjectStore, key: str, *, size_bytes: int) -> io.BufferedReader:
    """An object as a buffered file, to be read on a worker thread. Call it on the event loop."""
    reader = ObjectReader(store, key, size_bytes=size_bytes, loop=asyncio.get_running_loop())
    return io.BufferedReader(reader, READ_AHEAD_BYTES)
