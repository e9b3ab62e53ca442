"""Checking CSV files: dialect, header, and that every row has as many fields as the header."""

import csv
import re
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import polars as pl

from slm_datasets.formats.problems import FileProblemError, ProblemLog, sample_of
from slm_datasets.formats.shapes import MAX_COLUMNS
from slm_datasets.formats.text import Advance, lines_of

DELIMITERS = ",;\t|"
MAX_CELL_BYTES = 1024 * 1024
LOOKED_AT_ROWS = 50
# Numbers that read back as the very text they were: no leading zeros, plus signs or blanks are lost.
INTEGER = r"^(0|-?[1-9][0-9]{0,17})$"
FLOAT = r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?$"
NUMBER = re.compile(FLOAT)


@dataclass
class CsvShape:
    """The dialect, the columns, the number of good rows, and which rows (from 1, without the header) are not."""

    delimiter: str
    has_header: bool
    columns: list[str] = field(default_factory=list)
    rows: int = 0
    bad_rows: "array[int]" = field(default_factory=lambda: array("q"))

    def dialect(self) -> dict[str, Any]:
        """The dialect as a user sees it."""
        return {"delimiter": self.delimiter, "has_header": self.has_header}


def check_csv(
    path: Path,
    log: ProblemLog,
    *,
    delimiter: str | None = None,
    has_header: bool | None = None,
    advance: Advance | None = None,
) -> CsvShape:
    """Read a CSV file from end to end; what is wrong with a row goes to `log`.

    Raises FileProblemError for what is wrong with the file: its encoding, its header.
    """
    # One setting for the whole process: there is no parameter for it.
    csv.field_size_limit(MAX_CELL_BYTES)
    delimiter = delimiter or detect_delimiter(path)
    shape = CsvShape(delimiter, _detect_header(path, delimiter) if has_header is None else has_header)
    reader = csv.reader((line for _, line in lines_of(path, advance)), delimiter=delimiter, strict=True)
    number = 0
    for fields, line in _records(reader, shape, log):
        if not fields:
            continue
        if not shape.columns:
            shape.columns = _columns(fields, has_header=shape.has_header)
            if shape.has_header:
                continue
        number += 1
        if fields is BROKEN:
            shape.bad_rows.append(number)
        elif len(fields) != len(shape.columns):
            shape.bad_rows.append(number)
            log.add(_ragged(fields, shape, line))
        else:
            shape.rows += 1
    return shape


BROKEN = ["a row that cannot be read"]


def _records(reader: Any, shape: CsvShape, log: ProblemLog) -> Iterator[tuple[list[str], int]]:
    """Every record with the line where it ends; BROKEN for one that cannot be read, which goes into `log`."""
    while True:
        try:
            yield next(reader), reader.line_num
        except StopIteration:
            return
        except csv.Error:
            line = reader.line_num
            message = f"Line {line} is not valid CSV: a quote is missing, misplaced or a field is over 1 MiB."
            problem = FileProblemError("malformed_csv", message, line, hint='Write a quote inside a field as "".')
            if not shape.columns:
                raise problem from None
            log.add(problem)
            yield BROKEN, line


def _ragged(fields: list[str], shape: CsvShape, line: int) -> FileProblemError:
    message = f"Line {line} has {len(fields)} fields where the header has {len(shape.columns)}."
    sample = sample_of(shape.delimiter.join(fields))
    return FileProblemError("ragged_row", message, line, hint="Quote fields that hold the delimiter.", sample=sample)


def detect_delimiter(path: Path) -> str:
    """The delimiter that cuts the first rows into the same number of fields, two or more; else a comma."""
    head = [line for _, line in islice(lines_of(path), LOOKED_AT_ROWS)]
    best, fields = ",", 1
    for candidate in DELIMITERS:
        try:
            widths = {len(row) for row in csv.reader(head, delimiter=candidate) if row}
        except csv.Error:
            continue
        if len(widths) == 1 and (width := widths.pop()) > fields:
            best, fields = candidate, width
    if fields > 1 or not head:
        return best
    return max(DELIMITERS, key=head[0].count) if any(map(head[0].count, DELIMITERS)) else ","


def _detect_header(path: Path, delimiter: str) -> bool:
    """Whether the first row names the columns: it does not when every column of numbers begins with one."""
    try:
        lines = (line for _, line in islice(lines_of(path), LOOKED_AT_ROWS))
        head = [row for row in csv.reader(lines, delimiter=delimiter) if row]
    except csv.Error:
        return True
    if len(head) < 2 or len({len(row) for row in head}) != 1:
        return True
    columns = list(zip(*head, strict=True))
    numeric = [column[0] for column in columns if all(NUMBER.match(value) for value in column[1:])]
    return not numeric or not all(NUMBER.match(value) for value in numeric)


def _columns(fields: list[str], *, has_header: bool) -> list[str]:
    """The names of the columns, from the first row or by their numbers. Raises FileProblemError."""
    if len(fields) > MAX_COLUMNS:
        raise FileProblemError("too_many_columns", f"There are more than {MAX_COLUMNS} columns.", 1)
    if not has_header:
        return [f"column_{number}" for number in range(1, len(fields) + 1)]
    seen: set[str] = set()
    for position, name in enumerate(fields, start=1):
        if not name.strip():
            raise FileProblemError("duplicate_column", f"Column {position} has no name in line 1.", 1)
        if name in seen:
            raise FileProblemError("duplicate_column", f"The column {name!r} is named twice in line 1.", 1, name)
        seen.add(name)
    return fields


def keep_good_rows(path: Path, target: Path, shape: CsvShape) -> Path:
    """Write the good rows of a checked file to `target`, in the same dialect."""
    bad, number, is_header_due = set(shape.bad_rows), 0, shape.has_header
    reader = csv.reader((line for _, line in lines_of(path)), delimiter=shape.delimiter, strict=True)
    with target.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, delimiter=shape.delimiter)
        for fields, _ in _records(reader, shape, ProblemLog()):
            if not fields:
                continue
            if is_header_due:
                writer.writerow(fields)
                is_header_due = False
                continue
            number += 1
            if number not in bad:
                writer.writerow(fields)
    return target


def scan(path: Path, shape: CsvShape) -> pl.LazyFrame:
    """The rows of a checked file, with numbers where every value of a column survives that unchanged."""
    names = None if shape.has_header else shape.columns
    frame = pl.scan_csv(
        path,
        separator=shape.delimiter,
        has_header=shape.has_header,
        new_columns=names,
        # Polars would guess types from the first rows, and fail or lose leading zeros in later ones.
        infer_schema=False,
        encoding="utf8",
    )
    return typed(frame, shape.columns)


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
