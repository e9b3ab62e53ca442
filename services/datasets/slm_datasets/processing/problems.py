"""What makes a file unusable, with the place where it shows."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass
class FileProblemError(Exception):
    """One thing wrong with a file; `line` counts from 1, `column` names a column."""

    code: str
    message: str
    line: int | None = None
    column: str | None = None
    hint: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """The fields by name."""
        return asdict(self)
