"""Experiments, their series and logs, as users see them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel, Field

from slm_training.domain import STATUS_OF, RunState
from slm_training.schemas.runs import DatasetReference, ModelReference, Origin, Run, RunError
from slm_training.tables import RunRow


class Artifact(BaseModel):
    """The files a training left, named by the hash of their manifest."""

    prefix: str
    manifest_key: str
    manifest_sha256: str
    size_bytes: int
    parameter_count: int


class Attempt(BaseModel):
    """One lease of the run: `outcome` is succeeded, failed, released, lost or cancelled, or null while it works.

    It went on from the checkpoint of `resumed_from_step` (0: from the start) and came to `last_step`; `lost_steps` of
    them were made in vain, because the next attempt went on from before.
    """

    number: int
    epoch: int
    worker: str
    claimed_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    outcome: str | None
    code: str | None
    resumed_from_step: int
    last_step: int = 0
    lost_steps: int = 0


class Transition(BaseModel):
    """The run came into this state."""

    state: str
    attempt: int
    at: datetime


RESULT_FIELDS = ("steps", "train_loss", "eval_loss", "duration_s", "trained_tokens", "best_step")


class Experiment(BaseModel):
    """One training and what came of it. Losses are in nats per trained token.

    `chosen` is what the trainer settled by itself, each with its reason; `best_step` is the step whose weights were
    kept where the best model was asked for.
    """

    id: UUID
    run_id: UUID
    name: str
    family: str
    goal: str | None
    status: str
    state: str
    attempt: int
    base_model: ModelReference
    training_dataset: DatasetReference
    evaluation_dataset: DatasetReference | None
    config: dict[str, Any]
    progress: dict[str, float | None]
    steps: int | None
    train_loss: float | None
    eval_loss: float | None
    duration_s: float | None
    artifact: Artifact | None
    error: RunError | None
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    description: str | None = None
    owner: str = ""
    tags: list[str] = Field(default_factory=list)
    origin: Origin | None = None
    chosen: dict[str, Any] | None = None
    trained_tokens: int | None = None
    best_step: int | None = None
    attempts: list[Attempt] = Field(default_factory=list)
    timeline: list[Transition] = Field(default_factory=list)

    @classmethod
    def of(cls, row: RunRow, attempts: Sequence[Attempt] = (), timeline: Sequence[Transition] = ()) -> "Experiment":
        """The experiment in a run's row."""
        result = row.result or {}
        columns = ("attempt", "progress", "started_at", "completed_at", "chosen")
        return cls.model_validate(
            Run.of(row).model_dump(include=set(cls.model_fields) - {"id"})
            | {name: result.get(name) for name in RESULT_FIELDS}
            | {name: getattr(row, name) for name in columns}
            | {"id": row.experiment_id, "run_id": row.id, "status": str(STATUS_OF[RunState(row.state)])}
            | {"artifact": result or None, "attempts": list(attempts), "timeline": list(timeline)}
        )


class Point(BaseModel):
    """One value at one optimiser step; null where the trainer measured a non-finite number.

    Points of a series that was thinned out carry no time.
    """

    step: int
    value: float | None
    time: datetime | None = None


class Metrics(BaseModel):
    """The series of an experiment by name, in order of step."""

    experiment_id: UUID
    series: dict[str, list[Point]]


class StoredCheckpoint(BaseModel):
    """A checkpoint from which the run could go on, with the metrics of its step."""

    step: int
    epoch: int
    size_bytes: int
    manifest_sha256: str
    metrics: dict[str, Any]
    created_at: datetime


class Checkpoints(BaseModel):
    """The checkpoints that are kept of an experiment, the newest first."""

    items: list[StoredCheckpoint]


class Comparison(BaseModel):
    """Experiments side by side: `differences` has the options that are not the same in all of them, by experiment."""

    experiments: list["Experiment"]
    differences: dict[str, dict[str, Any]]
    series: dict[str, dict[str, list[Point]]]


class Drift(BaseModel):
    """How a reproduction differs from the original; `identical` means the same artifact to the last bit.

    `metrics` has, for each number, both values and their difference; `largest_loss_difference` is over all steps that
    both reported.
    """

    original_id: UUID
    experiment_id: UUID
    identical: bool
    metrics: dict[str, dict[str, float | None]]
    largest_loss_difference: float | None


class Line(BaseModel):
    """One log line; ask for what follows with `after=seq`."""

    seq: int
    time: datetime
    level: str
    message: str


class TrainingProgress(BaseModel):
    """How far a training is: epochs and steps (`current_…`, `total_…`), `percentage`, and `estimated_remaining` in
    milliseconds; `metrics` has the latest values."""

    jobId: UUID  # noqa: N815  the name this message has always had
    status: str
    state: str
    progress: dict[str, float | None]
    metrics: dict[str, float | None]
    error: RunError | None = None


@dataclass(frozen=True)
class LiveMessage:
    """One message of a live view: its name, its place in the log, and what it says."""

    name: str
    place: int
    body: BaseModel


class Log(BaseModel):
    """The newest lines of an experiment's log, oldest of them first."""

    experiment_id: UUID
    lines: list[Line]
