"""What the platform answers, typed where it is known. Fields this client does not know are kept as they came."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field

T = TypeVar("T")


class Answer(BaseModel):
    """Root of all answers."""

    model_config = ConfigDict(extra="allow", frozen=True, protected_namespaces=())


class Page(Answer, Generic[T]):
    """One page of a list, newest first; `next_cursor` is None on the last."""

    items: Sequence[T]
    next_cursor: str | None = None


class Reference(Answer):
    """A thing named by another; a dataset carries its checksum and rows."""

    id: str
    name: str
    sha256: str | None = None
    rows: int | None = None


class Problem(Answer):
    """Why something failed: `blame` is `user`, `system` or `infra`, `line` counts from 1 in the uploaded file."""

    code: str
    message: str
    blame: str | None = None
    line: int | None = None
    column: str | int | None = None
    hint: str | None = None
    log_tail: str | Sequence[str] | None = None


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


class Run(Answer):
    """A request to train, and where it stands."""

    id: str
    experiment_id: str
    name: str
    family: str | None = None
    state: str
    base_model: Reference | None = None
    training_dataset: Reference | None = None
    evaluation_dataset: Reference | None = None
    config: dict[str, Any] = Field(default_factory=dict)
    created_at: datetime | None = None
    owner: str | None = None
    error: Problem | None = None


class Progress(Answer):
    """How far a training is; `loss` is the latest one, in nats per trained token."""

    step: int | None = None
    total_steps: int | None = None
    epoch: float | None = None
    tokens_per_s: float | None = None
    eta_s: float | None = None
    loss: float | None = None


class Experiment(Answer):
    """One training and what came of it; `status` is queued, running, completed, failed or cancelled."""

    id: str
    run_id: str
    name: str = ""
    status: str
    state: str | None = None
    attempt: int = 0
    base_model: Reference | None = None
    training_dataset: Reference | None = None
    evaluation_dataset: Reference | None = None
    config: dict[str, Any] = Field(default_factory=dict)
    progress: Progress | None = None
    train_loss: float | None = None
    eval_loss: float | None = None
    steps: int | None = None
    created_at: datetime | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    error: Problem | None = None

    @property
    def is_finished(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.status in {"completed", "failed", "cancelled"}


class MetricPoint(Answer):
    """One value at one optimiser step; None where a non-finite number was measured."""

    step: int
    value: float | None
    time: datetime | None = None


class Metrics(Answer):
    """The metric series of one experiment, by name."""

    experiment_id: str
    series: dict[str, Sequence[MetricPoint]] = Field(default_factory=dict)


class LogLine(Answer):
    """One line of a trainer's log; `seq` grows within one experiment."""

    seq: int | None = None
    time: datetime | None = None
    level: str = "info"
    message: str = ""


class Log(Answer):
    """The tail of an experiment's log, oldest first."""

    lines: Sequence[LogLine] = ()


class Model(Answer):
    """One model version, `<family>-v<version>`; `kind` is `base` or `fine_tuned`."""

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
    train_loss: float | None = None
    eval_loss: float | None = None
    created_at: datetime | None = None


class LineageNode(Answer):
    """A dataset, run, experiment, model or evaluation."""

    id: str
    type: str
    name: str


class LineageEdge(Answer):
    """`source` led to `target`."""

    source: str
    target: str
    relation: str


class Lineage(Answer):
    """Where a model comes from and what it scored, as a graph."""

    nodes: Sequence[LineageNode] = ()
    edges: Sequence[LineageEdge] = ()


class Sample(Answer):
    """One generation of an evaluation beside what was expected."""

    prompt: str
    expected: str | None = None
    generated: str
    exact: bool | None = None


class Evaluation(Answer):
    """One model measured on one dataset; `metrics` holds loss, perplexity, token_accuracy, exact_match, latencies."""

    id: str
    model: Reference
    dataset: Reference
    baseline_evaluation_id: str | None = None
    status: str
    progress: float | None = None
    rows: int | None = None
    metrics: dict[str, float | None] = Field(default_factory=dict)
    samples: Sequence[Sample] = ()
    created_at: datetime | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    error: Problem | None = None

    @property
    def is_finished(self) -> bool:
        """Whether nothing more will happen to it."""
        return self.status in {"completed", "failed"}


class Count(Answer):
    """How many there are; `is_exact` is False where counting stopped at a bound."""

    total: int = 0
    by_status: dict[str, int] = Field(default_factory=dict)
    is_exact: bool = True


class Overview(Answer):
    """The platform at a glance; a part is None when its service is among the `unavailable`."""

    datasets: Count | None = None
    models: Count | None = None
    experiments: Count | None = None
    running: Sequence[Experiment] = ()
    recent_experiments: Sequence[Experiment] = ()
    unavailable: Sequence[str] = ()


class LiveEvent(Answer):
    """One event of the live feed; `sequence` is its place in the stream and what a reconnect continues from."""

    sequence: int
    type: str
    id: str | None = None
    time: datetime | None = None
    data: dict[str, Any] = Field(default_factory=dict)
