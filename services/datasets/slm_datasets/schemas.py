"""HTTP bodies of the datasets service."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from slm_datasets.tables import DatasetRow
from slm_shared.requests import Body

Usage = Literal["training", "evaluation"]
ColumnName = Annotated[str, Field(min_length=1, max_length=200)]


class UploadFields(Body):
    """The fields of an upload beside the file itself."""

    name: Annotated[str, Field(min_length=1, max_length=120)] | None = None
    usage: Usage = "training"
    description: Annotated[str, Field(max_length=4000)] | None = None
    prompt_column: ColumnName | None = None
    completion_column: ColumnName | None = None


class Column(BaseModel):
    """One column and its type, as Polars names it."""

    name: str
    type: str


class DatasetError(BaseModel):
    """What is wrong with an uploaded file; `line` counts from 1, `column` is a column's name."""

    code: str
    message: str
    line: int | None = None
    column: str | None = None
    hint: str | None = None


class Dataset(BaseModel):
    """One dataset version. `sha256` is that of the uploaded file, `canonical_sha256` that of the Parquet made of it."""

    id: UUID
    name: str
    family: str
    version: int
    description: str | None
    owner: str
    usage: str
    status: str
    format: str
    file_name: str
    size_bytes: int
    sha256: str
    data_type: str | None
    row_format: str | None
    mapping: dict[str, str]
    columns: list[Column]
    rows: int | None
    object_key: str | None
    canonical_sha256: str | None
    error: DatasetError | None
    created_at: datetime
    processed_at: datetime | None

    @classmethod
    def of(cls, row: DatasetRow) -> "Dataset":
        """The dataset in a row."""
        return cls.model_validate(row, from_attributes=True)


class Preview(BaseModel):
    """Some rows of a dataset, in order, and how many there are."""

    items: list[dict[str, Any]]
    offset: int
    total: int
