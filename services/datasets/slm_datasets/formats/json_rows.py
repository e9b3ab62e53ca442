"""Checking JSON lines: fast where all is well, exact where it is not."""

import json
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import polars as pl

from slm_datasets.formats.problems import FileProblemError, ProblemLog, sample_of
from slm_datasets.formats.shapes import MAX_DEPTH, PLACE, Node, SuspiciousNumberError, check_object
from slm_datasets.formats.text import Advance, decode_line, raw_lines_of

MAX_INTEGER = 2**63 - 1
NOT_AN_OBJECT_HINT = 'Each row must be an object such as {"prompt": "…", "completion": "…"}.'


@dataclass
class CheckedRows:
    """The rows that are good, the columns they have, and the numbers of the lines that are not."""

    rows: int = 0
    root: Node = field(default_factory=Node)
    bad_lines: "array[int]" = field(default_factory=lambda: array("q"))
    has_mark: bool = False
    has_odd_blanks: bool = False

    def schema(self) -> dict[str, pl.DataType]:
        """The columns as Polars reads them."""
        return {name: _type_of(node) for name, node in self.root.fields.items()}


@dataclass(frozen=True)
class Places:
    """How places are named: lines of the file itself, or the rows of a document and the lines where they begin."""

    what: str = "Line"
    lines: Sequence[int] | None = None

    def line(self, number: int) -> int:
        """The line in the uploaded file of the row or line with this number."""
        return self.lines[number - 1] if self.lines is not None else number


def check_lines(
    path: Path, log: ProblemLog, *, places: Places | None = None, advance: Advance | None = None
) -> CheckedRows:
    """Check JSON lines one by one; blank lines are passed over. What is wrong with a line goes to `log`."""
    places = places or Places()
    found, loads, root = CheckedRows(), orjson.loads, Node()
    found.root = root
    for number, offset, line in raw_lines_of(path, advance):
        try:
            row = loads(line)
            # Every key is followed by a colon: more colons than keys may mean a duplicate key.
            if type(row) is not dict or check_object(row, root, number) != line.count(b'":'):
                raise SuspiciousNumberError
        except (SuspiciousNumberError, orjson.JSONDecodeError, FileProblemError, KeyError):
            if line.isspace() and len(line) < 1024:
                found.has_odd_blanks |= bool(line.strip(b"\r\n"))
                continue
            try:
                _check_exactly(line, number, offset, root, places)
            except FileProblemError as problem:
                log.add(problem)
                found.bad_lines.append(number)
                continue
        found.rows += 1
    found.has_mark = _has_mark(path)
    return found


def _has_mark(path: Path) -> bool:
    with path.open("rb") as stream:
        return stream.read(3) == b"\xef\xbb\xbf"


def _check_exactly(line: bytes, number: int, offset: int, root: Node, places: Places) -> None:
    """Check one line with a slow parser that reports every detail. Raises FileProblemError."""
    text = decode_line(line, number, offset)
    try:
        row = parse(text.strip("\r\n"), number, is_last=not line.endswith(b"\n"))
        if type(row) is not dict:
            raise FileProblemError("not_an_object", "is not a JSON object.", hint=NOT_AN_OBJECT_HINT)
        _check_numbers(row)
        check_object(row, root, number, are_numbers_exact=True)
    except FileProblemError as problem:
        raise _placed(problem, text, number, places) from None


def _placed(problem: FileProblemError, text: str, number: int, places: Places) -> FileProblemError:
    """The problem with its line, a sentence that names it, and a sample."""
    line = places.line(number)
    if problem.message[:1].islower():
        problem.message = f"{places.what} {number} {problem.message}"
    problem.message = problem.message.replace(PLACE, places.what.lower())
    problem.line = line
    problem.sample = problem.sample or sample_of(text, problem.position)
    # The column is the first step of the path, whatever lies below.
    if problem.path:
        problem.column = problem.path[1:].split("/", 1)[0].replace("~1", "/").replace("~0", "~")
    return problem


class _NotFiniteError(Exception):
    pass


class _DuplicateKeyError(Exception):
    pass


def _refuse_constant(_literal: str) -> float:
    raise _NotFiniteError


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) != len(pairs):
        names = [name for name, _ in pairs]
        raise _DuplicateKeyError(next(name for name in names if names.count(name) > 1))
    return row


def parse(text: str, number: int, *, is_last: bool = False) -> Any:
    """Parse one document. Raises FileProblemError with a message that still lacks the place."""
    try:
        return json.loads(text, parse_constant=_refuse_constant, object_pairs_hook=_unique)
    except _NotFiniteError:
        raise _not_finite() from None
    except _DuplicateKeyError as error:
        name = str(error)
        raise FileProblemError("duplicate_column", "names a field twice.", column=name, path=f"/{name}") from None
    except RecursionError:
        raise FileProblemError("too_deep", "is nested too deeply.") from None
    except json.JSONDecodeError as error:
        if is_last:
            message = f"Line {number}, the last one, is cut off or not valid JSON."
            raise FileProblemError("truncated", message, position=error.colno) from None
        message = f"is not valid JSON, at character {error.colno}."
        raise FileProblemError("malformed_json", message, position=error.colno) from None
    except ValueError:
        raise FileProblemError("number_out_of_range", "has a number beyond 64 bits.") from None


def _not_finite() -> FileProblemError:
    hint = "JSON has no NaN or Infinity; use null."
    return FileProblemError("non_finite_number", "has a number that is not finite.", hint=hint)


def _check_numbers(value: Any, path: str = "", depth: int = MAX_DEPTH) -> None:
    if depth < 0:
        raise FileProblemError("too_deep", f"is nested deeper than {MAX_DEPTH} levels.")
    if isinstance(value, dict):
        for name, inner in value.items():
            _check_numbers(inner, f"{path}/{name}", depth - 1)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            _check_numbers(inner, f"{path}/{index}", depth - 1)
    elif isinstance(value, float) and value in (float("inf"), float("-inf")):
        problem = _not_finite()
        problem.path = path
        raise problem
    elif isinstance(value, int) and abs(value) > MAX_INTEGER:
        raise FileProblemError("number_out_of_range", "has a number beyond 64 bits.", path=path)


def _type_of(node: Node) -> pl.DataType:
    match node.kind:
        case "boolean":
            return pl.Boolean()
        case "number":
            return pl.Int64() if node.types == {int} else pl.Float64()
        case "list":
            return pl.List(_type_of(node.items) if node.items else pl.String())
        case "object" if node.fields:
            return pl.Struct({name: _type_of(inner) for name, inner in node.fields.items()})
        case _:
            return pl.String()


def keep_good_lines(path: Path, target: Path, bad_lines: Sequence[int]) -> Path:
    """Write the good lines of a file to `target`, without a byte order mark and blank lines."""
    bad = set(bad_lines)
    with target.open("wb") as out:
        for number, _, line in raw_lines_of(path):
            if number not in bad and not line.isspace():
                out.write(line if line.endswith(b"\n") else line + b"\n")
    return target
