"""Rules of datasets: states, names, and what kind of rows a table holds."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePath


class DatasetStatus(StrEnum):
    """Where a dataset version stands; a deleted one is kept for lineage and shown to nobody."""

    IN_PROGRESS = "in_progress"
    PROCESSED = "processed"
    ERROR = "error"
    DELETED = "deleted"


EDGES: dict[DatasetStatus, frozenset[DatasetStatus]] = {
    DatasetStatus.IN_PROGRESS: frozenset({DatasetStatus.PROCESSED, DatasetStatus.ERROR}),
    DatasetStatus.PROCESSED: frozenset({DatasetStatus.DELETED}),
    DatasetStatus.ERROR: frozenset({DatasetStatus.DELETED}),
    DatasetStatus.DELETED: frozenset(),
}
MAX_ATTEMPTS = 3
MAX_NAME_LENGTH = 80

FORMAT_OF_SUFFIX = {
    ".csv": "csv",
    ".tsv": "csv",
    ".json": "json",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
}
PARQUET_MAGIC = b"PAR1"
# First bytes of what is certainly none of the accepted formats, whatever its name says.
FOREIGN_MAGIC = (
    b"PK\x03\x04",
    b"\x1f\x8b",
    b"MZ",
    b"\x7fELF",
    b"%PDF",
    b"\x89PNG",
    b"\xff\xd8\xff",
    b"\x80\x04",
    b"BZh",
)
WIDE_TEXT = (b"\xff\xfe", b"\xfe\xff")


def family_of(name: str) -> str:
    """The family a given name stands for: lower case words joined by hyphens, without a version at its end."""
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    return re.sub(r"-v\d+$", "", slug[:MAX_NAME_LENGTH].strip("-")) or "dataset"


def shown_file_name(name: str) -> str:
    """A client's file name as it may be shown: the last part of its path, printable characters only."""
    last = PurePath(name.replace("\\", "/")).name
    return "".join(char for char in last if char.isprintable())[:200]


def detect_format(file_name: str, head: bytes) -> str | None:
    """`csv`, `json`, `jsonl` or `parquet`, from the name's suffix and the first bytes; None when they disagree.

    A JSON file's content decides whether it is one document or one per line.
    """
    named = FORMAT_OF_SUFFIX.get(PurePath(file_name.lower()).suffix)
    is_parquet = head.startswith(PARQUET_MAGIC)
    if named is None or is_parquet != (named == "parquet"):
        return None
    if named == "parquet" or head.startswith(WIDE_TEXT):
        return named
    if head.startswith(FOREIGN_MAGIC):
        return None
    if named == "jsonl" and head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"["):
        return "json"
    return named


PROMPT_COMPLETION, MESSAGES, TEXT, PREFERENCE, COLUMNS = (
    "prompt/completion",
    "messages",
    "text",
    "chosen/rejected",
    "columns",
)
# Pairs of column names that people use for what a model is asked and what it should answer, most telling first.
KNOWN_PAIRS = (
    ("question", "answer"),
    ("instruction", "output"),
    ("instruction", "response"),
    ("input", "output"),
    ("query", "response"),
    ("query", "answer"),
    ("prompt", "response"),
    ("prompt", "answer"),
    ("text", "label"),
    ("text", "intent"),
    ("utterance", "intent"),
    ("source", "target"),
)


@dataclass(frozen=True)
class RowFormat:
    """What the rows are, as TRL names it, and which columns stand for its fields."""

    name: str
    mapping: Mapping[str, str]


class UnknownColumnError(ValueError):
    """The upload names a column that the file does not have."""


def detect_row_format(
    columns: Sequence[str],
    *,
    message_columns: Sequence[str] = (),
    prompt_column: str | None = None,
    completion_column: str | None = None,
) -> RowFormat:
    """What rows with these columns can be trained as; `message_columns` hold lists of role and content.

    Columns named by the user win. Raises UnknownColumnError for one that is not there.
    """
    if prompt_column or completion_column:
        return _as_named(columns, prompt_column or "prompt", completion_column or "completion")
    there = {column.lower(): column for column in reversed(columns)}
    if "messages" in message_columns:
        return RowFormat(MESSAGES, {})
    if {"prompt", "completion"} <= set(columns):
        return RowFormat(PROMPT_COMPLETION, {})
    if {"chosen", "rejected"} <= set(columns):
        return RowFormat(PREFERENCE, {})
    for prompt, completion in KNOWN_PAIRS:
        if prompt in there and completion in there:
            return _as_named(columns, there[prompt], there[completion])
    if "text" in columns:
        return RowFormat(TEXT, {})
    return RowFormat(COLUMNS, {})


def _as_named(columns: Sequence[str], prompt: str, completion: str) -> RowFormat:
    for column in (prompt, completion):
        if column not in columns:
            raise UnknownColumnError(column)
    given = {"prompt": prompt, "completion": completion}
    return RowFormat(PROMPT_COMPLETION, {field: column for field, column in given.items() if field != column})
