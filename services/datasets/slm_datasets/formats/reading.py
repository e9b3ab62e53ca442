"""Options for reading a file, and the progress that is reported meanwhile."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from slm_datasets.formats.problems import FileProblemError, ProblemLog

GIB = 1024**3

OnProgress = Callable[[str, int, int | None], None]
"""Called with a stage, and how much of how much is done."""


@dataclass(frozen=True)
class Reading:
    """How a file is to be read; what is None is detected. Sizes in bytes."""

    format: str
    compression: str | None = None
    mapping: Mapping[str, str] = field(default_factory=dict)
    on_bad_rows: str = "fail"
    delimiter: str | None = None
    has_header: bool | None = None
    sample_by: str = "line"
    max_expanded_bytes: int = 10 * GIB


class BadRowsError(Exception):
    """Rows of the file are bad and none may be left out."""

    def __init__(self, log: ProblemLog) -> None:
        super().__init__(f"{log.total} problems")
        self.log = log


def no_rows(log: ProblemLog) -> FileProblemError | BadRowsError:
    """The error of a file of which nothing is left."""
    if log.total:
        return BadRowsError(log)
    return FileProblemError("no_rows", "The file has no rows.", hint="Upload a file with at least one row.")
