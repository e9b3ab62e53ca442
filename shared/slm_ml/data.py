"""Rows of a canonical dataset."""

from pathlib import Path
from typing import Any

import polars as pl


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Every row of a Parquet file as a dictionary by column name."""
    return pl.read_parquet(path).to_dicts()
