"""Describing a canonical Parquet: what kind of rows it has, how many, and a profile of its columns."""

import hashlib
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
from slm_datasets.formats.layouts import holds_messages
from slm_datasets.formats.problems import FileProblemError, ProblemLog

IMAGEFOLDER = "imagefolder"


def describe(
    path: Path, *, rows: int, mapping: Mapping[str, str], log: ProblemLog, layout: str | None
) -> dict[str, Any]:
    """Row format, columns, counts, checksum and profile, as the service's `Canonical` has them.

    `mapping` is what the user gave, `layout` names the layout that the rows came in if it was another one. Raises
    FileProblemError for a mapping that does not fit.
    """
    schema = pl.scan_parquet(path).collect_schema()
    row_format = RowFormat(IMAGES) if layout == IMAGEFOLDER else _row_format(schema, mapping)
    suggestion: Mapping[str, str] = {}
    if row_format.name == COLUMNS:
        texts = [name for name, kind in schema.items() if kind == pl.String]
        suggestion = suggest_mapping(texts, _mean_lengths(path, texts))
    with path.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    return {
        "rows": rows,
        "skipped_rows": log.total,
        "problems": log.as_dict() if log.total else None,
        "profile": profile(path),
        "columns": [{"name": name, "type": str(kind)} for name, kind in schema.items()],
        "row_format": row_format.name,
        "source_format": layout,
        "mapping": dict(row_format.mapping),
        "suggested_mapping": dict(suggestion),
        "untrainable_because": why_untrainable(row_format.name, rows=rows, suggestion=suggestion),
        "data_type": {COLUMNS: "tabular", IMAGES: "images"}.get(row_format.name, "text"),
        "dialect": None,
        "sha256": sha256,
        "size_bytes": path.stat().st_size,
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
