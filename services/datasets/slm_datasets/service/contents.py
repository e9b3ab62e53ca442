"""Reading rows of the canonical Parquet: previews, thumbnails and downloads. Only the row groups needed are fetched."""

import csv
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from io import StringIO
from typing import Any, Literal

import orjson
import pyarrow.parquet as pq
from anyio import to_thread
from sqlalchemy.ext.asyncio import AsyncSession

from slm_datasets.domain.keys import raw_key, thumbnails_key
from slm_datasets.domain.rows import IMAGES
from slm_datasets.errors import ImageNotFoundError
from slm_datasets.schemas import Preview
from slm_datasets.service import reading
from slm_datasets.tables import DatasetRow
from slm_shared.storage.multipart import open_object
from slm_shared.storage.objects import ObjectMissingError, ObjectStore

FileFormat = Literal["raw", "parquet", "jsonl", "csv"]
BINARY = "application/octet-stream"
MEDIA_TYPES = {"csv": "text/csv; charset=utf-8", "jsonl": "application/x-ndjson"}
SUFFIX_OF_FORMAT = {"text": "txt", "imagefolder": "zip"}
SUFFIX_OF_COMPRESSION = {"gzip": ".gz", "zstd": ".zst"}
ROWS_PER_CHUNK = 2000
# Times go through `_plain`, like everything else that JSON has no type for.
JSON_OPTIONS = orjson.OPT_NON_STR_KEYS | orjson.OPT_PASSTHROUGH_DATETIME
# A spreadsheet takes cells that begin with these for formulas (OWASP, CSV Injection).
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


async def read_page(objects: ObjectStore, dataset: DatasetRow, *, offset: int, limit: int) -> Preview:
    """Some rows in order, as JSON values; an image is shown as where its thumbnail is."""
    file = await _opened(objects, dataset.object_key or "", dataset.canonical_size_bytes)
    found = await to_thread.run_sync(_rows_between, file, offset, limit)
    if dataset.row_format == IMAGES:
        for number, row in enumerate(found, start=offset):
            thumbnail = f"/api/datasets/{dataset.id}/thumbnails/{number}"
            row["image"] = {"path": (row["image"] or {}).get("path"), "thumbnail": thumbnail}
    return Preview(items=orjson.loads(_as_json(found)), offset=offset, total=dataset.rows or 0)


async def read_thumbnail(objects: ObjectStore, dataset: DatasetRow, row: int) -> bytes:
    """The thumbnail of one row (from 0), as PNG. Raises ImageNotFoundError."""
    if dataset.row_format != IMAGES or not 0 <= row < (dataset.rows or 0):
        raise ImageNotFoundError("The row has no image.")
    file = await _opened(objects, thumbnails_key(dataset.object_key or ""), None)
    found = await to_thread.run_sync(_rows_between, file, row, 1)
    png: bytes = found[0]["png"]
    return png


async def _opened(objects: ObjectStore, key: str, size_bytes: int | None) -> pq.ParquetFile:
    if size_bytes is None:
        stat = await objects.stat(key)
        if stat is None:
            raise ObjectMissingError("The rows are not in the store.")
        size_bytes = stat.size_bytes
    stream = open_object(objects, key, size_bytes=size_bytes)
    return await to_thread.run_sync(pq.ParquetFile, stream)


def _rows_between(file: pq.ParquetFile, offset: int, limit: int) -> list[dict[str, Any]]:
    """Rows of the row groups that overlap the wanted ones."""
    rows: list[dict[str, Any]] = []
    start = 0
    for group in range(file.num_row_groups):
        size = file.metadata.row_group(group).num_rows
        first, last = max(offset, start), min(offset + limit, start + size)
        if first < last:
            rows += file.read_row_group(group).slice(first - start, last - first).to_pylist()
        start += size
    return rows


@dataclass(frozen=True)
class Download:
    """A file to be sent; `size_bytes` is None where it is made on the way."""

    name: str
    media_type: str
    size_bytes: int | None
    chunks: AsyncIterator[bytes]


async def find_downloadable(session: AsyncSession, reference: str, file_format: FileFormat) -> DatasetRow:
    """A dataset that has a file of this format. Raises DatasetNotFoundError and DatasetNotReadyError."""
    dataset = await reading.get_dataset(session, reference)
    needs_rows = file_format != "raw" or dataset.derived is not None
    return await reading.get_processed(session, reference) if needs_rows else dataset


async def open_download(objects: ObjectStore, dataset: DatasetRow, file_format: FileFormat) -> Download:
    """The file as it was uploaded (`raw`), or its rows as Parquet, JSON lines or CSV. Raises UnavailableError."""
    if file_format in MEDIA_TYPES:
        chunks = await _begun(_stream_rows(objects, dataset, file_format=file_format))
        return Download(f"{dataset.name}.{file_format}", MEDIA_TYPES[file_format], None, chunks)
    suffix: str = file_format
    key, size_bytes = dataset.object_key or "", dataset.canonical_size_bytes
    if file_format == "raw":
        suffix = SUFFIX_OF_FORMAT.get(dataset.format, dataset.format)
        suffix += SUFFIX_OF_COMPRESSION.get(dataset.compression or "", "")
        size_bytes = dataset.size_bytes
        # A split was never uploaded: its Parquet is all there is.
        key = raw_key(dataset.id) if dataset.derived is None else key
    return Download(f"{dataset.name}.{suffix}", BINARY, size_bytes, await _begun(objects.stream(key)))


async def _begun(stream: AsyncGenerator[bytes, None]) -> AsyncIterator[bytes]:
    """The stream, after its first chunk was fetched: an error of the store comes before the status line."""
    first = await anext(stream, b"")

    async def whole() -> AsyncIterator[bytes]:
        async with aclosing(stream):
            yield first
            async for chunk in stream:
                yield chunk

    return whole()


async def _stream_rows(objects: ObjectStore, dataset: DatasetRow, *, file_format: str) -> AsyncGenerator[bytes, None]:
    """Every row as JSON lines or CSV, a few thousand rows at a time."""
    file = await _opened(objects, dataset.object_key or "", dataset.canonical_size_bytes)
    chunks = _csv_chunks(file) if file_format == "csv" else _jsonl_chunks(file)
    while (chunk := await to_thread.run_sync(next, chunks, None)) is not None:
        yield chunk


def _jsonl_chunks(file: pq.ParquetFile) -> Iterator[bytes]:
    for batch in file.iter_batches(batch_size=ROWS_PER_CHUNK):
        yield b"".join(_as_json(row) + b"\n" for row in batch.to_pylist())


def _csv_chunks(file: pq.ParquetFile) -> Iterator[bytes]:
    names = file.schema_arrow.names
    for number, batch in enumerate(file.iter_batches(batch_size=ROWS_PER_CHUNK)):
        text = StringIO()
        writer = csv.writer(text)
        if number == 0:
            writer.writerow(_cell(name) for name in names)
        writer.writerows([_cell(row[name]) for name in names] for row in batch.to_pylist())
        yield text.getvalue().encode()


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return f"'{value}" if value.startswith(FORMULA_STARTS) else value
    return _as_json(value).decode() if isinstance(value, list | dict) else value


def _as_json(value: Any) -> bytes:
    """Strict JSON: NaN and infinities, which Parquet may hold, become null."""
    return orjson.dumps(value, default=_plain, option=JSON_OPTIONS)


def _plain(value: Any) -> str:
    return f"{len(value)} bytes" if isinstance(value, bytes) else str(value)
