"""Experiments, their metric series and logs."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydantic import Field

from slm_client.models.base import Answer, Problem, Reference


class Progress(Answer):
    """Progress of a training; `loss` is the latest one, in nats per trained token."""

    step: int | None = None
    total_steps: int | None = None
    epoch: float | None = None
    tokens_per_s: float | None = None
    eta_s: float | None = None
    loss: float | None = None


class Attempt(Answer):
    """One attempt of a worker to train the run; `outcome` is None while it works."""

    number: int
    worker: str = ""
    claimed_at: datetime | None = None
    started_at: datetime | None = None
    ended_at: datetime | None = None
    outcome: str | None = None
    code: str | None = None
    resumed_from_step: int = 0
    last_step: int = 0
    lost_steps: int = 0


class Transition(Answer):
    """A change of the run to this state."""

    state: str
    attempt: int = 0
    at: datetime | None = None


class Experiment(Answer):
    """One training and its result; `status` is queued, running, paused, completed, failed or cancelled."""

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
    goal: str | None = None
    description: str | None = None
    owner: str | None = None
    tags: Sequence[str] = ()
    chosen: dict[str, dict[str, Any]] | None = None
    trained_tokens: int | None = None
    best_step: int | None = None
    timeline: Sequence[Transition] = ()
    attempts: Sequence[Attempt] = ()
    duration_s: float | None = None

    @property
    def is_finished(self) -> bool:
        """Whether the training has ended."""
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


class Checkpoint(Answer):
    """A checkpoint from which the run can resume, with the metrics of its step."""

    step: int
    size_bytes: int = 0
    metrics: dict[str, float | None] = Field(default_factory=dict)
    created_at: datetime | None = None


class Checkpoints(Answer):
    """The stored checkpoints, newest first."""

    items: Sequence[Checkpoint] = ()


class Comparison(Answer):
    """The comparison of experiments: options that differ and curves, by experiment id."""

    experiments: Sequence[Experiment] = ()
    differences: dict[str, dict[str, Any]] = Field(default_factory=dict)
    series: dict[str, dict[str, Sequence[MetricPoint]]] = Field(default_factory=dict)


class Drift(Answer):
    """How a reproduction differs from the original; `identical` means to the last bit."""

    original_id: str
    experiment_id: str
    identical: bool
    metrics: dict[str, dict[str, float | None]] = Field(default_factory=dict)
    largest_loss_difference: float | None = None


class LiveMessage(Answer):
    """One message of a live view: `event` is trainingProgress or log, `id` the place in the log to go on from."""

    event: str
    id: int = 0
    data: dict[str, Any] = Field(default_factory=dict)
