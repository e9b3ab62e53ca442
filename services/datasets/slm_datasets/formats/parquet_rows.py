"""Checking Parquet files: that they can be read to their end, and that a few bytes do not claim a billion rows."""

from pathlib import Path

import polars as pl

from slm_datasets.formats.problems import FileProblemError
from slm_datasets.formats.shapes import MAX_COLUMNS

CELL_BYTES = 8
# Polars panics on forged footers, and a panic is not a subclass of Exception.
DAMAGED = (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError, ValueError)
# Rows and columns below this are decoded in a moment whatever they claim.
HARMLESS_CELLS = 50_000_000


def check_parquet(path: Path, *, max_expanded_bytes: int) -> tuple[pl.LazyFrame, int]:
    """The rows of a Parquet file and how many there are. Raises FileProblemError."""
    try:
        frame = pl.scan_parquet(path)
        schema = frame.collect_schema()
        rows = int(frame.select(pl.len()).collect().item())
    except DAMAGED:
        raise unreadable() from None
    if len(schema) > MAX_COLUMNS:
        raise FileProblemError("too_many_columns", f"There are more than {MAX_COLUMNS} columns.")
    cells = rows * max(1, len(schema))
    if cells > HARMLESS_CELLS and cells * CELL_BYTES > max(max_expanded_bytes, 1):
        message = f"The file claims {rows} rows of {len(schema)} columns, which is more than may be unpacked."
        raise FileProblemError("expands_too_much", message, hint="Upload it in smaller files.")
    odd = [name for name, kind in schema.items() if isinstance(kind, pl.Object | pl.Unknown)]
    if odd:
        raise FileProblemError("parquet_invalid", f"The column {odd[0]!r} is of a type that cannot be read.")
    named = [name for name, kind in schema.items() if isinstance(kind, pl.BaseExtension)]
    # The meaning of another system's extension type is unknown here; its storage type is known.
    frame = frame.with_columns(pl.col(name).ext.storage() for name in named)
    enums = [name for name, kind in schema.items() if isinstance(kind, pl.Categorical | pl.Enum)]
    return frame.with_columns(pl.col(enums).cast(pl.String)) if enums else frame, rows


def unreadable() -> FileProblemError:
    """A Parquet file that is damaged."""
    message = "The file is not a Parquet file that can be read to its end."
    return FileProblemError("parquet_invalid", message, hint="Write it again; it may be cut off.")
