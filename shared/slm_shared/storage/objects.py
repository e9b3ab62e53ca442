"""The object store (S3): uploads, artifacts and predictions, in one bucket under keys the platform makes.

The minio client is synchronous; every call runs on a worker thread and is bounded in time.
"""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO, TypeVar
from urllib.parse import urlsplit

import urllib3
from anyio import CapacityLimiter, to_thread
from minio import Minio
from minio.error import MinioException, S3Error

from slm_shared.errors import NotFoundError, UnavailableError, is_disk_full
from slm_shared.settings import PlatformSettings

CONNECT_TIMEOUT_S = 2.0
READ_TIMEOUT_S = 60.0
# Of a question that is answered in a millisecond, asked to know whether the store is there.
PING_TIMEOUT_S = 1.5
PING_EVERY_S = 5.0
# While it is away, so that it is known at once when it is back.
PING_AGAIN_S = 1.0
CHUNK_BYTES = 256 * 1024
PART_BYTES = 16 * 1024 * 1024
THREADS = 16
MISSING = ("NoSuchKey", "NoSuchBucket", "NoSuchObject", "NoSuchUpload", "NotFound")

T = TypeVar("T")


class ObjectMissingError(NotFoundError):
    """There is no object under that key."""

    code = "object_missing"


@dataclass(frozen=True)
class ObjectStat:
    """What the store knows of one object."""

    key: str
    size_bytes: int


def _client(settings: PlatformSettings, http: urllib3.PoolManager) -> Minio:
    endpoint = urlsplit(settings.s3_endpoint)
    return Minio(
        endpoint.netloc,
        access_key=settings.s3_access_key.get_secret_value(),
        secret_key=settings.s3_secret_key.get_secret_value(),
        secure=endpoint.scheme == "https",
        http_client=http,
        # Any will do; without one the client would ask the server before its first request.
        region="us-east-1",
    )


class ObjectStore:
    """The platform's bucket. Every method raises UnavailableError when the store does not answer.

    As a part of a service it tells whether the store is there.
    """

    name = "s3"

    def __init__(self, settings: PlatformSettings) -> None:
        self.bucket = settings.s3_bucket
        self._limiter: CapacityLimiter | None = None
        self._problem: str | None = None
        self._http = urllib3.PoolManager(
            maxsize=THREADS,
            timeout=urllib3.Timeout(connect=CONNECT_TIMEOUT_S, read=READ_TIMEOUT_S),
            retries=urllib3.Retry(total=1, backoff_factor=0.1, status_forcelist=[500, 502, 503, 504]),
        )
        self._client = _client(settings, self._http)
        quick = urllib3.PoolManager(maxsize=THREADS, timeout=urllib3.Timeout(PING_TIMEOUT_S), retries=urllib3.Retry(0))
        self._prober = _client(settings, quick)

    def problem(self) -> str | None:
        """None while the store answers."""
        return self._problem

    async def run(self) -> None:
        """Ask the store every five seconds whether it is there, every second while it is not, until cancelled."""
        while True:
            try:
                await self.ping()
                self._problem = None
            except UnavailableError:
                self._problem = "does not answer"
            await asyncio.sleep(PING_EVERY_S if self._problem is None else PING_AGAIN_S)

    async def _call(self, work: Callable[[], T]) -> T:
        # Made here and not before: a limiter belongs to the event loop that runs while it is made.
        self._limiter = self._limiter or CapacityLimiter(THREADS)
        return await self._on_thread(work, self._limiter)

    async def _on_thread(self, work: Callable[[], T], limiter: CapacityLimiter | None) -> T:
        try:
            return await to_thread.run_sync(work, limiter=limiter)
        except S3Error as error:
            if error.code in MISSING:
                raise ObjectMissingError("The object is not in the store.") from error
            raise UnavailableError("The object store refused the request.") from error
        except (MinioException, urllib3.exceptions.HTTPError, OSError) as error:
            if is_disk_full(error):
                # Ours, not the store's.
                raise
            raise UnavailableError("The object store does not answer.") from error

    async def ensure_bucket(self) -> None:
        """Make the bucket unless it is there."""

        def work() -> None:
            if not self._client.bucket_exists(self.bucket):
                self._client.make_bucket(self.bucket)

        await self._call(work)

    async def ping(self) -> None:
        """Raise UnavailableError unless the store answers at once and has the bucket.

        Whoever is about to answer a request asks this first: a store that hangs would hold up the request for long.
        """
        # Not among the threads that wait for transfers.
        if not await self._on_thread(lambda: self._prober.bucket_exists(self.bucket), None):
            raise UnavailableError("The object store has no bucket yet.")

    async def put_file(self, key: str, path: Path, *, content_type: str = "application/octet-stream") -> None:
        """Store a local file."""
        await self._call(
            lambda: self._client.fput_object(self.bucket, key, str(path), content_type, part_size=PART_BYTES)
        )

    async def put_bytes(self, key: str, data: bytes, *, content_type: str = "application/octet-stream") -> None:
        """Store a small object from memory."""
        await self._call(lambda: self._client.put_object(self.bucket, key, BytesIO(data), len(data), content_type))

    async def put_stream(self, key: str, stream: BinaryIO, size_bytes: int) -> None:
        """Store an open file from where it stands."""
        await self._call(lambda: self._client.put_object(self.bucket, key, stream, size_bytes, part_size=PART_BYTES))

    async def get_bytes(self, key: str) -> bytes:
        """A small object as a whole. Raises ObjectMissingError."""
        return await self.get_range(key, offset=0, length=0)

    async def get_range(self, key: str, *, offset: int, length: int) -> bytes:
        """`length` bytes of an object from `offset` on, all of them if `length` is 0. Raises ObjectMissingError."""

        def work() -> bytes:
            response = self._client.get_object(self.bucket, key, offset=offset, length=length)
            try:
                return bytes(response.read())
            finally:
                response.close()
                response.release_conn()

        return await self._call(work)

    async def download(self, key: str, path: Path) -> None:
        """Write an object to a local file, which appears only when it is complete. Raises ObjectMissingError."""
        await self._call(lambda: self._client.fget_object(self.bucket, key, str(path)))

    async def stream(self, key: str) -> AsyncGenerator[bytes, None]:
        """The bytes of an object in chunks of at most 256 KiB. Raises ObjectMissingError before the first."""
        response: Any = await self._call(lambda: self._client.get_object(self.bucket, key))
        try:
            while chunk := await self._call(lambda: response.read(CHUNK_BYTES)):
                yield chunk
        finally:
            response.close()
            response.release_conn()

    async def stat(self, key: str) -> ObjectStat | None:
        """Size of an object, or None when there is none."""
        try:
            found = await self._call(lambda: self._client.stat_object(self.bucket, key))
        except ObjectMissingError:
            return None
        return ObjectStat(key, int(found.size or 0))

    async def sha256(self, key: str) -> tuple[str, int]:
        """SHA-256 (hex) and size of an object, by reading all of it. Raises ObjectMissingError."""
        digest, size = hashlib.sha256(), 0
        async for chunk in self.stream(key):
            digest.update(chunk)
            size += len(chunk)
        return digest.hexdigest(), size

    async def list(self, prefix: str) -> list[ObjectStat]:
        """Every object under a prefix."""

        def work() -> list[ObjectStat]:
            found = self._client.list_objects(self.bucket, prefix, recursive=True)
            return [ObjectStat(str(item.object_name), int(item.size or 0)) for item in found]

        return await self._call(work)

    async def remove(self, key: str) -> None:
        """Remove an object; one that is not there is fine."""
        await self._call(lambda: self._client.remove_object(self.bucket, key))

    async def remove_prefix(self, prefix: str) -> None:
        """Remove every object under a prefix."""
        for item in await self.list(prefix):
            await self.remove(item.key)
