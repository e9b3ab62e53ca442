"""A profile of every column, in one streamed pass over the canonical Parquet (and one for its histograms)."""

import math
from pathlib import Path
from typing import Any

import polars as pl

BUCKETS = 20
TOP_VALUES = 10
MAX_PROFILED = 200
FEW_VALUES = 50


def profile(path: Path) -> list[dict[str, Any]]:
    """For each of the first 200 columns: nulls, distinct values (estimated), range, mean, lengths in characters.

    For nested columns: the number of items, and the characters of all texts in them.
    """
    frame = pl.scan_parquet(path)
    schema = frame.collect_schema()
    kinds = list(schema.items())[:MAX_PROFILED]
    wanted = [each for index, (name, kind) in enumerate(kinds) for each in _statistics(index, name, kind)]
    found = frame.select(wanted).collect(engine="streaming").row(0, named=True) if wanted else {}
    columns = [_column(index, name, kind, found) for index, (name, kind) in enumerate(kinds)]
    _add_histograms(frame, kinds, columns)
    _add_top_values(frame, kinds, columns)
    return columns


def _statistics(index: int, name: str, kind: pl.DataType) -> list[pl.Expr]:
    column = pl.col(name)
    found = {"nulls": column.null_count()}
    # An estimate of a few percent, which may come out above what there can be.
    distinct = pl.min_horizontal(column.approx_n_unique(), pl.len())
    if kind == pl.String:
        length = column.str.len_chars()
        found |= {"distinct": distinct, "empty": (column.str.strip_chars() == "").sum()}
        found |= _lengths(length)
    elif kind.is_numeric():
        found |= {"distinct": distinct, "min": column.min(), "max": column.max()}
        found |= {"mean": column.mean(), "std": column.std()}
    elif kind == pl.Boolean:
        found |= {"true": column.sum()}
    elif isinstance(kind, pl.List):
        found |= {f"items_{name}": each for name, each in _lengths(column.list.len()).items()}
    # By number: names of columns may be anything, so one joined to a key could be the name of another column.
    return [expression.alias(f"{index}\0{key}") for key, expression in found.items()]


def _lengths(length: pl.Expr) -> dict[str, pl.Expr]:
    return {"min_length": length.min(), "max_length": length.max(), "mean_length": length.mean()}


def _column(index: int, name: str, kind: pl.DataType, found: dict[str, Any]) -> dict[str, Any]:
    prefix = f"{index}\0"
    values = {key.removeprefix(prefix): _plain(each) for key, each in found.items() if key.startswith(prefix)}
    return {"name": name, "type": str(kind), **values}


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    return value if isinstance(value, int | str | bool | None) else str(value)


def _add_histograms(frame: pl.LazyFrame, kinds: list[tuple[str, pl.DataType]], columns: list[dict[str, Any]]) -> None:
    """Counts of lengths (texts) or values (numbers) in twenty buckets of equal width."""
    wanted, widths = [], {}
    for index, (name, kind) in enumerate(kinds):
        is_text = kind == pl.String
        low, high = (columns[index].get(key) for key in (("min_length", "max_length") if is_text else ("min", "max")))
        if not (is_text or kind.is_numeric()) or low is None or high is None or not isinstance(low, int | float):
            continue
        whole = is_text or kind.is_integer()
        width = max(1, math.ceil((high - low + 1) / BUCKETS)) if whole else (high - low) / BUCKETS or 1.0
        measured = pl.col(name).str.len_chars() if is_text else pl.col(name)
        bucket = ((measured.cast(pl.Float64) - low) / width).floor().clip(0, BUCKETS - 1)
        widths[index] = (low, width)
        wanted += [(bucket == number).sum().alias(f"{index}\0{number}") for number in range(BUCKETS)]
    if not wanted:
        return
    found = frame.select(wanted).collect(engine="streaming").row(0, named=True)
    for index, (low, width) in widths.items():
        counts = [int(found[f"{index}\0{number}"] or 0) for number in range(BUCKETS)]
        columns[index]["histogram"] = {"start": low, "width": _plain(width), "counts": counts}


def _add_top_values(frame: pl.LazyFrame, kinds: list[tuple[str, pl.DataType]], columns: list[dict[str, Any]]) -> None:
    """The most frequent values of columns that have few."""
    for index, (name, kind) in enumerate(kinds):
        if kind != pl.String or columns[index].get("distinct", FEW_VALUES + 1) > FEW_VALUES:
            continue
        counted = frame.group_by(pl.col(name).str.slice(0, 200)).len().sort("len", descending=True)
        top = counted.head(TOP_VALUES).collect(engine="streaming").rows()
        columns[index]["top"] = [{"value": value, "rows": count} for value, count in top if value is not None]
