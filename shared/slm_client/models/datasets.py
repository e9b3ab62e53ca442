"""Datasets and their rows."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydantic import Field

from slm_client.models.base import Answer, Problem


class Column(Answer):
    """One column of a dataset."""

    name: str
    type: str


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


class Preview(Answer):
    """The first rows of a processed dataset."""

    rows: Sequence[dict[str, Any]] = Field(default=(), alias="items")
    total: int | None = None
