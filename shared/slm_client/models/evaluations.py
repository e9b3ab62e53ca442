"""Evaluations."""

from collections.abc import Sequence
from datetime import datetime

from pydantic import Field

from slm_client.models.base import Answer, Problem, Reference


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
