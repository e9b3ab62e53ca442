"""From an uploaded file of rows to a frame that can be read without surprises."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from slm_datasets.domain.files import text_format
from slm_datasets.formats import csv_rows, json_document, json_rows, plain_text
from slm_datasets.formats.parquet_rows import check_parquet
from slm_datasets.formats.problems import ProblemLog
from slm_datasets.formats.reading import OnProgress, Reading
from slm_datasets.formats.unpacking import unpack

HEAD_BYTES = 4096


@dataclass(frozen=True)
class Source:
    """Checked rows; `dialect` is what was detected of a CSV file."""

    frame: pl.LazyFrame
    rows: int
    dialect: dict[str, Any] | None = None


def read_source(path: Path, folder: Path, reading: Reading, log: ProblemLog, tell: OnProgress) -> Source:
    """Unpack and check a file; what is wrong with its rows goes to `log`, and they are left out.

    `folder` is for what has to be written on the way. Raises FileProblemError.
    """
    file_format = reading.format
    if reading.compression is not None:
        tell("unpacking", 0, None)
        path = unpack(path, folder / "unpacked", reading.compression, max_bytes=reading.max_expanded_bytes)
        with path.open("rb") as stream:
            file_format = text_format(file_format, stream.read(HEAD_BYTES))
    total = path.stat().st_size

    def advance(done: int) -> None:
        tell("checking", done, total)

    match file_format:
        case "csv":
            return _read_csv(path, folder, reading, log, advance)
        case "parquet":
            frame, rows = check_parquet(path, max_expanded_bytes=reading.max_expanded_bytes)
            return Source(frame, rows)
        case "json":
            lines = folder / "document.jsonl"
            tables = json_document.to_lines(path, lines)
            return _read_lines(lines, folder, reading, log, json_rows.Places("Row", tables.lines), advance)
        case "text":
            lines = folder / "text.jsonl"
            rows = plain_text.to_lines(path, lines, sample_by=reading.sample_by, advance=advance)
            return Source(pl.scan_ndjson(lines, schema={"text": pl.String()}) if rows else pl.LazyFrame(), rows)
        case _:
            return _read_lines(path, folder, reading, log, json_rows.Places(), advance)


def _read_csv(path: Path, folder: Path, reading: Reading, log: ProblemLog, advance: Callable[[int], None]) -> Source:
    shape = csv_rows.check_csv(path, log, delimiter=reading.delimiter, has_header=reading.has_header, advance=advance)
    if not shape.rows or (shape.bad_rows and reading.on_bad_rows == "fail"):
        return Source(pl.LazyFrame(), shape.rows, shape.dialect())
    if shape.bad_rows:
        path = csv_rows.keep_good_rows(path, folder / "good.csv", shape)
    return Source(csv_rows.scan(path, shape), shape.rows, shape.dialect())


def _read_lines(
    path: Path,
    folder: Path,
    reading: Reading,
    log: ProblemLog,
    places: json_rows.Places,
    advance: Callable[[int], None],
) -> Source:
    found = json_rows.check_lines(path, log, places=places, advance=advance)
    if not found.rows or (found.bad_lines and reading.on_bad_rows == "fail"):
        return Source(pl.LazyFrame(), found.rows)
    if found.bad_lines or found.has_mark or found.has_odd_blanks:
        path = json_rows.keep_good_lines(path, folder / "good.jsonl", found.bad_lines)
    return Source(pl.scan_ndjson(path, schema=found.schema()), found.rows)
