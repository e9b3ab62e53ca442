"""Reading rows of the canonical Parquet: previews, thumbnails and downloads. Only the row groups needed are fetched."""

import csv
from collections.abc import AsyncGenerator, Iterator
from io import StringIO
from typing import Any

import orjson
import pyarrow.parquet as pq
from anyio import to_thread

from slm_datasets.domain.keys import thumbnails_key
from slm_datasets.domain.rows import IMAGES
from slm_datasets.tables import DatasetRow
from slm_shared.storage.multipart import open_object
from slm_shared.storage.objects import ObjectMissingError, ObjectStore

ROWS_PER_CHUNK = 2000
JSON_OPTIONS = orjson.OPT_NON_STR_KEYS | orjson.OPT_PASSTHROUGH_DATETIME
# A spreadsheet takes cells that begin with these for formulas (OWASP, CSV Injection).
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


async def read_page(objects: ObjectStore, dataset: DatasetRow, *, offset: int, limit: int) -> list[dict[str, Any]]:
    """Some rows in order, as JSON values; an image is where its thumbnail is."""
    file = await _opened(objects, dataset.object_key or "", dataset.canonical_size_bytes)
    found = await to_thread.run_sync(_rows_between, file, offset, limit)
    if dataset.row_format == IMAGES:
        for number, row in enumerate(found, start=offset):
            thumbnail = f"/api/datasets/{dataset.id}/thumbnails/{number}"
            row["image"] = {"path": (row["image"] or {}).get("path"), "thumbnail": thumbnail}
    rows: list[dict[str, Any]] = orjson.loads(_as_json(found))
    return rows


async def read_thumbnail(objects: ObjectStore, dataset: DatasetRow, row: int) -> bytes:
    """The thumbnail of one row, as PNG."""
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


async def stream_rows(objects: ObjectStore, dataset: DatasetRow, *, file_format: str) -> AsyncGenerator[bytes, None]:
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
    """JSON as its standard has it: a number that is none, as Parquet may hold, is null."""
    return orjson.dumps(value, default=_plain, option=JSON_OPTIONS)


def _plain(value: Any) -> str:
    return f"{len(value)} bytes" if isinstance(value, bytes) else str(value)
