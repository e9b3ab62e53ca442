"""The quality of rows: exact and near duplicates, empty and cut rows, languages, and personal data."""

from collections import Counter
from pathlib import Path
from typing import Any

import py3langid
import pyarrow.parquet as pq

from slm_datasets.analysis import near, personal
from slm_datasets.analysis.row_hash import normalised, row_hash, rows_of, text_of
from slm_datasets.formats.reading import OnProgress

MAX_EXAMPLES = 10
SAMPLED_ROWS = 20_000
MIN_LANGUAGE_CHARACTERS = 20
TELL_EVERY_ROWS = 1000
# A text that ends in the middle of a sentence this long was probably cut by whoever exported it.
CUT_LENGTHS = (255, 256, 500, 512, 1000, 1023, 1024, 2000, 2047, 2048, 4000, 4095, 4096, 8191, 8192, 32767, 65535)


def examine(
    path: Path, *, row_format: str, mapping: dict[str, str], personal_data_rows: int, tell: OnProgress
) -> dict[str, Any]:
    """Look at every row for exact duplicates and empty fields, and at a sample spread evenly for all else.

    Rows in examples count from 0, as previews do. `personal_data_rows` bounds what Presidio looks at.
    """
    total = pq.read_metadata(path).num_rows
    step = near.sampling_step(total, SAMPLED_ROWS)
    seen: dict[bytes, int] = {}
    duplicates = Duplicates()
    near_duplicates, languages = NearDuplicates(), Counter[str]()
    found_personal = personal.Findings(personal.best_detector(max_rows=personal_data_rows), total)
    answers = [mapping.get(name, name) for name in ("completion", "chosen", "rejected")]
    empty_rows = empty_answers = cut_rows = 0
    for number, row in enumerate(rows_of(path)):
        duplicates.add(number, seen.setdefault(row_hash(row), number))
        text = text_of(row)
        found_personal.add(number, text)
        empty_rows += not text.strip()
        empty_answers += any(name in row and not str(row[name] or "").strip() for name in answers)
        if number % step == 0:
            near_duplicates.add(number, normalised(text))
            languages[_language(text)] += 1
            cut_rows += _is_cut(row)
        if number % TELL_EVERY_ROWS == 0:
            tell("examining", number, total)
    return {
        "rows": total,
        "sampled_rows": -(-total // step),
        "row_format": row_format,
        "duplicates": duplicates.as_dict(),
        "near_duplicates": near_duplicates.as_dict(),
        "empty_rows": empty_rows,
        "empty_answers": empty_answers,
        "cut_rows": cut_rows,
        "languages": [{"language": name, "rows": count} for name, count in languages.most_common(10)],
        **found_personal.as_dict(),
    }


class Duplicates:
    """Rows that are equal to an earlier one."""

    def __init__(self) -> None:
        self._count = 0
        self._examples: list[dict[str, int]] = []

    def add(self, number: int, first: int) -> None:
        """Count a row and the first one that is equal to it."""
        if number != first:
            self._count += 1
            if len(self._examples) < MAX_EXAMPLES:
                self._examples.append({"row": number, "same_as": first})

    def as_dict(self) -> dict[str, Any]:
        """How many, and where the first ones are."""
        return {"rows": self._count, "examples": self._examples}


class NearDuplicates:
    """Rows whose text is nearly that of an earlier one; short texts are compared as they are only."""

    def __init__(self) -> None:
        self._index = near.new_index()
        self._texts: dict[str, int] = {}
        self._count = 0
        self._examples: list[dict[str, int]] = []

    def add(self, number: int, text: str) -> None:
        """Compare one normalised text with those before it."""
        if len(text) < near.MIN_CHARACTERS or text in self._texts:
            return
        self._texts[text] = number
        sketch = near.signature(text)
        if matches := self._index.query(sketch):
            self._count += 1
            if len(self._examples) < MAX_EXAMPLES:
                self._examples.append({"row": number, "near": min(map(int, matches))})
        self._index.insert(str(number), sketch, check_duplication=False)

    def as_dict(self) -> dict[str, Any]:
        """How many, at which similarity, and where the first ones are."""
        return {"rows": self._count, "threshold": near.THRESHOLD, "examples": self._examples}


def _language(text: str) -> str:
    """The ISO 639-1 code that the text looks like; `und` where it is too short to tell."""
    if len(text.strip()) < MIN_LANGUAGE_CHARACTERS:
        return "und"
    return str(py3langid.classify(text[:1000])[0])


def _is_cut(row: dict[str, Any]) -> bool:
    return any(isinstance(value, str) and len(value) in CUT_LENGTHS and value[-1:].isalnum() for value in row.values())
