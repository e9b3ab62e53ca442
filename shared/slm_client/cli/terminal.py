"""The two consoles, and how things are written on them."""

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from pydantic import BaseModel
from rich.console import Console
from rich.table import Table
from rich.text import Text

T = TypeVar("T")
Columns = Sequence[tuple[str, Callable[[T], object]]]
"""The title of each column, and the value that an item has in it."""

PIPE_WIDTH = 240
UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def _console(*, stderr: bool) -> Console:
    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() else PIPE_WIDTH
    return Console(stderr=stderr, width=width, highlight=False)


output = _console(stderr=False)
errors = _console(stderr=True)


def printable(value: object) -> str:
    """Text without control characters, which would act on the terminal: each becomes a replacement character."""
    return "".join(char if char.isprintable() or char in "\n\t" else "\N{REPLACEMENT CHARACTER}" for char in str(value))


def cell(value: object) -> Text:
    """A value in a table; a missing one is shown as a dash."""
    return Text("-" if value is None or value == "" else printable(value))


def print_json(value: BaseModel | Mapping[str, Any]) -> None:
    """Print JSON, with the fields that the platform answered."""
    fields = value.items() if isinstance(value, Mapping) else _as_answered(value).items()
    plain = {name: _as_answered(each) if isinstance(each, BaseModel) else each for name, each in fields}
    sys.stdout.write(json.dumps(plain, indent=2, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def print_json_line(value: BaseModel) -> None:
    """Print one of many values as a line of JSON."""
    sys.stdout.write(value.model_dump_json() + "\n")
    sys.stdout.flush()


def _as_answered(value: BaseModel) -> dict[str, Any]:
    return value.model_dump(mode="json", exclude_unset=True, by_alias=True)


def print_text(text: str) -> None:
    """Print text without control characters."""
    sys.stdout.write(f"{printable(text)}\n")


def print_table(items: Iterable[T], columns: Columns[T]) -> None:
    """Print a list, one item a line."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title, _ in columns:
        table.add_column(title, overflow="fold")
    rows = [[cell(value(item)) for _, value in columns] for item in items]
    for row in rows:
        table.add_row(*row)
    output.print(table if rows else "None yet.")


def print_sentence(sentence: str) -> None:
    """Print one sentence for people."""
    output.print(sentence, markup=False)


def print_facts(facts: Sequence[tuple[str, object]]) -> None:
    """Print names and values, one pair a line; values that are None are left out."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in facts:
        if value is not None:
            table.add_row(name, cell(value))
    output.print(table)


def size(count: int | None) -> str | None:
    """Bytes for people: 1536 is `1.5 KiB`."""
    if count is None:
        return None
    number, unit = float(count), 0
    while number >= 1024 and unit < len(UNITS) - 1:
        number, unit = number / 1024, unit + 1
    return f"{number:.0f} B" if unit == 0 else f"{number:.1f} {UNITS[unit]}"


def number(value: float | None, digits: int = 4) -> str | None:
    """A measured number."""
    return None if value is None else f"{value:.{digits}f}"


def duration(seconds: float | None) -> str | None:
    """Seconds for people: 75 is `1:15`."""
    if seconds is None:
        return None
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def moment(time: datetime | None) -> str | None:
    """A point in time, in the local zone."""
    return None if time is None else time.astimezone().strftime("%Y-%m-%d %H:%M:%S")
