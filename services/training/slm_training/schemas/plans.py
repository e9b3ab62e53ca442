"""Plans, as users see them."""

from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from pydantic import BaseModel

from slm_training.domain import TERMINAL, RunState
from slm_training.schemas.runs import DatasetReference, ModelReference, QueuePlace, RunError
from slm_training.tables import PlanRow

PlanStatus = Literal["planning", "ready", "refused"]


def status_of(row: PlanRow) -> PlanStatus:
    """Where a plan stands."""
    state = RunState(row.state)
    if state is RunState.SUCCEEDED:
        return "ready"
    return "refused" if state in TERMINAL else "planning"


class Plan(BaseModel):
    """What a training would take. `report` is there once it is `ready`:

    `tokens` (the token report of the training rows), `total_steps`, `memory_gb` and `duration_s` (low, expected, high,
    from a few measured steps), `seconds_per_step`, `tokens_per_s`, `chosen` (what the trainer would settle, and why)
    and `warnings`. A `refused` plan has an error that says what to mend.
    """

    id: UUID
    status: PlanStatus
    name: str
    base_model: ModelReference
    training_dataset: DatasetReference
    evaluation_dataset: DatasetReference | None
    config: dict[str, Any]
    report: dict[str, Any] | None
    error: RunError | None
    queue: QueuePlace | None
    created_at: datetime
    completed_at: datetime | None

    @classmethod
    def of(cls, row: PlanRow, queue: QueuePlace | None = None) -> "Plan":
        """The plan in a row."""
        same = {name: getattr(row, name) for name in cls.model_fields if name not in ("status", "queue")}
        return cls.model_validate({**same, "status": status_of(row), "queue": queue}, from_attributes=True)
