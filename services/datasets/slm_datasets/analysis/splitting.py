"""Cutting a dataset in two, the same way every time.

Distinct rows are ordered by a hash of the seed and their content, and the first of them are validation. Equal rows
have equal hashes, so they never stand on both sides.
"""

import hashlib
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from slm_datasets.analysis.description import describe
from slm_datasets.analysis.row_hash import row_hash, rows_of
from slm_datasets.formats.problems import FileProblemError, ProblemLog
from slm_datasets.formats.reading import OnProgress

ROWS_PER_GROUP = 20_000


def make_split(
    source: Path, target: Path, *, split: str, seed: int, fraction: float, mapping: dict[str, str], tell: OnProgress
) -> dict[str, Any]:
    """Write one split (`train` or `validation`) of a canonical Parquet, in order, and say what it holds.

    Raises FileProblemError.
    """
    keys = [_key(row_hash(row), seed) for row in rows_of(source)]
    tell("splitting", len(keys), len(keys))
    validation = validation_keys(keys, fraction)
    kept = pa.array([(key in validation) == (split == "validation") for key in keys])
    rows = _write(source, target, kept)
    if rows == 0:
        message = f"The {split} split would have no rows."
        raise FileProblemError(
            "no_rows", message, hint="Choose another fraction, or a dataset with more distinct rows."
        )
    return describe(target, rows=rows, mapping=mapping, log=ProblemLog(), layout=None)


def _key(digest: bytes, seed: int) -> bytes:
    return hashlib.blake2b(digest, digest_size=16, key=seed.to_bytes(8, "big")).digest()


def validation_keys(keys: list[bytes], fraction: float) -> set[bytes]:
    """Which distinct rows validation gets: `fraction` of them, rounded, at least one if there are two."""
    distinct = sorted(set(keys))
    count = round(len(distinct) * fraction)
    return set(distinct[: min(max(count, 1), len(distinct) - 1)]) if len(distinct) > 1 else set()


def _write(source: Path, target: Path, kept: pa.Array) -> int:
    rows = place = 0
    with pq.ParquetFile(source) as file, pq.ParquetWriter(target, file.schema_arrow, compression="zstd") as out:
        for batch in file.iter_batches(batch_size=ROWS_PER_GROUP):
            chosen = batch.filter(kept.slice(place, batch.num_rows))
            place += batch.num_rows
            rows += chosen.num_rows
            if chosen.num_rows:
                out.write_batch(chosen)
    return rows
