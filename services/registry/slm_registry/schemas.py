"""HTTP bodies of the registry."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import AfterValidator, BaseModel, Field

from slm_registry.tables import AliasMoveRow, EvaluationRow, ModelRow, UsageRow
from slm_shared.requests import Body

Tag = Annotated[str, Field(min_length=1, max_length=60)]


def _unique(tags: list[str]) -> list[str]:
    return list(dict.fromkeys(tags))


Tags = Annotated[list[Tag], Field(max_length=50), AfterValidator(_unique)]


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
    """One model version. Losses are in nats per trained token; `manifest_sha256` names the artifact.

    `revision` counts the edits of `description` and `tags`; it is the ETag, and what If-Match of an edit must say.
    """

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
    description: str | None = None
    tags: list[str] = []
    aliases: list[str] = []
    owner: str | None = None
    revision: int = 1
    deleted_at: datetime | None = None

    @classmethod
    def of(cls, row: ModelRow) -> "Model":
        """The model in a row that was read with its `latest_version` and `aliases`."""
        columns = {column.key: getattr(row, column.key) for column in row.__table__.columns}
        is_latest = row.deleted_at is None and row.version == row.latest_version
        return cls.model_validate(columns | {"is_latest": is_latest, "aliases": row.aliases or []})


class ModelEdit(Body):
    """What may be changed of a model; a field that is left out stays, a description of null is taken away."""

    description: Annotated[str, Field(max_length=10_000)] | None = None
    tags: Tags = Field(default_factory=list)


class AliasMove(BaseModel):
    """One move of an alias: from which model to which, by whom and why."""

    alias: str
    model: str | None
    previous: str | None
    moved_at: datetime
    moved_by: str
    reason: str
    evidence: list[dict[str, Any]] = []

    @classmethod
    def of(cls, row: AliasMoveRow, names: Mapping[UUID, str]) -> "AliasMove":
        """The move in a row; `names` are those of the models."""
        model, previous = (names.get(each) if each else None for each in (row.model_id, row.previous_model_id))
        fields = {"moved_at": row.moved_at, "moved_by": row.moved_by, "reason": row.reason, "evidence": row.evidence}
        return cls.model_validate({"alias": row.name, "model": model, "previous": previous, **fields})


class Alias(BaseModel):
    """Where an alias leads."""

    name: str
    model: str
    model_id: UUID
    moved_at: datetime


class Aliases(BaseModel):
    """The aliases of a family, and the newest 200 of their moves, newest first."""

    family: str
    aliases: list[Alias]
    history: list[AliasMove]


class Use(BaseModel):
    """How often a model was used in one way, and when last."""

    kind: str
    count: int
    last_at: datetime

    @classmethod
    def of(cls, row: UsageRow) -> "Use":
        """The use in a row."""
        return cls.model_validate(row, from_attributes=True)


class Usage(BaseModel):
    """What a model was used for: `download`, `file`, `evaluation` (measured) and `training` (a base of others)."""

    model_id: UUID
    uses: list[Use]


class ComparedFact(BaseModel):
    """One fact of several models side by side, in the order of the models; null where a model has none."""

    name: str
    values: list[Any]
    same: bool


class Comparison(BaseModel):
    """Models side by side. A metric is named `<dataset>: <metric>` and is that of the newest evaluation there."""

    models: list[Model]
    facts: list[ComparedFact]
    configuration: list[ComparedFact]
    metrics: list[ComparedFact]


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
