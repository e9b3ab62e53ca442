"""Making the canonical Parquet of an uploaded file."""

from pathlib import Path
from typing import Any

import polars as pl

from slm_datasets.analysis.description import IMAGEFOLDER, describe
from slm_datasets.formats import images
from slm_datasets.formats.layouts import bring_to_trl
from slm_datasets.formats.parquet_rows import DAMAGED, unreadable
from slm_datasets.formats.problems import FileProblemError, ProblemLog
from slm_datasets.formats.reading import BadRowsError, OnProgress, Reading, no_rows
from slm_datasets.formats.sources import Source, read_source

# A preview fetches whole row groups: small ones make it quick, too small ones make the file large.
ROWS_PER_GROUP = 20_000


def make_canonical(
    source: Path, target: Path, reading: Reading, *, on_progress: OnProgress | None = None
) -> dict[str, Any]:
    """Check `source`, write `target`, and say what it holds.

    Raises FileProblemError for what is wrong with the whole file and BadRowsError for what is wrong with its rows.
    """
    log = ProblemLog()
    tell = on_progress or (lambda _stage, _done, _total: None)
    if reading.format == IMAGEFOLDER:
        rows = images.write_images(source, target, reading, log, tell)
        return describe(target, rows=rows, mapping={}, log=log, layout=IMAGEFOLDER)
    found = read_source(source, target.parent, reading, log, tell)
    if log.total and reading.on_bad_rows == "fail":
        raise BadRowsError(log)
    if found.rows == 0:
        raise no_rows(log)
    tell("writing", 0, found.rows)
    layout = _write(found, target, reading.format)
    tell("profiling", 0, found.rows)
    described = describe(target, rows=found.rows, mapping=reading.mapping, log=log, layout=layout)
    return {**described, "dialect": found.dialect}


def _write(found: Source, target: Path, file_format: str) -> str | None:
    """Write the rows; the layout that they came in, if it was not one of TRL's."""
    try:
        frame, layout = bring_to_trl(found.frame, found.frame.collect_schema())
        frame.sink_parquet(target, compression="zstd", row_group_size=ROWS_PER_GROUP, mkdir=False)
        written = int(pl.scan_parquet(target).select(pl.len()).collect().item())
    except DAMAGED as error:
        raise _unreadable(file_format) from error
    if written != found.rows and file_format == "parquet":
        raise unreadable()
    if written != found.rows:
        message = f"{found.rows} rows were checked and {written} could be read."
        raise FileProblemError("rows_differ", message, hint="Check quotes and line ends.")
    return layout


def _unreadable(file_format: str) -> FileProblemError:
    if file_format == "parquet":
        return unreadable()
    return FileProblemError(
        "type_conflict",
        "The rows do not share one structure: nested values of the same name have different types.",
        hint="Give every row the same fields with the same types.",
    )
