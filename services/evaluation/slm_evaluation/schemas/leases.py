"""What evaluation workers receive and report, beside `slm_shared.jobs.protocol`. Only pydantic is imported here."""

from typing import Annotated, Any, ClassVar
from uuid import UUID

from pydantic import BaseModel, Field

from slm_shared.jobs.protocol import Answer, Fenced, Grant, Name, Request
from slm_shared.references import DatasetRef, ModelRef

Text = Annotated[str, Field(max_length=20_000)]


class KnownModel(ModelRef):
    """What this service remembers of a model; one that was registered on its own has no family and no version."""

    family: str | None = None
    version: int | None = None


class SuiteRef(Answer):
    """A benchmark suite: tasks of `lm-eval` by name, or written out and then about the rows of the dataset."""

    name: str
    tasks: list[str | dict[str, Any]]
    few_shot: int
    limit: int | None
    chat: bool


class Measuring(Answer):
    """How to measure; lengths in tokens. Without `metrics` everything that applies is measured; a suite says itself."""

    max_length: int
    max_new_tokens: int
    generations: int
    metrics: list[str] | None = None
    suite: SuiteRef | None = None


class EvaluationLease(Grant):
    """What a claim returns."""

    id_field: ClassVar[str] = "evaluation_id"

    evaluation_id: UUID
    model: ModelRef
    dataset: DatasetRef
    settings: Measuring
    predictions_prefix: str


class SuiteTask(BaseModel):
    """One task of a benchmark suite as it ran: its version, rows and few-shot examples, standard errors by metric.

    `higher_is_better` tells for each metric what is good; null where `lm-eval` does not say.
    """

    version: str
    rows: Annotated[int, Field(ge=0)]
    few_shot: int
    stderr: dict[str, float] = Field(default_factory=dict, max_length=50)
    higher_is_better: dict[str, bool | None] = Field(default_factory=dict, max_length=50)


class SuiteReport(BaseModel):
    """What a benchmark suite ran: the version of `lm-eval` and each task by name."""

    suite: Name
    lm_eval: Name
    tasks: dict[Name, SuiteTask] = Field(max_length=50)


class SampleReport(Request):
    """One answer as the worker reports it."""

    prompt: Text
    expected: Text
    generated: Text
    exact: bool
    row: Annotated[int, Field(strict=True, ge=0)] | None = None
    loss: Annotated[float, Field(strict=True)] | None = None
    scores: dict[Annotated[str, Field(max_length=80)], float] = Field(default_factory=dict, max_length=20)


class Completion(Fenced):
    """What was measured."""

    rows: Annotated[int, Field(strict=True, ge=1)]
    metrics: dict[Annotated[str, Field(max_length=160)], Annotated[float, Field(strict=True)]] = Field(max_length=200)
    report: SuiteReport | None = None
    samples: list[SampleReport] = Field(max_length=20)
    predictions_key: Annotated[str, Field(max_length=400)] | None = None
