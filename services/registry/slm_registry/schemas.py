"""HTTP bodies of the registry."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import Query
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from slm_registry.domain import parse_model_name
from slm_registry.tables import AliasMoveRow, EvaluationRow, ModelRow, UsageRow
from slm_shared.events.catalogue import ModelKind
from slm_shared.http.requests import Body
from slm_shared.references import PinnedReference

Tag = Annotated[str, Field(min_length=1, max_length=60)]


def _unique(tags: list[str]) -> list[str]:
    return list(dict.fromkeys(tags))


def _no_version(family: str) -> str:
    if parse_model_name(family):
        raise ValueError("must not end in a version; the platform counts the versions")
    return family


Text = Annotated[str | None, Query(max_length=200)]
Tags = Annotated[list[Tag], Field(max_length=50), AfterValidator(_unique)]


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
    `signature` is a JWS (Ed25519) over id, name and `manifest_sha256`.
    """

    id: UUID
    name: str
    family: str
    version: int
    is_latest: bool
    kind: str
    base_model: PinnedReference | None
    experiment_id: UUID | None
    run_id: UUID | None
    run_name: str | None
    goal: str | None
    method: str | None
    training_dataset: PinnedReference | None
    evaluation_dataset: PinnedReference | None
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
    signature: str | None = None

    @classmethod
    def of(cls, row: ModelRow) -> "Model":
        """The model in a row that was read with its `latest_version` and `aliases`."""
        columns = {column.key: getattr(row, column.key) for column in row.__table__.columns}
        is_latest = row.deleted_at is None and row.version == row.latest_version
        return cls.model_validate(columns | {"is_latest": is_latest, "aliases": row.aliases or []})


@dataclass(frozen=True)
class ModelFilters:
    """What a list of models is narrowed to; None narrows nothing."""

    kind: Annotated[ModelKind | None, Query()] = None
    family: Annotated[str | None, Query(max_length=100)] = None
    experiment_id: Annotated[UUID | None, Query()] = None
    base_model: Annotated[Text, Query(description="Id or name of the base.")] = None
    dataset: Annotated[Text, Query(description="Id or name of the training or evaluation dataset.")] = None
    tag: Annotated[str | None, Query(max_length=60)] = None
    alias: Annotated[str | None, Query(max_length=40, description="Those that this alias of a family leads to.")] = None
    latest: Annotated[bool | None, Query(description="Only the latest of each family, or only the others.")] = None
    deleted: Annotated[bool, Query(description="Also those that were deleted.")] = False
    q: Annotated[str | None, Query(max_length=100, description="Part of the name, or words said of the model.")] = None


class ModelEdit(Body):
    """What may be changed of a model. A field that is left out keeps its value; a description of null removes it."""

    description: Annotated[str, Field(max_length=10_000)] | None = None
    tags: Tags = Field(default_factory=list)


class UploadFields(Body):
    """The fields of an uploaded model; with `base_model` it counts as fine-tuned from that.

    `source` says where its files came from, such as `hf:owner/name@commit`. The form sends each tag as a field `tag`.
    """

    family: Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=80), AfterValidator(_no_version)]
    base_model: Annotated[str, Field(max_length=200)] | None = None
    description: Annotated[str, Field(max_length=10_000)] | None = None
    tags: Tags = Field(default_factory=list, validation_alias="tag")
    source: Annotated[str, Field(pattern=r"^[a-z]+:[\x21-\x7e]+$", max_length=300)] | None = None


class Evidence(BaseModel):
    """One condition of the promotion policy: whether it held, and what was found."""

    model_config = ConfigDict(from_attributes=True)

    condition: str
    holds: bool
    finding: str


class AliasMove(BaseModel):
    """One move of an alias: from which model to which, by whom and why."""

    alias: str
    model: str | None
    previous: str | None
    moved_at: datetime
    moved_by: str
    reason: str
    evidence: list[Evidence] = []

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


class PromotionCheck(BaseModel):
    """Whether a model may become `champion`: every condition of the policy, whether it holds, and what was found.

    `rival` is what it is compared with: the champion, or without one the base.
    """

    model: str
    rival: str | None
    allowed: bool
    conditions: list[Evidence]


class Promotion(Body):
    """Why a model is promoted; `force` moves the alias whatever the policy finds, which only administrators may."""

    reason: Annotated[str, Field(min_length=1, max_length=500)] | None = None
    force: Annotated[bool, Field(strict=True)] = False


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
    """What a card shows of a dataset; `sha256` is that of its canonical Parquet."""

    id: UUID
    name: str
    sha256: str | None
    rows: int | None


class ArtifactFile(BaseModel):
    """One file of a model."""

    path: str
    size_bytes: int
    sha256: str


class TokenizerFacts(BaseModel):
    """What a model's own files say of its tokenizer."""

    kind: str | None
    max_length: int | None
    has_chat_template: bool
    chat_template_sha256: str | None


class Card(BaseModel):
    """The facts of a model in one place: what it is, what made it, what it scores, and the chain from rows to files.

    `parents` are the base, its base, and so on; `versions` the libraries that made it, `code_version` the platform's
    code; `lineage` is a Mermaid drawing.
    """

    model: Model
    training_dataset: DatasetFacts | None
    evaluation_dataset: DatasetFacts | None
    evaluations: list[ModelEvaluation]
    base_evaluations: list[ModelEvaluation]
    files: list[ArtifactFile]
    tokenizer: TokenizerFacts | None = None
    objective: str | None = None
    parents: list[PinnedReference] = Field(default_factory=list)
    versions: dict[str, str] = Field(default_factory=dict)
    code_version: str | None = None
    regressions: list[dict[str, Any]] = Field(default_factory=list)
    signed: bool = False
    lineage: str | None = None


class Verification(BaseModel):
    """Whether an artifact is what was registered: each file read back, and the signature of its manifest."""

    model: str
    manifest_sha256: str
    signed: bool
    files: int
    size_bytes: int
    intact: bool
    problems: list[str]


class Reproduction(BaseModel):
    """What it takes to make a model again: the configuration of a run, and the hashes it must meet.

    With the same rows, base, seed and library versions on the same kind of machine the same weights come out; the
    manifest's hash tells whether they did. `code_version` is the platform's that trained it, with its commit where one
    was known; null for models from before it was kept.
    """

    model: str
    config: dict[str, Any]
    config_yaml: str
    seed: int | None
    base_model: dict[str, Any]
    training_dataset: dict[str, Any]
    evaluation_dataset: dict[str, Any] | None
    versions: dict[str, str]
    precision: str | None
    code_version: str | None
    manifest_sha256: str


class ContainingModels(BaseModel):
    """Every model that contains a dataset version: trained on it, or made from a model that was."""

    dataset: str
    models: list[Model]


class Happening(BaseModel):
    """Something that happened to a model: registered, evaluated, named, promoted, regressed, edited, deleted."""

    seq: int
    at: datetime
    type: str
    data: dict[str, Any]


class Timeline(BaseModel):
    """What happened to a model, newest first; ask for more with `before=next_before` while that is not null."""

    items: list[Happening]
    next_before: int | None = None
