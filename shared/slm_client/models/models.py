"""Models and their lineage."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydantic import Field

from slm_client.models.base import Answer, Reference


class Model(Answer):
    """One model version, `<family>-v<version>`; `kind` is `base` or `fine_tuned`.

    `revision` is what an edit has to name: it counts the edits so far.
    """

    id: str
    name: str
    family: str = ""
    version: int = 0
    is_latest: bool | None = None
    kind: str = ""
    base_model: Reference | None = None
    experiment_id: str | None = None
    run_id: str | None = None
    training_dataset: Reference | None = None
    evaluation_dataset: Reference | None = None
    manifest_sha256: str | None = None
    size_bytes: int | None = None
    parameter_count: int | None = None
    architecture: dict[str, Any] = Field(default_factory=dict)
    config: dict[str, Any] = Field(default_factory=dict)
    method: str | None = None
    run_name: str | None = None
    goal: str | None = None
    steps: int | None = None
    duration_s: float | None = None
    train_loss: float | None = None
    eval_loss: float | None = None
    created_at: datetime | None = None
    description: str | None = None
    tags: Sequence[str] = ()
    aliases: Sequence[str] = ()
    owner: str | None = None
    revision: int = 1
    deleted_at: datetime | None = None


class Alias(Answer):
    """An alias and its model."""

    name: str
    model: str
    model_id: str | None = None
    moved_at: datetime | None = None


class AliasMove(Answer):
    """One move of an alias; `evidence` is what a promotion was decided on."""

    alias: str
    model: str | None = None
    previous: str | None = None
    moved_at: datetime | None = None
    moved_by: str | None = None
    reason: str | None = None
    evidence: Sequence[dict[str, Any]] = ()


class Aliases(Answer):
    """The aliases of a family and their newest moves, newest first."""

    family: str
    aliases: Sequence[Alias] = ()
    history: Sequence[AliasMove] = ()


class Use(Answer):
    """How often a model was used in one way."""

    kind: str
    count: int
    last_at: datetime | None = None


class Usage(Answer):
    """The uses of a model."""

    model_id: str
    uses: Sequence[Use] = ()


class ComparedFact(Answer):
    """One fact of several models, in their order."""

    name: str
    values: Sequence[Any] = ()
    same: bool = False


class ModelComparison(Answer):
    """The comparison of models: facts, configuration, and metrics by dataset."""

    models: Sequence[Model] = ()
    facts: Sequence[ComparedFact] = ()
    configuration: Sequence[ComparedFact] = ()
    metrics: Sequence[ComparedFact] = ()


class LineageNode(Answer):
    """A dataset, run, experiment, attempt, model, evaluation or alias."""

    id: str
    type: str
    name: str


class LineageEdge(Answer):
    """`source` led to `target`."""

    source: str
    target: str
    relation: str
    at: datetime | None = None


class Lineage(Answer):
    """The lineage of a model as a graph."""

    nodes: Sequence[LineageNode] = ()
    edges: Sequence[LineageEdge] = ()
    truncated: bool = False


class ContainingModels(Answer):
    """All models trained on a dataset version, directly or through their base model."""

    dataset: str
    models: Sequence[Model] = ()


class TimelineEntry(Answer):
    """One entry in the timeline of a model."""

    seq: int
    at: datetime | None = None
    type: str
    data: dict[str, Any] = Field(default_factory=dict)


class Timeline(Answer):
    """What happened to a model, newest first; more with `before=next_before`."""

    items: Sequence[TimelineEntry] = ()
    next_before: int | None = None


class PromotionCheck(Answer):
    """The result of each condition of the promotion policy."""

    model: str
    rival: str | None = None
    allowed: bool = False
    conditions: Sequence[dict[str, Any]] = ()


class Verification(Answer):
    """Whether the files of a model are those that were registered."""

    model: str
    manifest_sha256: str | None = None
    signed: bool = False
    files: int = 0
    size_bytes: int = 0
    intact: bool = False
    problems: Sequence[str] = ()


class Reproduction(Answer):
    """Everything that is needed to reproduce a model."""

    model: str
    config: dict[str, Any] = Field(default_factory=dict)
    config_yaml: str = ""
    seed: int | None = None
    base_model: dict[str, Any] = Field(default_factory=dict)
    training_dataset: dict[str, Any] = Field(default_factory=dict)
    evaluation_dataset: dict[str, Any] | None = None
    versions: dict[str, str] = Field(default_factory=dict)
    precision: str | None = None
    code_version: str | None = None
    manifest_sha256: str | None = None
