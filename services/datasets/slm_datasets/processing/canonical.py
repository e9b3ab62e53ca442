"""Writing the canonical Parquet and describing what is in it."""

import hashlib
import shutil
from codecs import BOM_UTF8
from pathlib import Path
from typing import Any

import polars as pl

from slm_datasets.domain import COLUMNS, UnknownColumnError, detect_row_format
from slm_datasets.processing.csv_rows import check_csv, typed
from slm_datasets.processing.json_rows import MAX_COLUMNS, check_lines, to_lines
from slm_datasets.processing.problems import FileProblemError

ROWS_PER_GROUP = 20_000
MESSAGE_FIELDS = {"role", "content"}


def make_canonical(
    source: Path, target: Path, *, file_format: str, prompt_column: str | None, completion_column: str | None
) -> dict[str, Any]:
    """Check `source`, write `target`, and say what it holds. Raises FileProblemError."""
    frame, rows = _checked(source, target, file_format)
    if rows == 0:
        raise FileProblemError("no_rows", "The file has no rows.", hint="Upload a file with at least one row.")
    try:
        frame.sink_parquet(target, compression="zstd", row_group_size=ROWS_PER_GROUP, mkdir=False)
        schema = pl.scan_parquet(target).collect_schema()
        written = int(pl.scan_parquet(target).select(pl.len()).collect().item())
    except pl.exceptions.PolarsError as error:
        raise _unreadable(file_format) from error
    if written != rows:
        message = f"{rows} rows were checked and {written} could be read."
        raise FileProblemError("rows_differ", message, hint="Check quotes and line ends.")
    return _description(target, schema, rows, prompt_column=prompt_column, completion_column=completion_column)


def _checked(source: Path, target: Path, file_format: str) -> tuple[pl.LazyFrame, int]:
    if file_format == "csv":
        shape = check_csv(source)
        if not shape.rows:
            return pl.LazyFrame(), 0
        frame = pl.scan_csv(source, separator=shape.delimiter, infer_schema=False, encoding="utf8")
        return typed(frame, shape.columns), shape.rows
    if file_format == "parquet":
        return _checked_parquet(source)
    lines = source
    if file_format == "json":
        lines = target.with_suffix(".jsonl")
        rows = to_lines(source, lines)
    else:
        rows = check_lines(source)
        lines = _without_mark(source, target.with_suffix(".jsonl"))
    frame = pl.scan_ndjson(lines, infer_schema_length=None) if rows else pl.LazyFrame()
    return frame, rows


def _without_mark(source: Path, target: Path) -> Path:
    """The file itself, or a copy without its byte order mark, which Polars does not take for white space."""
    with source.open("rb") as stream:
        if stream.read(len(BOM_UTF8)) != BOM_UTF8:
            return source
        with target.open("wb") as out:
            shutil.copyfileobj(stream, out)
    return target


def _checked_parquet(source: Path) -> tuple[pl.LazyFrame, int]:
    try:
        frame = pl.scan_parquet(source)
        width = len(frame.collect_schema())
        rows = int(frame.select(pl.len()).collect().item())
    except pl.exceptions.PolarsError as error:
        raise _unreadable("parquet") from error
    if width > MAX_COLUMNS:
        raise FileProblemError("too_many_columns", f"There are more than {MAX_COLUMNS} columns.")
    return frame, rows


def _unreadable(file_format: str) -> FileProblemError:
    if file_format == "parquet":
        return FileProblemError("parquet_invalid", "The file is not a Parquet file that can be read to its end.")
    return FileProblemError(
        "type_conflict",
        "The rows do not share one structure: nested values of the same name have different types.",
        hint="Give every row the same fields with the same types.",
    )


def _description(
    target: Path, schema: pl.Schema, rows: int, *, prompt_column: str | None, completion_column: str | None
) -> dict[str, Any]:
    try:
        found = detect_row_format(
            schema.names(),
            message_columns=[name for name, kind in schema.items() if _holds_messages(kind)],
            prompt_column=prompt_column,
            completion_column=completion_column,
        )
    except UnknownColumnError as error:
        name = str(error)
        known = ", ".join(schema.names()[:20])
        raise FileProblemError(
            "unknown_column", f"The file has no column {name!r}.", column=name, hint=f"It has: {known}."
        ) from None
    with target.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    return {
        "rows": rows,
        "columns": [{"name": name, "type": str(kind)} for name, kind in schema.items()],
        "row_format": found.name,
        "mapping": dict(found.mapping),
        "data_type": "tabular" if found.name == COLUMNS else "text",
        "sha256": sha256,
        "size_bytes": target.stat().st_size,
    }


def _holds_messages(kind: pl.DataType) -> bool:
    inner = kind.inner if isinstance(kind, pl.List) else None
    return isinstance(inner, pl.Struct) and {field.name for field in inner.fields} >= MESSAGE_FIELDS
