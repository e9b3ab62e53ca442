"""What users of evaluations send and get."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Self
from uuid import UUID

from fastapi import Query
from pydantic import AfterValidator, BaseModel, Field, model_validator

from slm_evaluation.domain import EvaluationStatus
from slm_evaluation.schemas.leases import SuiteReport
from slm_evaluation.tables import EvaluationRow
from slm_shared import metrics
from slm_shared.http.requests import Body

Chosen = Annotated[str, AfterValidator(metrics.measured), Field(json_schema_extra={"enum": list(metrics.MEASURED)})]


@dataclass(frozen=True)
class Filters:
    """What a list of evaluations is narrowed to."""

    model_id: Annotated[UUID | None, Query()] = None
    dataset_id: Annotated[UUID | None, Query()] = None
    experiment_id: Annotated[UUID | None, Query()] = None
    status: Annotated[EvaluationStatus | None, Query()] = None
    since: Annotated[datetime | None, Query(description="Asked for at or after this time.")] = None
    until: Annotated[datetime | None, Query(description="Asked for before this time.")] = None


class EvaluationCreate(Body):
    """What to measure: a model on a dataset. Without `metrics` everything that applies; lengths in tokens.

    `generations` is how many rows the model answers in full. What is left out comes from the service's settings.
    `suite` names a benchmark suite, which then says what is measured; its local tasks read the rows of the dataset.
    """

    model: Annotated[str, Field(min_length=1, max_length=200)]
    dataset: Annotated[str, Field(min_length=1, max_length=200)]
    metrics: Annotated[list[Chosen], Field(min_length=1, max_length=20)] | None = None
    max_length: Annotated[int, Field(strict=True, ge=8, le=8192)] | None = None
    max_new_tokens: Annotated[int, Field(strict=True, ge=1, le=2048)] | None = None
    generations: Annotated[int, Field(strict=True, ge=0, le=10_000)] | None = None
    suite: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=80)] | None = None

    @model_validator(mode="after")
    def _suite_alone(self) -> Self:
        if self.suite is not None and (self.metrics is not None or self.generations is not None):
            raise ValueError("a suite says itself what is measured: leave metrics and generations out")
        return self

    def chosen(self) -> dict[str, Any]:
        """What the request says about how to measure; the same metrics in another order are the same."""
        chosen = self.model_dump(include={"max_length", "max_new_tokens", "generations"}, exclude_none=True)
        return chosen | ({"metrics": sorted(set(self.metrics))} if self.metrics else {})


class Reference(BaseModel):
    """The model or dataset of an evaluation."""

    id: UUID
    name: str


class Sample(BaseModel):
    """What the model answered beside what was expected; `exact` says whether they are the same text.

    `row` is its place in the dataset from 0, `loss` the mean in nats per expected token, `scores` what else was
    measured.
    """

    prompt: str
    expected: str
    generated: str
    exact: bool
    row: int | None = None
    loss: float | None = None
    scores: dict[str, float] = Field(default_factory=dict)


class EvaluationError(BaseModel):
    """Why an evaluation failed; `blame` says whose fault it is."""

    code: str
    message: str
    blame: str
    log_tail: str = ""


class Suite(BaseModel):
    """A benchmark suite that may be asked for: its tasks by name, examples shown before each question, rows of a task.

    `local` tasks read the rows of the dataset of an evaluation; the others come with `lm-eval` and read a hub.
    """

    name: str
    description: str
    tasks: list[str]
    local: list[str]
    few_shot: int
    limit: int | None
    chat: bool


class Suites(BaseModel):
    """Every benchmark suite, by name."""

    items: list[Suite]


class Evaluation(BaseModel):
    """One model measured on one dataset.

    Metrics: `loss` in nats per completion token, `perplexity`; from 0 to 1 `token_accuracy`, `exact_match`, `token_f1`,
    `rouge_l`, `numeric_match`, `accuracy`, `macro_f1` and `quality_score`; from 0 to 100 `bleu` and `chrf`;
    `latency_ms_p50` and `latency_ms_p95` per answer, `tokens_per_s` while answering one at a time, `memory_bytes`,
    `peak_memory_bytes`, `cost_per_1k_tokens`. Those of a benchmark suite are named `<task>.<metric>`, and `report` says
    which version of `lm-eval` and of each task they come from, with standard errors.
    """

    id: UUID
    model: Reference
    dataset: Reference
    experiment_id: UUID | None
    baseline_evaluation_id: UUID | None
    status: str
    progress: float
    rows: int | None
    settings: dict[str, Any]
    metrics: dict[str, float]
    report: SuiteReport | None = None
    samples: list[Sample]
    error: EvaluationError | None
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    owner: str | None = None
    cancel_requested: bool = False

    @classmethod
    def of(cls, row: EvaluationRow) -> "Evaluation":
        """The evaluation in a row."""
        columns = {column.key: getattr(row, column.key) for column in row.__table__.columns}
        if row.status == "completed":
            return cls.model_validate(columns | {"progress": 1.0})
        return cls.model_validate(columns | {"progress": min(1.0, row.done_rows / row.rows) if row.rows else 0.0})


class Predictions(BaseModel):
    """Some of the answers of an evaluation, in order, and how many there are."""

    items: list[Sample]
    offset: int
    total: int


class ComparedMetric(BaseModel):
    """One metric of two evaluations: `difference` is second minus first, `low` to `high` its confidence interval.

    `verdict` on the second: `better`, `worse`, or `same` where the interval holds zero; null where rows have no value.
    `rows` is how many rows both sides have.
    """

    name: str
    first: float | None
    second: float | None
    difference: float | None
    low: float | None = None
    high: float | None = None
    rows: int | None = None
    verdict: str | None = None
    lower_is_better: bool = False


class EvaluationComparison(BaseModel):
    """Two evaluations of the same rows, side by side."""

    first: Evaluation
    second: Evaluation
    confidence: float
    resamples: int
    metrics: list[ComparedMetric]


class CurvePoint(BaseModel):
    """One value of a training series at an optimiser step."""

    step: int
    value: float | None


class Curves(BaseModel):
    """How a model was trained beside what it scores: series by name, evaluations, and statistics of the training."""

    experiment_id: UUID
    series: dict[str, list[CurvePoint]]
    evaluations: list[Evaluation]
    statistics: dict[str, float | int | str | None]
