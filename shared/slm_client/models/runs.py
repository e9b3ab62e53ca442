"""Runs, plans, workers and statistics."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydantic import Field

from slm_client.models.base import Answer, Problem, Reference


class QueuePlace(Answer):
    """The position of a queued run (1 is next), and what it waits for."""

    position: int
    reason: str = ""
    retry_at: datetime | None = None


class Origin(Answer):
    """The run from which another one was copied; `relation` is clone or reproduction."""

    relation: str
    run_id: str
    experiment_id: str


class Run(Answer):
    """A request to train, and its state. `version` grows with each edit of a draft."""

    id: str
    experiment_id: str
    name: str
    family: str | None = None
    goal: str | None = None
    description: str | None = None
    state: str
    base_model: Reference | None = None
    training_dataset: Reference | None = None
    evaluation_dataset: Reference | None = None
    config: dict[str, Any] = Field(default_factory=dict)
    created_at: datetime | None = None
    owner: str | None = None
    error: Problem | None = None
    tags: Sequence[str] = ()
    priority: int = 0
    version: int = 1
    origin: Origin | None = None
    plan_id: str | None = None
    queue: QueuePlace | None = None


class Worker(Answer):
    """A trainer; `state` is busy or idle, `capabilities` its device, cores, memory and versions."""

    name: str
    pool: str = "default"
    state: str = ""
    capabilities: dict[str, Any] = Field(default_factory=dict)
    last_seen_at: datetime | None = None
    run_id: str | None = None
    run_name: str | None = None


class Workers(Answer):
    """The connected trainers."""

    items: Sequence[Worker] = ()


class Statistics(Answer):
    """Training statistics; times in seconds."""

    runs: int = 0
    by_status: dict[str, int] = Field(default_factory=dict)
    success_rate: float | None = None
    mean_duration_s: float | None = None
    median_duration_s: float | None = None
    mean_queue_wait_s: float | None = None
    median_queue_wait_s: float | None = None
    attempts: int = 0
    device_hours: float = 0.0
    trained_tokens: int = 0


class Plan(Answer):
    """The plan of a run; `status` is planning, ready or refused.

    `report` has tokens, memory, duration, choices and warnings once it is ready, `error` says why it was refused.
    """

    id: str
    status: str
    report: dict[str, Any] | None = None
    queue: QueuePlace | None = None
    error: Problem | None = None
    config: dict[str, Any] = Field(default_factory=dict)
    base_model: Reference | None = None
    training_dataset: Reference | None = None
    evaluation_dataset: Reference | None = None
