"""Writing the canonical Parquet and describing what is in it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from slm_datasets.analysis.profiling import profile
from slm_datasets.domain.rows import (
    COLUMNS,
    IMAGES,
    MappingError,
    RowFormat,
    UnknownColumnError,
    detect_row_format,
    suggest_mapping,
    why_untrainable,
)
from slm_datasets.formats import images
from slm_datasets.formats.layouts import bring_to_trl, holds_messages
from slm_datasets.formats.parquet_rows import DAMAGED, unreadable
from slm_datasets.formats.problems import FileProblemError, ProblemLog
from slm_datasets.formats.reading import BadRowsError, OnProgress, Reading, no_rows, outcome
from slm_datasets.formats.sources import Source, read_source

ROWS_PER_GROUP = 20_000


def make_canonical(
    source: Path, target: Path, reading: Reading, *, on_progress: OnProgress | None = None
) -> dict[str, Any]:
    """Check `source`, write `target`, and say what it holds.

    Raises FileProblemError for what is wrong with the whole file and BadRowsError for what is wrong with its rows.
    """
    log = ProblemLog()
    tell = on_progress or (lambda _stage, _done, _total: None)
    if reading.format == "imagefolder":
        return images.make_canonical(source, target, reading, log, tell)
    found = read_source(source, target.parent, reading, log, tell)
    if log.total and reading.on_bad_rows == "fail":
        raise BadRowsError(log)
    if found.rows == 0:
        raise no_rows(log)
    tell("writing", 0, found.rows)
    frame, layout = _written(found, target, reading.format)
    tell("profiling", 0, found.rows)
    return {**describe(frame, target, found, reading, layout), **outcome(target, found.rows, log, profile(target))}


def _written(found: Source, target: Path, file_format: str) -> tuple[pl.Schema, str | None]:
    try:
        frame, layout = bring_to_trl(found.frame, found.frame.collect_schema())
        frame.sink_parquet(target, compression="zstd", row_group_size=ROWS_PER_GROUP, mkdir=False)
        schema = pl.scan_parquet(target).collect_schema()
        written = int(pl.scan_parquet(target).select(pl.len()).collect().item())
    except DAMAGED as error:
        raise _unreadable(file_format) from error
    if written != found.rows and file_format == "parquet":
        raise unreadable()
    if written != found.rows:
        message = f"{found.rows} rows were checked and {written} could be read."
        raise FileProblemError("rows_differ", message, hint="Check quotes and line ends.")
    return schema, layout


def _unreadable(file_format: str) -> FileProblemError:
    if file_format == "parquet":
        return unreadable()
    return FileProblemError(
        "type_conflict",
        "The rows do not share one structure: nested values of the same name have different types.",
        hint="Give every row the same fields with the same types.",
    )


def describe(schema: pl.Schema, target: Path, found: Source, reading: Reading, layout: str | None) -> dict[str, Any]:
    """What kind of rows these are."""
    row_format = _row_format(schema, reading.mapping)
    suggestion: Mapping[str, str] = {}
    if row_format.name == COLUMNS:
        texts = [name for name, kind in schema.items() if kind == pl.String]
        suggestion = suggest_mapping(texts, _mean_lengths(target, texts))
    return {
        "columns": [{"name": name, "type": str(kind)} for name, kind in schema.items()],
        "row_format": row_format.name,
        "source_format": layout,
        "mapping": dict(row_format.mapping),
        "suggested_mapping": dict(suggestion),
        "untrainable_because": why_untrainable(row_format.name, rows=found.rows, suggestion=suggestion),
        "data_type": {COLUMNS: "tabular", IMAGES: "images"}.get(row_format.name, "text"),
        "dialect": found.dialect,
    }


def _mean_lengths(target: Path, columns: list[str]) -> dict[str, float]:
    head = pl.scan_parquet(target).select(columns).head(1000).select(pl.all().str.len_chars().mean()).collect()
    return {name: float(value or 0.0) for name, value in (head.row(0, named=True).items() if columns else ())}


def _row_format(schema: pl.Schema, given: Mapping[str, str]) -> RowFormat:
    talks = [name for name, kind in schema.items() if holds_messages(kind)]
    try:
        return detect_row_format(schema.names(), message_columns=talks, given=given)
    except UnknownColumnError as error:
        name = str(error)
        known = ", ".join(schema.names()[:20])
        raise FileProblemError(
            "unknown_column", f"The file has no column {name!r}.", column=name, hint=f"It has: {known}."
        ) from None
    except MappingError as error:
        raise FileProblemError("mapping_invalid", f"The fields {error} make no row format.") from None
