"""Processing files in a test, without a service."""

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from slm_datasets.child.canonical import make_canonical
from slm_datasets.formats.problems import FileProblemError
from slm_datasets.formats.reading import BadRowsError, Reading


def process(folder: Path, content: bytes, file_format: str, **reading: Any) -> tuple[dict[str, Any], pl.DataFrame]:
    """What is said of a file, and its rows."""
    source, target = folder / "raw", folder / "canonical.parquet"
    source.write_bytes(content)
    found = make_canonical(source, target, Reading(format=file_format, **reading))
    return found, pl.read_parquet(target)


def problems_of(folder: Path, content: bytes, file_format: str, **reading: Any) -> list[FileProblemError]:
    """Everything that is wrong with a file."""
    with pytest.raises((FileProblemError, BadRowsError)) as caught:
        process(folder, content, file_format, **reading)
    error = caught.value
    if isinstance(error, FileProblemError):
        return [error]
    assert isinstance(error, BadRowsError)
    return error.log.items


def problem_of(folder: Path, content: bytes, file_format: str, **reading: Any) -> FileProblemError:
    """The first thing that is wrong with a file."""
    return problems_of(folder, content, file_format, **reading)[0]
