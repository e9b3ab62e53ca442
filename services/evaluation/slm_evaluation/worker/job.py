"""What the lease says about an evaluation, and the job the supervisor hands to its child."""

from pathlib import Path
from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class ModelRef(_Message):
    """A model as an artifact in the object store; `signature` is the registry's over id, name and manifest hash."""

    id: UUID
    name: str
    artifact_prefix: str
    manifest_sha256: str
    signature: str | None = None


class DatasetRef(_Message):
    """A canonical dataset (Parquet) in the object store."""

    id: UUID
    name: str
    object_key: str
    sha256: str
    row_format: str
    mapping: dict[str, str]


class SuiteRef(_Message):
    """A benchmark suite: tasks of `lm-eval` by name, or written out and then about the rows of the dataset."""

    name: str
    tasks: list[str | dict[str, Any]]
    few_shot: int
    limit: int | None
    chat: bool


class Measuring(_Message):
    """How to measure; lengths in tokens. Without `metrics` everything that applies is measured; a suite says itself."""

    max_length: int
    max_new_tokens: int
    generations: int
    metrics: list[str] | None = None
    suite: SuiteRef | None = None


class EvaluationLease(_Message):
    """What a claim returns."""

    evaluation_id: UUID
    epoch: int
    model: ModelRef
    dataset: DatasetRef
    settings: Measuring
    predictions_prefix: str


class EvaluationJob(_Message):
    """Everything the child needs; it reads and writes only the paths named here."""

    lease: EvaluationLease
    model_folder: Path
    rows: Path
    predictions: Path
    index: Path


class SuiteRefusedError(Exception):
    """A benchmark suite cannot be run here; `code` says why, the message what to do."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
