"""HTTP bodies of the evaluation service."""

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, Field

from slm_evaluation.tables import EvaluationRow
from slm_shared.requests import Body

Name = Annotated[str, Field(min_length=1, max_length=120)]
Text = Annotated[str, Field(max_length=20_000)]


class Reference(BaseModel):
    """The model or dataset of an evaluation."""

    id: UUID
    name: str


class Sample(BaseModel):
    """What the model answered beside what was expected; `exact` says whether they are the same text."""

    prompt: str
    expected: str
    generated: str
    exact: bool


class EvaluationError(BaseModel):
    """Why an evaluation failed; `blame` says whose fault it is."""

    code: str
    message: str
    blame: str
    log_tail: str = ""


class Evaluation(BaseModel):
    """One model measured on one dataset.

    Metrics: `loss` in nats per completion token, `perplexity`, `token_accuracy` and `exact_match` between 0 and 1,
    `latency_ms_p50` and `latency_ms_p95` per answer, `tokens_per_s` while answering one at a time.
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
    samples: list[Sample]
    error: EvaluationError | None
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None

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


class Claim(Body):
    """A worker asks for work."""

    pool: Name = "default"
    worker: Name
    claim_id: UUID


class Forget(Body):
    """A worker has restarted and holds nothing."""

    worker: Name


class Fenced(Body):
    """Every write of a worker carries the epoch of its lease."""

    epoch: Annotated[int, Field(strict=True, ge=1)]


class Heartbeat(Fenced):
    """The worker lives and has done `step` rows of `total`."""

    step: Annotated[int, Field(strict=True, ge=0)] = 0
    total: Annotated[int, Field(strict=True, ge=1)] | None = None


class HeartbeatAnswer(BaseModel):
    """What the worker should do."""

    cancel: bool = False
    drain: bool = False


class SampleReport(Body):
    """One answer as the worker reports it."""

    prompt: Text
    expected: Text
    generated: Text
    exact: bool


class Completion(Fenced):
    """What was measured."""

    rows: Annotated[int, Field(strict=True, ge=1)]
    metrics: dict[Annotated[str, Field(max_length=80)], Annotated[float, Field(strict=True)]] = Field(max_length=50)
    samples: list[SampleReport] = Field(max_length=20)
    predictions_key: Annotated[str, Field(max_length=400)] | None = None


class FailureReport(Fenced):
    """The attempt ended without a result."""

    code: Annotated[str, Field(min_length=1, max_length=80)]
    message: Annotated[str, Field(max_length=2000)]
    blame: Literal["user", "system", "infra"]
    retry: bool = False
    log_tail: Annotated[str, Field(max_length=100_000)] = ""
