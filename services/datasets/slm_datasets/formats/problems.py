"""What makes a file unusable, with the place where it shows."""

from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import Any

MAX_KEPT = 100
SAMPLE_CHARACTERS = 120


@dataclass
class FileProblemError(Exception):
    """One thing wrong with a file.

    `line` counts from 1 (in a document of several lines and in binary formats it is the row), `column` names a column,
    `position` is a character of the line from 1, `path` a JSON pointer into the row (RFC 6901), `sample` a short piece
    of the file around the place.
    """

    code: str
    message: str
    line: int | None = None
    column: str | None = None
    hint: str | None = None
    position: int | None = None
    path: str | None = None
    sample: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """The fields by name."""
        return asdict(self)


@dataclass
class ProblemLog:
    """Collects what is wrong with single rows: the first hundred in full, and how many of each code."""

    items: list[FileProblemError] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, problem: FileProblemError) -> None:
        """Note one more."""
        self.counts[problem.code] += 1
        if len(self.items) < MAX_KEPT:
            self.items.append(problem)

    @property
    def total(self) -> int:
        """How many there were."""
        return sum(self.counts.values())

    def as_dict(self) -> dict[str, Any]:
        """Everything as JSON values."""
        return {
            "total": self.total,
            "counts": dict(self.counts),
            "items": [problem.as_dict() for problem in self.items],
        }


def sample_of(text: str, position: int | None = None) -> str:
    """A short printable piece of a line around a character (from 1), or its beginning."""
    start = max(0, (position or 1) - 1 - SAMPLE_CHARACTERS // 2)
    piece = text[start : start + SAMPLE_CHARACTERS].rstrip("\r\n")
    shown = "".join(char if char.isprintable() or char == "\t" else "\N{REPLACEMENT CHARACTER}" for char in piece)
    return f"{'…' if start else ''}{shown}{'…' if start + SAMPLE_CHARACTERS < len(text.rstrip()) else ''}"
