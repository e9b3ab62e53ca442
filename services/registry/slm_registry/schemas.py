"""HTTP bodies of the registry."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from slm_registry.tables import EvaluationRow, ModelRow


class Reference(BaseModel):
    """Another model or dataset, as it was when this model was made."""

    id: UUID
    name: str
    sha256: str | None = None


class ModelEvaluation(BaseModel):
    """The scores of a model on a dataset."""

    id: UUID
    model_id: UUID
    model_name: str
    dataset_id: UUID
    dataset_name: str
    rows: int
    metrics: dict[str, float]
    completed_at: datetime

    @classmethod
    def of(cls, row: EvaluationRow) -> "ModelEvaluation":
        """The evaluation in a row."""
        return cls.model_validate(row, from_attributes=True)


class Model(BaseModel):
    """One model version. Losses are in nats per trained token; `manifest_sha256` names the artifact."""

    id: UUID
    name: str
    family: str
    version: int
    is_latest: bool
    kind: str
    base_model: Reference | None
    experiment_id: UUID | None
    run_id: UUID | None
    run_name: str | None
    goal: str | None
    method: str | None
    training_dataset: Reference | None
    evaluation_dataset: Reference | None
    artifact_prefix: str
    manifest_key: str
    manifest_sha256: str
    size_bytes: int
    parameter_count: int
    architecture: dict[str, Any]
    config: dict[str, Any]
    steps: int | None
    train_loss: float | None
    eval_loss: float | None
    duration_s: float | None
    created_at: datetime

    @classmethod
    def of(cls, row: ModelRow) -> "Model":
        """The model in a row that was read with its `latest_version`."""
        columns = {column.key: getattr(row, column.key) for column in row.__table__.columns}
        return cls.model_validate(columns | {"is_latest": row.version == row.latest_version})


class DatasetFacts(BaseModel):
    """What a card tells of a dataset; `sha256` is that of its canonical Parquet."""

    id: UUID
    name: str
    sha256: str | None
    rows: int | None


class ArtifactFile(BaseModel):
    """One file of a model."""

    path: str
    size_bytes: int
    sha256: str


class Card(BaseModel):
    """The facts of a model in one place: what it is, what made it, what it scores, and the chain from rows to files."""

    model: Model
    training_dataset: DatasetFacts | None
    evaluation_dataset: DatasetFacts | None
    evaluations: list[ModelEvaluation]
    base_evaluations: list[ModelEvaluation]
    files: list[ArtifactFile]


class LineageNode(BaseModel):
    """A dataset, run, experiment, model or evaluation."""

    id: str
    type: str
    name: str


class LineageEdge(BaseModel):
    """`source` led to `target`."""

    source: str
    target: str
    relation: str


class Lineage(BaseModel):
    """Where a model comes from and what it scored, as a graph."""

    nodes: list[LineageNode]
    edges: list[LineageEdge]
