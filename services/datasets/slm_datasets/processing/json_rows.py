"""Checking JSON and JSONL files row by row, and bringing both to JSON lines."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from slm_datasets.processing.problems import FileProblemError
from slm_datasets.processing.text import lines_of

MAX_JSON_BYTES = 256 * 1024**2
MAX_DEPTH = 64
MAX_COLUMNS = 4096
MAX_INTEGER = 2**63 - 1
KINDS: dict[type, str] = {bool: "boolean", int: "number", float: "number", str: "text", list: "list", dict: "object"}


class RowCheck:
    """Checks rows one after the other; a column must hold one kind of value throughout."""

    def __init__(self) -> None:
        self.rows = 0
        self._kinds: dict[str, tuple[str, int]] = {}

    def add(self, row: Any, place: int, *, what: str = "Line") -> None:
        """Check one row that stands at `place`. Raises FileProblemError."""
        if not isinstance(row, dict):
            raise FileProblemError(
                "not_an_object",
                f"{what} {place} is not a JSON object.",
                place,
                hint='Each row must be an object such as {"prompt": "…", "completion": "…"}.',
            )
        _check_values(row, place, what, MAX_DEPTH)
        for column, value in row.items():
            self._check_kind(column, value, place, what)
        self.rows += 1

    def _check_kind(self, column: str, value: Any, place: int, what: str) -> None:
        if value is None:
            return
        kind = KINDS[type(value)]
        first_kind, first_place = self._kinds.setdefault(column, (kind, place))
        if kind != first_kind:
            message = (
                f"{what} {place} has a {kind} in a column that held a {first_kind} in {what.lower()} {first_place}."
            )
            raise FileProblemError("type_conflict", message, place, column)
        if len(self._kinds) > MAX_COLUMNS:
            raise FileProblemError("too_many_columns", f"There are more than {MAX_COLUMNS} columns.", place)


def _check_values(value: Any, place: int, what: str, depth: int) -> None:
    if depth == 0:
        raise FileProblemError("too_deep", f"{what} {place} is nested deeper than {MAX_DEPTH} levels.", place)
    if isinstance(value, dict):
        for inner in value.values():
            _check_values(inner, place, what, depth - 1)
    elif isinstance(value, list):
        for inner in value:
            _check_values(inner, place, what, depth - 1)
    elif isinstance(value, float) and value in (float("inf"), float("-inf")):
        raise _not_finite(what, place)
    elif isinstance(value, int) and abs(value) > MAX_INTEGER:
        raise FileProblemError("number_out_of_range", f"{what} {place} has a number beyond 64 bits.", place)


def _not_finite(what: str, place: int) -> FileProblemError:
    message = f"{what} {place} has a number that is not finite."
    return FileProblemError("non_finite_number", message, place, hint="JSON has no NaN or Infinity; use null.")


class _NotFiniteError(Exception):
    pass


class _DuplicateKeyError(Exception):
    pass


def _refuse_constant(_literal: str) -> float:
    raise _NotFiniteError


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) != len(pairs):
        raise _DuplicateKeyError
    return row


def _parse(text: str, place: int, *, what: str = "Line") -> Any:
    """Parse one document. Raises FileProblemError; `place` is its line when there is one per line."""
    try:
        return json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_unique)
    except _NotFiniteError:
        raise _not_finite(what, place) from None
    except _DuplicateKeyError:
        raise FileProblemError("duplicate_column", f"{what} {place} names a field twice.", place) from None
    except RecursionError:
        raise FileProblemError("too_deep", f"{what} {place} is nested too deeply.", place) from None
    except json.JSONDecodeError as error:
        line = place + error.lineno - 1
        raise FileProblemError(
            "malformed_json", f"Line {line} is not valid JSON, at column {error.colno}.", line
        ) from None
    except ValueError:
        raise FileProblemError("number_out_of_range", f"{what} {place} has a number beyond 64 bits.", place) from None


def check_lines(path: Path) -> int:
    """Check a JSONL file and return its rows; blank lines are skipped. Raises FileProblemError naming the line."""
    check = RowCheck()
    for number, line in lines_of(path):
        if line.strip():
            check.add(_parse_line(line, number), number)
    return check.rows


def _parse_line(line: str, number: int) -> Any:
    try:
        return _parse(line.strip("\r\n"), number)
    except FileProblemError as problem:
        if problem.code == "malformed_json" and not line.endswith("\n"):
            problem.code = "truncated"
            problem.message = f"Line {number}, the last one, is cut off or not valid JSON."
        raise


def to_lines(path: Path, target: Path) -> int:
    """Check a JSON file and write its rows as JSON lines; returns how many. Raises FileProblemError."""
    if path.stat().st_size > MAX_JSON_BYTES:
        limit = MAX_JSON_BYTES // 1024**2
        raise FileProblemError("too_large", f"A JSON document may have {limit} MiB.", hint="Upload it as JSONL.")
    text = "".join(line for _, line in lines_of(path))
    check = RowCheck()
    with target.open("w", encoding="utf-8") as out:
        for number, row in enumerate(_rows_of(_parse(text, 1, what="The document at line")), start=1):
            check.add(row, number, what="Row")
            out.write(json.dumps(row, ensure_ascii=False) + "\n")
    return check.rows


def _rows_of(document: Any) -> Iterator[Any]:
    if isinstance(document, dict):
        tables = [value for value in document.values() if isinstance(value, list)]
        if len(tables) != 1:
            raise FileProblemError(
                "no_single_table",
                f"The document has {len(tables)} lists of rows; it must be one list or hold exactly one.",
                1,
            )
        document = tables[0]
    if not isinstance(document, list):
        raise FileProblemError("not_an_object", "The document is neither a list of rows nor an object with one.", 1)
    return iter(document)
