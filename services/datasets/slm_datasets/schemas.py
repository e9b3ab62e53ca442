"""HTTP bodies of the datasets service."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Query
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from slm_datasets.domain.rows import FIELDS
from slm_datasets.tables import DatasetRow
from slm_shared.events.catalogue import Usage
from slm_shared.http.requests import Body

ColumnName = Annotated[str, Field(min_length=1, max_length=200)]
Origin = Literal["uploaded", "distilled", "synthetic", "imported"]
OnBadRows = Literal["fail", "skip"]
SampleBy = Literal["line", "paragraph", "document"]
DatasetSort = Literal["-created_at", "created_at", "name", "-name", "rows", "-rows", "size_bytes", "-size_bytes"]
DataType = Literal["text", "images", "tabular"]
RowFormatName = Literal["messages", "prompt/completion", "text", "chosen/rejected", "columns", "images"]
Reference = Annotated[str, Field(min_length=1, max_length=200)]


@dataclass(frozen=True)
class DatasetFilters:
    """What a list of datasets is narrowed to; None narrows nothing. `q` is a part of the name."""

    usage: Annotated[Usage | None, Query()] = None
    status: Annotated[Literal["in_progress", "processed", "error"] | None, Query()] = None
    data_type: Annotated[DataType | None, Query()] = None
    row_format: Annotated[RowFormatName | None, Query()] = None
    origin: Annotated[Origin | None, Query()] = None
    owner: Annotated[str | None, Query(max_length=200)] = None
    family: Annotated[str | None, Query(max_length=200)] = None
    sha256: Annotated[str | None, Query(max_length=200)] = None
    q: Annotated[str | None, Query(max_length=100, description="Part of the name.")] = None


class ReadingFields(Body):
    """How a file is to be read; what is not given is detected.

    `mapping` names the column that stands for each field of a row format, e.g. `{"prompt": "question"}`;
    `prompt_column` and `completion_column` are short for it. `sample_by` cuts plain text into rows.
    """

    prompt_column: ColumnName | None = None
    completion_column: ColumnName | None = None
    mapping: dict[str, ColumnName] = Field(default_factory=dict, max_length=len(FIELDS))
    on_bad_rows: OnBadRows = "fail"
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] | None = None
    has_header: bool | None = None
    sample_by: SampleBy = "line"

    model_config = ConfigDict(str_strip_whitespace=False)

    @field_validator("mapping", mode="before")
    @classmethod
    def _from_form(cls, value: Any) -> Any:
        """A form can only send text."""
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            raise ValueError('must be a JSON object such as {"prompt": "question"}') from None

    @model_validator(mode="after")
    def _known_fields(self) -> "ReadingFields":
        if unknown := sorted(set(self.mapping) - set(FIELDS)):
            raise ValueError(f"mapping: {unknown[0]} is none of {', '.join(FIELDS)}")
        return self

    def reading(self) -> dict[str, Any]:
        """What of this differs from detecting everything, as it is stored."""
        named = {"prompt": self.prompt_column, "completion": self.completion_column}
        mapping = {**{name: column for name, column in named.items() if column}, **self.mapping}
        given: dict[str, Any] = self.model_dump(exclude_defaults=True, exclude_none=True)
        names = ("on_bad_rows", "delimiter", "has_header", "sample_by")
        kept: dict[str, Any] = {name: given[name] for name in names if name in given}
        return {**kept, **({"mapping": mapping} if mapping else {})}


class UploadFields(ReadingFields):
    """The fields of an upload beside the file itself; `parents` are datasets that the rows were made from."""

    name: Annotated[str, Field(min_length=1, max_length=120)] | None = None
    usage: Usage = "training"
    description: Annotated[str, Field(max_length=4000)] | None = None
    origin: Origin = "uploaded"
    parents: Annotated[list[Reference], Field(max_length=20)] = Field(default_factory=list)

    @field_validator("parents", mode="before")
    @classmethod
    def _several(cls, value: Any) -> Any:
        """A form sends references separated by commas."""
        return [each.strip() for each in value.split(",") if each.strip()] if isinstance(value, str) else value


class Column(BaseModel):
    """One column and its type, as Polars names it."""

    name: str
    type: str


class Parent(BaseModel):
    """A dataset that another one was made from."""

    id: UUID
    name: str


class DatasetError(BaseModel):
    """What is wrong with an uploaded file; `line` counts from 1, `column` is a column's name."""

    code: str
    message: str
    line: int | None = None
    column: str | None = None
    hint: str | None = None


class Progress(BaseModel):
    """How far long work got: `done` of `total` units of a stage."""

    stage: str
    done: int
    total: int | None = None


class Dataset(BaseModel):
    """One dataset version. `sha256` is that of the uploaded file, `canonical_sha256` that of the Parquet made of it.

    `untrainable_because` says why no language model can be trained on it, null when one can or while it is processed;
    `suggested_mapping` is what could be given then. `skipped_rows` were left out, see its problems.
    """

    id: UUID
    name: str
    family: str
    version: int
    description: str | None
    owner: str
    usage: str
    origin: str
    parents: list[Parent]
    status: str
    progress: Progress | None
    format: str
    compression: str | None
    file_name: str
    size_bytes: int
    sha256: str
    data_type: str | None
    row_format: str | None
    source_format: str | None
    mapping: dict[str, str]
    suggested_mapping: dict[str, str]
    untrainable_because: str | None
    columns: list[Column]
    rows: int | None
    skipped_rows: int
    dialect: dict[str, Any] | None
    object_key: str | None
    canonical_sha256: str | None
    canonical_size_bytes: int | None
    error: DatasetError | None
    created_at: datetime
    processed_at: datetime | None

    @classmethod
    def of(cls, row: DatasetRow) -> "Dataset":
        """The dataset in a row."""
        return cls.model_validate(row, from_attributes=True)


class Problem(BaseModel):
    """One thing wrong with a file.

    `line` counts from 1, `column` is a column's name, `position` a character in the line from 1, `path` a JSON pointer
    into the row (RFC 6901), `sample` a short piece of the file around it.
    """

    code: str
    message: str
    line: int | None = None
    column: str | None = None
    position: int | None = None
    path: str | None = None
    hint: str | None = None
    sample: str | None = None


class ProblemLog(BaseModel):
    """Everything wrong with a file: the first hundred problems, and how many of each code."""

    total: int = 0
    counts: dict[str, int] = Field(default_factory=dict)
    items: list[Problem] = Field(default_factory=list)


class Problems(ProblemLog):
    """Everything wrong with a file: the first hundred, and how many of each kind. `skipped_rows` were left out."""

    skipped_rows: int = 0


class Preview(BaseModel):
    """Some rows of a dataset, in order, and how many there are."""

    items: list[dict[str, Any]]
    offset: int
    total: int


class SplitRequest(Body):
    """How to split: the part of the distinct rows that validation gets, and the seed that draws them."""

    validation_fraction: Annotated[float, Field(gt=0.0, lt=1.0, strict=True)] = 0.1
    seed: Annotated[int, Field(ge=0, lt=2**31, strict=True)] = 42


class Split(BaseModel):
    """The two datasets that a split makes; both are processed after the answer."""

    train: Dataset
    validation: Dataset


class UploadRequest(UploadFields):
    """A big file to come in parts. `sha256` (hex) is checked at completion, and may also be given only then."""

    file_name: Annotated[str, Field(min_length=1, max_length=400)]
    size_bytes: Annotated[int, Field(gt=0, strict=True)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None


class UploadPart(BaseModel):
    """One part of an upload; `url` is where to PUT it without credentials, null to PUT it through the gateway."""

    number: int
    offset: int
    size_bytes: int
    is_stored: bool
    url: str | None = None


class UploadState(BaseModel):
    """An upload in parts. PUT each part that is not stored, then complete it before `expires_at`."""

    id: UUID
    status: str
    file_name: str
    size_bytes: int
    part_bytes: int
    parts: list[UploadPart]
    expires_at: datetime


class CompleteRequest(Body):
    """The checksum of the whole file, unless the upload was begun with it."""

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] | None = None


class Job(BaseModel):
    """An examination of a dataset: `queued`, `done` with a report, or `failed` with an error."""

    id: UUID
    dataset_id: UUID
    status: str
    progress: Progress | None
    error: DatasetError | None
    created_at: datetime
    finished_at: datetime | None


class LengthBucket(BaseModel):
    """`rows` rows have from `from_tokens` to `to_tokens` tokens, both ends included."""

    from_tokens: int
    to_tokens: int
    rows: int


class Span(BaseModel):
    """A stretch of text as the model reads it; `trained` where the loss is taken on it."""

    text: str
    trained: bool


class RenderedRow(BaseModel):
    """One row as the model reads it; `row` counts from 1, `tokens` before any cut. Preferences have two sequences."""

    row: int
    outcome: Literal["kept", "truncated", "dropped"]
    tokens: int
    trained_tokens: int
    sequences: list[list[Span]]
    shortened: bool


class RowProblem(BaseModel):
    """A row that is not of its format; `row` counts from 1."""

    row: int
    message: str


class TokenCounts(BaseModel):
    """What training on a dataset would see. Lengths are in tokens, of rows before any cut to `max_length`.

    `rows` of `total_rows` were looked at, spread evenly. `total_tokens` and `trained_tokens` are what is left after the
    cut. `stop_token_trained` is true when every row that is kept whole has the stop token inside its loss mask.
    """

    rows: int
    total_rows: int
    kept_rows: int
    truncated_rows: int
    dropped_rows: int
    invalid_rows: int
    dropped_because: dict[str, int]
    max_length: int
    has_chat_template: bool
    total_tokens: int
    trained_tokens: int
    p50_length: int
    p95_length: int
    max_row_length: int
    lengths: list[LengthBucket]
    stop_token: str | None
    stop_token_trained: bool
    rows_with_stop_token: int
    samples: list[RenderedRow]
    problems: list[RowProblem]


class TokenReportRequest(Body):
    """For which base model, and to how many tokens each row is cut."""

    model: Reference
    max_length: Annotated[int, Field(ge=8, le=1_048_576, strict=True)] = 512


class TokenReport(Job):
    """What a dataset becomes in front of one base model and its chat template."""

    model_id: UUID
    model_name: str
    max_length: int
    report: TokenCounts | None


class ComparisonRequest(Body):
    """The dataset to compare with: a version to see what changed, an evaluation set to see what leaks into it."""

    other: Reference


class Comparison(Job):
    """Two datasets side by side; this one is the left. `report` has the schema's difference, counts of rows added,
    removed and common, and `exact` and `near` duplicates of texts between them."""

    other_id: UUID
    other_name: str
    report: dict[str, Any] | None


class Report(BaseModel):
    """What is known of the rows. `profile` is per column; `quality` follows a little after the dataset is processed."""

    dataset_id: UUID
    name: str
    rows: int
    profile: list[dict[str, Any]]
    quality_status: str
    quality: dict[str, Any] | None
