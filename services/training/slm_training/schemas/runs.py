"""Runs, as users see them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from fastapi import Query
from pydantic import BaseModel, Field

from slm_shared.http.requests import Body
from slm_training.domain import ExperimentStatus
from slm_training.schemas import options
from slm_training.tables import RunRow

Sort = Literal["-created_at", "created_at", "name", "-name", "-completed_at", "completed_at", "eval_loss", "-eval_loss"]


@dataclass(frozen=True)
class Filters:
    """What a list of runs is narrowed to."""

    status: Annotated[ExperimentStatus | None, Query()] = None
    tag: Annotated[str | None, Query(max_length=60)] = None
    owner: Annotated[str | None, Query(max_length=200)] = None
    q: Annotated[str | None, Query(max_length=100, description="Part of name, goal, description or tags.")] = None


@dataclass(frozen=True)
class ExperimentFilters(Filters):
    """What a list of experiments is narrowed to; without a `status` it has no drafts."""

    dataset_id: Annotated[UUID | None, Query()] = None
    base_model_id: Annotated[UUID | None, Query()] = None


class ModelReference(BaseModel):
    """A model as the run knows it."""

    id: UUID
    name: str


class DatasetReference(BaseModel):
    """A dataset version as the run knows it; `sha256` is that of its canonical Parquet."""

    id: UUID
    name: str
    sha256: str
    rows: int


class RunError(BaseModel):
    """Why a run failed; `blame` says whose fault it is."""

    code: str
    message: str
    blame: str
    log_tail: str = ""


class QueuePlace(BaseModel):
    """Where a queued run stands (1 is next) and what it waits for."""

    position: int
    reason: str
    retry_at: datetime | None = None


class Origin(BaseModel):
    """The run that this one was made from: a `clone` with changes, or a `reproduction` of the very same."""

    relation: str
    run_id: UUID
    experiment_id: UUID


class Priority(Body):
    """A new place in the queue."""

    priority: options.Priority


class Run(BaseModel):
    """A request to train, and where it stands. `version` goes up with each edit of a draft."""

    id: UUID
    experiment_id: UUID
    name: str
    family: str
    goal: str | None
    description: str | None
    owner: str
    state: str
    base_model: ModelReference
    training_dataset: DatasetReference
    evaluation_dataset: DatasetReference | None
    config: dict[str, Any]
    created_at: datetime
    error: RunError | None
    tags: list[str] = Field(default_factory=list)
    priority: int = 0
    version: int = 1
    needs: dict[str, Any] = Field(default_factory=dict)
    origin: Origin | None = None
    plan_id: UUID | None = None
    request: dict[str, Any] | None = None
    queue: QueuePlace | None = None

    @classmethod
    def of(cls, row: RunRow, queue: QueuePlace | None = None) -> "Run":
        """The run in a row."""
        return cls.model_validate(row, from_attributes=True).model_copy(update={"queue": queue})
