"""Rows as text and as hashes that are the same on every machine and in every version."""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq

ROWS_AT_ONCE = 2000
# Among a billion rows, two different ones share a hash of 128 bits with a chance of 1e-21.
HASH_BYTES = 16
SPACES = re.compile(r"\s+")


def rows_of(path: Path, columns: list[str] | None = None) -> Iterator[dict[str, Any]]:
    """Every row of a Parquet file, a few thousand in memory at a time."""
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=ROWS_AT_ONCE, columns=columns):
            yield from batch.to_pylist()


def row_hash(row: dict[str, Any]) -> bytes:
    """16 bytes of BLAKE2b over the row as JSON with sorted keys; bytes count by their own hash."""
    return hashlib.blake2b(canonical_json(row), digest_size=HASH_BYTES).digest()


def canonical_json(row: dict[str, Any]) -> bytes:
    """A row as JSON with sorted keys."""
    return orjson.dumps(row, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS, default=_other)


def _other(value: Any) -> str:
    return hashlib.sha256(value).hexdigest() if isinstance(value, bytes) else str(value)


def text_of(row: dict[str, Any]) -> str:
    """All text in a row, in the order of its columns, one piece a line."""
    return "\n".join(_texts(row))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, inner in value.items():
            # Roles are not part of the text.
            if name not in ("role", "from"):
                yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)


def normalised(text: str) -> str:
    """A text as it is compared: without case and without differences of white space."""
    return SPACES.sub(" ", text).strip().casefold()
