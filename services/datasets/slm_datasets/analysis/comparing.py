"""Comparing two datasets: what was added and removed, and what they share, exactly or nearly.

For two versions this is their difference; for training and evaluation data, shared rows are leakage.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from slm_datasets.analysis import near
from slm_datasets.analysis.row_hash import normalised, row_hash, rows_of, text_of
from slm_datasets.domain.rows import FIELDS
from slm_datasets.formats.reading import OnProgress

MAX_EXAMPLES = 10


@dataclass(frozen=True)
class Side:
    """A canonical Parquet file, and which of its columns hold what a model is trained on (`mapping`, by field)."""

    path: Path
    mapping: dict[str, str]

    def texts(self) -> Iterator[tuple[dict[str, Any], str]]:
        """Every row with its text as it is compared: of what is trained on, or of all columns where that is unknown."""
        names = pq.read_schema(self.path).names
        trained = [self.mapping.get(field, field) for field in FIELDS]
        kept = [name for name in trained if name in names] or names
        for row in rows_of(self.path):
            yield row, normalised(text_of({name: row[name] for name in kept}))


def compare(left: Side, right: Side, *, tell: OnProgress) -> dict[str, Any]:
    """What differs between two canonical Parquet files and what they share; rows are compared as wholes, by hash.

    `exact` counts rows of the left whose trained text is that of a row of the right, whatever their columns are named
    and whatever other columns there are; `near` those whose text nearly is, among a sample. Rows in examples count from
    0.
    """
    schemas = [{field.name: str(field.type) for field in pq.read_schema(each.path)} for each in (left, right)]
    counts = [pq.read_metadata(each.path).num_rows for each in (left, right)]
    tell("comparing", 0, sum(counts))
    rows_left, texts_left, hashes_left = _read(left)
    tell("comparing", counts[0], sum(counts))
    _, texts_right, hashes_right = _read(right)
    tell("comparing", sum(counts), sum(counts))
    shared = {text: number for text, number in texts_left.items() if text in texts_right}
    exact = sum(count for text, count in rows_left.items() if text in texts_right)
    return {
        "schema": _schema_difference(*schemas),
        "rows": {"left": counts[0], "right": counts[1]},
        "added_rows": sum((hashes_right - hashes_left).values()),
        "removed_rows": sum((hashes_left - hashes_right).values()),
        "common_rows": sum((hashes_left & hashes_right).values()),
        "exact": {"rows": exact, "examples": _examples(shared, texts_right)},
        "near": _near(left, right, texts_left, texts_right),
    }


def _read(side: Side) -> tuple[Counter[bytes], dict[bytes, int], Counter[bytes]]:
    """Rows by the hash of their text, the first row with each such text, and rows by the hash of all of them."""
    texts: Counter[bytes] = Counter()
    first: dict[bytes, int] = {}
    hashes: Counter[bytes] = Counter()
    for number, (row, text) in enumerate(side.texts()):
        hashes[row_hash(row)] += 1
        if text:
            key = row_hash({"": text})
            texts[key] += 1
            first.setdefault(key, number)
    return texts, first, hashes


def _schema_difference(left: dict[str, str], right: dict[str, str]) -> dict[str, Any]:
    changed = [
        {"name": name, "left": left[name], "right": right[name]}
        for name in left
        if name in right and left[name] != right[name]
    ]
    return {
        "added": [name for name in right if name not in left],
        "removed": [name for name in left if name not in right],
        "changed": changed,
    }


def _examples(shared: dict[bytes, int], right: dict[bytes, int]) -> list[dict[str, int]]:
    pairs = [{"left": number, "right": right[text]} for text, number in shared.items()]
    return sorted(pairs, key=lambda pair: pair["left"])[:MAX_EXAMPLES]


def _near(left: Side, right: Side, texts_left: dict[bytes, int], texts_right: dict[bytes, int]) -> dict[str, Any]:
    """Rows of the left whose text nearly, but not exactly, is one of the right; of each 20,000 are looked at."""
    index = near.new_index()
    step = near.sampling_step(len(texts_left), near.MAX_ROWS)
    other_step = near.sampling_step(len(texts_right), near.MAX_ROWS)
    for number, text in _texts(right, other_step):
        index.insert(str(number), near.signature(text), check_duplication=False)
    count = looked_at = 0
    examples: list[dict[str, int]] = []
    for number, text in _texts(left, step):
        looked_at += 1
        if row_hash({"": text}) in texts_right:
            continue
        if matches := index.query(near.signature(text)):
            count += 1
            if len(examples) < MAX_EXAMPLES:
                examples.append({"left": number, "right": min(map(int, matches))})
    return {"rows": count, "sampled_rows": looked_at, "threshold": near.THRESHOLD, "examples": examples}


def _texts(side: Side, step: int) -> list[tuple[int, str]]:
    """Every `step`-th row with a text long enough to be compared."""
    found = ((number, text) for number, (_, text) in enumerate(side.texts()) if number % step == 0)
    return [(number, text) for number, text in found if len(text) >= near.MIN_CHARACTERS]
