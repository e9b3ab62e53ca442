"""Datasets and their rows."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydantic import Field

from slm_client.models.base import Answer, Problem, Reference


class Column(Answer):
    """One column of a dataset."""

    name: str
    type: str


class WorkProgress(Answer):
    """Progress of long work: `done` of `total` units of a stage."""

    stage: str
    done: int = 0
    total: int | None = None


class Dataset(Answer):
    """One dataset version, `<family>-v<version>`; `status` is `in_progress`, `processed` or `error`."""

    id: str
    name: str
    family: str = ""
    version: int = 0
    description: str | None = None
    usage: str = ""
    data_type: str | None = None
    status: str
    format: str | None = None
    rows: int | None = None
    size_bytes: int | None = None
    sha256: str | None = None
    columns: Sequence[Column] = ()
    row_format: str | None = None
    mapping: dict[str, str] = Field(default_factory=dict)
    error: Problem | None = None
    created_at: datetime | None = None
    processed_at: datetime | None = None
    owner: str | None = None
    origin: str = "uploaded"
    parents: Sequence[Reference] = ()
    progress: WorkProgress | None = None
    compression: str | None = None
    file_name: str | None = None
    source_format: str | None = None
    suggested_mapping: dict[str, str] = Field(default_factory=dict)
    untrainable_because: str | None = None
    skipped_rows: int = 0
    dialect: dict[str, Any] | None = None
    canonical_sha256: str | None = None
    canonical_size_bytes: int | None = None


class DatasetProblem(Answer):
    """One problem of a file, with its place; `path` is a JSON pointer into the row."""

    code: str
    message: str
    line: int | None = None
    column: str | None = None
    position: int | None = None
    path: str | None = None
    hint: str | None = None
    sample: str | None = None


class DatasetProblems(Answer):
    """The problems of a file: the first hundred, and how many there are of each code."""

    total: int = 0
    counts: dict[str, int] = Field(default_factory=dict)
    skipped_rows: int = 0
    items: Sequence[DatasetProblem] = ()


class Split(Answer):
    """The two datasets of a split."""

    train: Dataset
    validation: Dataset


class DatasetReport(Answer):
    """A profile per column, and the quality of the rows once `quality_status` is `done`."""

    dataset_id: str
    name: str
    rows: int
    profile: Sequence[dict[str, Any]] = ()
    quality_status: str = "queued"
    quality: dict[str, Any] | None = None


class Preview(Answer):
    """The first rows of a processed dataset."""

    rows: Sequence[dict[str, Any]] = Field(default=(), alias="items")
    total: int | None = None
