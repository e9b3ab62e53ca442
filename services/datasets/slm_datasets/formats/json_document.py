"""A JSON document as JSON lines, without holding it in memory: one list of rows, or an object of such lists."""

import json
import re
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import TextIOWrapper
from pathlib import Path
from typing import Any

from slm_datasets.formats.json_rows import parse
from slm_datasets.formats.problems import FileProblemError, sample_of
from slm_datasets.formats.text import MAX_LINE_BYTES, lines_of

SPLIT = "split"
SPACE = re.compile(r"[ \t\r\n]*")
DECODER = json.JSONDecoder()


@dataclass
class Tables:
    """The rows of a document: the line where each begins, and which list (by name) begins at which row."""

    lines: "array[int]" = field(default_factory=lambda: array("q"))
    starts: list[tuple[str, int]] = field(default_factory=list)
    others: int = 0


class _Cursor:
    """A place in a document that is read piece by piece."""

    def __init__(self, pieces: Iterator[str]) -> None:
        self._pieces = pieces
        self.text = ""
        self.place = 0
        self.line = 1

    def fill(self) -> bool:
        """Read more; False at the end."""
        piece = "".join(piece for _, piece in zip(range(512), self._pieces, strict=False))
        if not piece:
            return False
        self.text = self.text[self.place :] + piece
        self.place = 0
        return True

    def advance(self, to: int) -> str:
        """Move on to a place in the text; what was passed."""
        passed = self.text[self.place : to]
        self.line += passed.count("\n")
        self.place = to
        return passed

    def peek(self) -> str:
        """The next character that is not white space, "" at the end."""
        while True:
            match = SPACE.match(self.text, self.place)
            assert match is not None
            self.advance(match.end())
            if self.place < len(self.text):
                return self.text[self.place]
            if not self.fill():
                return ""

    def take(self, wanted: str) -> None:
        """Pass one character. Raises FileProblemError when it is another one."""
        if self.peek() != wanted:
            raise self.problem()
        self.advance(self.place + 1)

    def value(self) -> str:
        """The text of the value that begins here. Raises FileProblemError."""
        while True:
            try:
                _, end = DECODER.raw_decode(self.text, self.place)
            except RecursionError:
                raise FileProblemError("too_deep", f"Line {self.line} is nested too deeply.", self.line) from None
            except ValueError:
                end = None
            # A number that ends where the text ends may go on in the next piece.
            if end is not None and (end < len(self.text) or not self.fill()):
                return self.advance(end)
            if end is None and (len(self.text) - self.place > MAX_LINE_BYTES or not self.fill()):
                raise self.problem()

    def problem(self) -> FileProblemError:
        """What is wrong with the value that begins here."""
        text = self.text[self.place :]
        try:
            json.loads(text)
        except json.JSONDecodeError as error:
            # An error after the value is not an error in the value.
            if "Extra data" not in error.msg:
                return self._malformed(text, error)
        except RecursionError:
            pass
        except ValueError:
            message = f"Line {self.line} has a number beyond 64 bits."
            return FileProblemError("number_out_of_range", message, self.line, sample=sample_of(text))
        return FileProblemError(
            "malformed_json", f"Line {self.line} is not valid JSON.", self.line, sample=sample_of(text)
        )

    def _malformed(self, text: str, error: json.JSONDecodeError) -> FileProblemError:
        line = self.line + error.lineno - 1
        code = "truncated" if error.pos >= len(text.rstrip()) else "malformed_json"
        said = "The document is cut off in" if code == "truncated" else "The document is not valid JSON:"
        message = f"{said} line {line}, at character {error.colno}."
        return FileProblemError(code, message, line, position=error.colno, sample=sample_of(text, error.pos + 1))


def to_lines(path: Path, target: Path) -> Tables:
    """Write the rows of a JSON document as JSON lines, unchanged. Raises FileProblemError.

    Of an object with several lists of rows every row is told by a field `split` which list it was in; rows that are
    lists themselves become objects with the fields `column_1`, `column_2`, ….
    """
    cursor = _Cursor(line for _, line in lines_of(path))
    tables = Tables()
    with target.open("w", encoding="utf-8", newline="\n") as out:
        match cursor.peek():
            case "[":
                tables.starts.append(("", 0))
                _write_list(cursor, tables, out)
            case "{":
                _write_object(cursor, tables, out)
            case "":
                raise FileProblemError("no_rows", "The document is empty.", 1)
            case _:
                cursor.value()
                message = "The document is neither a list of rows nor an object with one."
                raise FileProblemError("not_an_object", message, 1)
    if cursor.peek():
        raise FileProblemError("malformed_json", f"Line {cursor.line} goes on after the document.", cursor.line)
    if len(tables.starts) != 1:
        _name_lists(tables, target)
    return tables


def _write_object(cursor: _Cursor, tables: Tables, out: TextIOWrapper) -> None:
    cursor.take("{")
    while cursor.peek() != "}":
        if cursor.peek() != '"':
            raise cursor.problem()
        name = parse(cursor.value(), cursor.line)
        cursor.take(":")
        if cursor.peek() == "[":
            tables.starts.append((name, len(tables.lines)))
            _write_list(cursor, tables, out)
        else:
            tables.others += 1
            cursor.value()
        if cursor.peek() != ",":
            break
        cursor.take(",")
    cursor.take("}")


def _write_list(cursor: _Cursor, tables: Tables, out: TextIOWrapper) -> None:
    cursor.take("[")
    while cursor.peek() != "]":
        tables.lines.append(cursor.line)
        is_list = cursor.peek() == "["
        text = cursor.value()
        # Line ends occur only between the values: inside a text JSON writes them as \n.
        flat = text.replace("\r", " ").replace("\n", " ")
        out.write((_as_object(flat, tables.lines[-1]) if is_list else flat) + "\n")
        if cursor.peek() != ",":
            break
        cursor.take(",")
        if cursor.peek() == "]":
            raise cursor.problem()
    cursor.take("]")


def _as_object(text: str, line: int) -> str:
    row: Any = parse(text, line)
    return json.dumps({f"column_{number}": value for number, value in enumerate(row, start=1)}, ensure_ascii=False)


def _name_lists(tables: Tables, target: Path) -> None:
    """Tell each row which list it was in; an object with other things beside its lists has no rows that are clear."""
    if not tables.lines or tables.others or not tables.starts:
        count = len(tables.starts)
        message = (
            f"The document has {count} lists of rows; it must be one list, hold exactly one, or hold nothing else."
        )
        raise FileProblemError("no_single_table", message, 1)
    named = target.with_suffix(".named")
    starts = [*tables.starts, ("", len(tables.lines))]
    bounds = iter(
        [(json.dumps(name, ensure_ascii=False), starts[i + 1][1]) for i, (name, _) in enumerate(tables.starts)]
    )
    name, end = next(bounds)
    with target.open(encoding="utf-8", newline="\n") as source, named.open("w", encoding="utf-8", newline="\n") as out:
        for number, line in enumerate(source):
            while number >= end:
                name, end = next(bounds)
            rest = line[1:].lstrip() if line.startswith("{") else line
            comma = "" if rest.startswith("}") else ", "
            out.write(f'{{"{SPLIT}": {name}{comma}{rest}' if line.startswith("{") else line)
    named.replace(target)
