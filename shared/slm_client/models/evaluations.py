"""Evaluations."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydantic import Field

from slm_client.models.base import Answer, Problem, Reference


class Sample(Answer):
    """One generated answer of an evaluation, and the expected one.

    `row` is its place in the dataset from 0, `loss` the mean in nats per expected token, `scores` other row metrics.
    """

    prompt: str
    expected: str | None = None
    generated: str
    exact: bool | None = None
    row: int | None = None
    loss: float | None = None
    scores: dict[str, float] = Field(default_factory=dict)


class SuiteTask(Answer):
    """The result of one task of a benchmark suite; standard errors and directions by metric."""

    version: str = ""
    rows: int = 0
    few_shot: int = 0
    stderr: dict[str, float] = Field(default_factory=dict)
    higher_is_better: dict[str, bool | None] = Field(default_factory=dict)


class SuiteReport(Answer):
    """What a benchmark suite ran: the version of `lm-eval` and each task by name."""

    suite: str
    lm_eval: str
    tasks: dict[str, SuiteTask] = Field(default_factory=dict)


class Suite(Answer):
    """A benchmark suite; `local` tasks read the rows of the dataset, the others a hub."""

    name: str
    description: str = ""
    tasks: Sequence[str] = ()
    local: Sequence[str] = ()
    few_shot: int = 0
    limit: int | None = None
    chat: bool = True


class Suites(Answer):
    """Every benchmark suite, by name."""

    items: Sequence[Suite] = ()


class Evaluation(Answer):
    """One model measured on one dataset; `metrics` by name, as docs/metrics.md defines them.

    `status` is queued, running, completed, failed or cancelled.
    """

    id: str
    model: Reference
    dataset: Reference
    baseline_evaluation_id: str | None = None
    status: str
    progress: float | None = None
    rows: int | None = None
    metrics: dict[str, float | None] = Field(default_factory=dict)
    report: SuiteReport | None = None
    samples: Sequence[Sample] = ()
    settings: dict[str, Any] = Field(default_factory=dict)
    experiment_id: str | None = None
    owner: str | None = None
    cancel_requested: bool = False
    created_at: datetime | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    error: Problem | None = None

    @property
    def is_finished(self) -> bool:
        """Whether the evaluation has ended."""
        return self.status in {"completed", "failed", "cancelled"}


class Predictions(Answer):
    """A page of the answers of an evaluation; `total` counts all of them."""

    items: Sequence[Sample] = ()
    offset: int = 0
    total: int = 0


class ComparedMetric(Answer):
    """One metric of two evaluations: `difference` is second minus first, `low` to `high` its 95 % interval."""

    name: str
    first: float | None = None
    second: float | None = None
    difference: float | None = None
    low: float | None = None
    high: float | None = None
    rows: int | None = None
    verdict: str | None = None
    lower_is_better: bool = False


class EvaluationComparison(Answer):
    """The comparison of two evaluations of the same rows."""

    first: Evaluation
    second: Evaluation
    confidence: float = 0.95
    resamples: int = 0
    metrics: Sequence[ComparedMetric] = ()


class CurvePoint(Answer):
    """One value of a training series."""

    step: int
    value: float | None = None


class Curves(Answer):
    """The training curves of a model, and its evaluations."""

    experiment_id: str
    series: dict[str, Sequence[CurvePoint]] = Field(default_factory=dict)
    evaluations: Sequence[Evaluation] = ()
    statistics: dict[str, Any] = Field(default_factory=dict)
