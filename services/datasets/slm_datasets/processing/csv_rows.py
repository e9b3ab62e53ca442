"""Checking CSV files: dialect, header, and that every row has as many fields as the header."""

import csv
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from slm_datasets.processing.problems import FileProblemError
from slm_datasets.processing.text import lines_of

DELIMITERS = ",;\t|"
MAX_COLUMNS = 4096
MAX_CELL_BYTES = 1024 * 1024
# Numbers that read back as the very text they were: no leading zeros, plus signs or blanks are lost.
INTEGER = r"^(0|-?[1-9][0-9]{0,17})$"
FLOAT = r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?$"


@dataclass(frozen=True)
class CsvShape:
    """The delimiter, the header and the number of rows below it."""

    delimiter: str
    columns: list[str]
    rows: int


def check_csv(path: Path) -> CsvShape:
    """Read a CSV file from end to end. Raises FileProblemError naming the line."""
    csv.field_size_limit(MAX_CELL_BYTES)
    first = next((line for _, line in lines_of(path)), "")
    delimiter = max(DELIMITERS, key=first.count) if any(map(first.count, DELIMITERS)) else ","
    reader = csv.reader((line for _, line in lines_of(path)), delimiter=delimiter, strict=True)
    header: list[str] | None = None
    rows = 0
    try:
        for fields in reader:
            if header is None:
                header = _checked_header(fields)
            elif fields:
                _check_width(fields, header, reader.line_num)
                rows += 1
    except csv.Error:
        message = f"Line {reader.line_num} is not valid CSV: a quote is missing, misplaced or a field is over 1 MiB."
        raise FileProblemError("malformed_csv", message, reader.line_num) from None
    return CsvShape(delimiter, header or [], rows)


def _checked_header(fields: list[str]) -> list[str]:
    if len(fields) > MAX_COLUMNS:
        raise FileProblemError("too_many_columns", f"There are more than {MAX_COLUMNS} columns.", 1)
    seen: set[str] = set()
    for position, name in enumerate(fields, start=1):
        if not name.strip():
            raise FileProblemError("duplicate_column", f"Column {position} has no name in line 1.", 1)
        if name in seen:
            raise FileProblemError("duplicate_column", f"The column {name!r} is named twice in line 1.", 1, name)
        seen.add(name)
    return fields


def _check_width(fields: list[str], header: list[str], line: int) -> None:
    if len(fields) != len(header):
        message = f"Line {line} has {len(fields)} fields where the header has {len(header)}."
        raise FileProblemError("ragged_row", message, line, hint="Quote fields that hold the delimiter.")


def typed(frame: pl.LazyFrame, columns: list[str]) -> pl.LazyFrame:
    """Columns of text as integers or floats where every value survives that unchanged; empty cells become null."""
    checks = [
        expression
        for column in columns
        for expression in (
            pl.col(column).str.contains(INTEGER).all().alias(f"{column}\0i"),
            pl.col(column).str.contains(FLOAT).all().alias(f"{column}\0f"),
            pl.col(column).is_not_null().any().alias(f"{column}\0n"),
        )
    ]
    found = frame.select(checks).collect(engine="streaming").row(0, named=True)
    casts = []
    for column in columns:
        if found[f"{column}\0n"] and found[f"{column}\0i"]:
            casts.append(pl.col(column).cast(pl.Int64))
        elif found[f"{column}\0n"] and found[f"{column}\0f"]:
            casts.append(pl.col(column).cast(pl.Float64))
    return frame.with_columns(casts)
