"""Reading rows of the canonical Parquet: previews and downloads."""

import csv
import json
import tempfile
from collections.abc import AsyncIterator, Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import polars as pl
from anyio import to_thread

from slm_shared.objects import ObjectStore

ROWS_PER_CHUNK = 2000
# A spreadsheet takes cells that begin with these for formulas (OWASP, CSV Injection).
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


async def read_page(objects: ObjectStore, key: str, *, offset: int, limit: int) -> list[dict[str, Any]]:
    """Some rows in order, as JSON values."""
    with tempfile.TemporaryDirectory(prefix="slm-preview-") as folder:
        path = Path(folder) / "canonical.parquet"
        await objects.download(key, path)
        return await to_thread.run_sync(_page, path, offset, limit)


def _page(path: Path, offset: int, limit: int) -> list[dict[str, Any]]:
    frame = pl.scan_parquet(path).slice(offset, limit).collect()
    rows: list[dict[str, Any]] = json.loads(json.dumps(frame.to_dicts(), default=str))
    return rows


async def stream_rows(objects: ObjectStore, key: str, *, file_format: str) -> AsyncIterator[bytes]:
    """Every row as JSON lines or CSV, a few thousand rows at a time."""
    with tempfile.TemporaryDirectory(prefix="slm-download-") as folder:
        path = Path(folder) / "canonical.parquet"
        await objects.download(key, path)
        chunks = _csv_chunks(path) if file_format == "csv" else _jsonl_chunks(path)
        while (chunk := await to_thread.run_sync(next, chunks, None)) is not None:
            yield chunk


def _frames(path: Path) -> Iterator[pl.DataFrame]:
    total = int(pl.scan_parquet(path).select(pl.len()).collect().item())
    for start in range(0, total, ROWS_PER_CHUNK):
        yield pl.scan_parquet(path).slice(start, ROWS_PER_CHUNK).collect()


def _jsonl_chunks(path: Path) -> Iterator[bytes]:
    for frame in _frames(path):
        lines = (json.dumps(row, ensure_ascii=False, default=str) + "\n" for row in frame.iter_rows(named=True))
        yield "".join(lines).encode()


def _csv_chunks(path: Path) -> Iterator[bytes]:
    for number, frame in enumerate(_frames(path)):
        text = StringIO()
        writer = csv.writer(text)
        if number == 0:
            writer.writerow(frame.columns)
        writer.writerows([_cell(value) for value in row] for row in frame.iter_rows())
        yield text.getvalue().encode()


def _cell(value: Any) -> Any:
    if isinstance(value, str):
        return f"'{value}" if value.startswith(FORMULA_STARTS) else value
    return json.dumps(value, ensure_ascii=False, default=str) if isinstance(value, list | dict) else value
