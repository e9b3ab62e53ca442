"""THE catalogue: every event of the platform, in one file.

An event is a fact that happened, named by its owner and published only by that owner. Its subject on the stream
`EVENTS` is its name. Bodies are small and flat: ids, checksums and object keys, never payloads. Within a version only
optional fields are added; consumers ignore fields they do not know; a breaking change is a new subject
(`run.launched.v2`).
"""

from datetime import datetime
from typing import ClassVar, Literal, TypeAlias
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

Scalar: TypeAlias = str | int | float | bool | None
Usage: TypeAlias = Literal["training", "evaluation", "corpus"]
Method: TypeAlias = Literal["full", "lora"]
Blame: TypeAlias = Literal["user", "system", "infra"]
ModelKind: TypeAlias = Literal["base", "fine_tuned"]


class Event(BaseModel):
    """Root of all events: `subject` is the name, `owner` the one service that publishes it."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False, protected_namespaces=())

    subject: ClassVar[str]
    owner: ClassVar[str]
    aggregate: ClassVar[str]

    @property
    def aggregate_id(self) -> UUID:
        """The id of the thing the event is about."""
        value: UUID = getattr(self, self.aggregate)
        return value


class DatasetUploaded(Event):
    """A file was accepted and stored as it is; processing begins."""

    subject, owner, aggregate = "dataset.uploaded", "datasets", "dataset_id"

    dataset_id: UUID
    name: str
    family: str
    version: int
    usage: Usage
    size_bytes: int
    sha256: str


class DatasetProcessed(Event):
    """A dataset version is ready: canonical Parquet lies under `object_key`, with `sha256` over its bytes.

    `mapping` renames columns to the row format's own names, e.g. `{"prompt": "question", "completion": "answer"}`.
    """

    subject, owner, aggregate = "dataset.processed", "datasets", "dataset_id"

    dataset_id: UUID
    name: str
    family: str
    version: int
    usage: Usage
    data_type: str
    row_format: str
    columns: list[str]
    mapping: dict[str, str] = Field(default_factory=dict)
    rows: int
    size_bytes: int
    sha256: str
    object_key: str


class DatasetFailed(Event):
    """A dataset version cannot be used; `line` is where in the uploaded file, counted from 1."""

    subject, owner, aggregate = "dataset.failed", "datasets", "dataset_id"

    dataset_id: UUID
    name: str
    code: str
    message: str
    line: int | None = None


class DatasetDeleted(Event):
    """A dataset version is gone for new work."""

    subject, owner, aggregate = "dataset.deleted", "datasets", "dataset_id"

    dataset_id: UUID
    name: str


class RunLaunched(Event):
    """A run is queued; a trainer of `pool` may claim it."""

    subject, owner, aggregate = "run.launched", "training", "run_id"

    run_id: UUID
    experiment_id: UUID
    name: str
    base_model_id: UUID
    base_model_name: str
    method: Method
    training_dataset_id: UUID
    evaluation_dataset_id: UUID | None = None
    pool: str = "default"


class ExperimentStarted(Event):
    """A trainer holds the lease of `epoch` and has begun; emitted once per attempt."""

    subject, owner, aggregate = "experiment.started", "training", "experiment_id"

    experiment_id: UUID
    run_id: UUID
    attempt: int
    epoch: int
    worker: str


class ExperimentCompleted(Event):
    """Training succeeded and its artifact was read back and matched its manifest.

    Losses are mean cross-entropy in nats per trained token; `config` holds every hyperparameter, the seed and the
    library versions.
    """

    subject, owner, aggregate = "experiment.completed", "training", "experiment_id"

    experiment_id: UUID
    run_id: UUID
    run_name: str
    goal: str | None = None
    attempt: int
    family: str
    method: Method
    base_model_id: UUID
    base_model_name: str
    training_dataset_id: UUID
    training_dataset_name: str
    training_dataset_sha256: str
    evaluation_dataset_id: UUID | None = None
    evaluation_dataset_name: str | None = None
    evaluation_dataset_sha256: str | None = None
    evaluation_dataset_key: str | None = None
    evaluation_row_format: str | None = None
    evaluation_mapping: dict[str, str] = Field(default_factory=dict)
    manifest_key: str
    manifest_sha256: str
    artifact_prefix: str
    size_bytes: int
    parameter_count: int
    steps: int
    train_loss: float
    eval_loss: float | None = None
    duration_s: float
    started_at: datetime
    completed_at: datetime
    config: dict[str, Scalar] = Field(default_factory=dict)


class ExperimentFailed(Event):
    """Training ended without a model; `blame` says whose fault it is."""

    subject, owner, aggregate = "experiment.failed", "training", "experiment_id"

    experiment_id: UUID
    run_id: UUID
    code: str
    message: str
    blame: Blame


class ExperimentCancelled(Event):
    """Somebody stopped the run before it ended."""

    subject, owner, aggregate = "experiment.cancelled", "training", "experiment_id"

    experiment_id: UUID
    run_id: UUID


class ModelRegistered(Event):
    """A model version exists, with its artifact under `artifact_prefix` and the evaluation set to score it on.

    `signature` is the registry's (JWS, Ed25519) over id, name and manifest hash.
    """

    subject, owner, aggregate = "model.registered", "registry", "model_id"

    model_id: UUID
    name: str
    family: str
    version: int
    kind: ModelKind
    base_model_id: UUID | None = None
    experiment_id: UUID | None = None
    run_id: UUID | None = None
    training_dataset_id: UUID | None = None
    evaluation_dataset_id: UUID | None = None
    evaluation_dataset_name: str | None = None
    evaluation_dataset_key: str | None = None
    evaluation_dataset_sha256: str | None = None
    evaluation_row_format: str | None = None
    evaluation_mapping: dict[str, str] = Field(default_factory=dict)
    artifact_prefix: str
    manifest_key: str
    manifest_sha256: str
    size_bytes: int
    parameter_count: int
    signature: str | None = None


class ModelPromoted(Event):
    """The alias `champion` of a family moved to this model; `reason` says by which decision."""

    subject, owner, aggregate = "model.promoted", "registry", "model_id"

    model_id: UUID
    name: str
    family: str
    version: int
    previous_model_id: UUID | None = None
    reason: str


class ModelDeleted(Event):
    """A model version is gone for new work; its lineage stays."""

    subject, owner, aggregate = "model.deleted", "registry", "model_id"

    model_id: UUID
    name: str
    family: str
    version: int


class EvaluationCompleted(Event):
    """One model was measured on one dataset."""

    subject, owner, aggregate = "evaluation.completed", "evaluation", "evaluation_id"

    evaluation_id: UUID
    model_id: UUID
    model_name: str
    dataset_id: UUID
    dataset_name: str
    rows: int
    metrics: dict[str, float]
    started_at: datetime | None = None


class EvaluationFailed(Event):
    """An evaluation ended without numbers."""

    subject, owner, aggregate = "evaluation.failed", "evaluation", "evaluation_id"

    evaluation_id: UUID
    model_id: UUID
    dataset_id: UUID
    code: str
    message: str
    model_name: str | None = None
    dataset_name: str | None = None
    started_at: datetime | None = None


class EvaluationRegressed(Event):
    """A model scores worse than the version before it on the same rows, beyond the interval of the paired difference.

    `differences` is now minus before for each metric that is worse, `low` to `high` its 95 % interval.
    """

    subject, owner, aggregate = "evaluation.regressed", "evaluation", "evaluation_id"

    evaluation_id: UUID
    model_id: UUID
    model_name: str
    dataset_id: UUID
    dataset_name: str
    predecessor_evaluation_id: UUID
    predecessor_model_id: UUID
    predecessor_model_name: str
    differences: dict[str, float]
    low: dict[str, float]
    high: dict[str, float]


CATALOGUE: dict[str, type[Event]] = {
    event.subject: event
    for event in (
        DatasetUploaded,
        DatasetProcessed,
        DatasetFailed,
        DatasetDeleted,
        RunLaunched,
        ExperimentStarted,
        ExperimentCompleted,
        ExperimentFailed,
        ExperimentCancelled,
        ModelRegistered,
        ModelPromoted,
        ModelDeleted,
        EvaluationCompleted,
        EvaluationFailed,
        EvaluationRegressed,
    )
}


class MetricPoint(BaseModel):
    """One value of one series at one optimiser step; `value` is None where the trainer measured a non-finite number."""

    step: int = Field(ge=0)
    name: str = Field(min_length=1, max_length=100)
    value: float | None
    time: datetime


class LogLine(BaseModel):
    """One line of a trainer's log."""

    time: datetime
    level: str = Field(max_length=16)
    message: str


class TelemetryBatch(BaseModel):
    """What a worker sends on `telemetry.<experiment_id>`; `batch` counts from 0 within one lease epoch."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    experiment_id: UUID
    epoch: int
    batch: int = Field(ge=0)
    points: list[MetricPoint] = Field(default_factory=list)
    lines: list[LogLine] = Field(default_factory=list)


def telemetry_subject(experiment_id: UUID) -> str:
    """The subject on the stream `TELEMETRY` that carries one experiment's points and log lines."""
    return f"telemetry.{experiment_id}"
