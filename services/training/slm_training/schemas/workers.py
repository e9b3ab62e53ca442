"""Workers and statistics, as users see them."""

from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import BaseModel

from slm_training.tables import PlanRow, RunRow, WorkerRow


class Worker(BaseModel):
    """A trainer: `busy` while it holds the lease of a run, else `idle`."""

    name: str
    pool: str
    state: str
    capabilities: dict[str, Any]
    first_seen_at: datetime
    last_seen_at: datetime
    run_id: UUID | None
    run_name: str | None

    @classmethod
    def of(cls, row: WorkerRow, job: RunRow | PlanRow | None) -> "Worker":
        """The worker in a row, with the run (or plan) that it holds."""
        held = {"state": "busy", "run_id": job.id, "run_name": job.name} if job else {"state": "idle"}
        columns = {column.key: getattr(row, column.key) for column in row.__table__.columns}
        return cls.model_validate({"run_id": None, "run_name": None, **columns, **held})


class Workers(BaseModel):
    """The connected trainers by name."""

    items: list[Worker]


class Statistics(BaseModel):
    """Training in numbers. Durations are of completed runs, from start to end; waits from launch to the first start.

    `success_rate` is completed over completed and failed, null before anything ended.
    """

    runs: int
    by_status: dict[str, int]
    by_state: dict[str, int]
    success_rate: float | None
    mean_duration_s: float | None
    median_duration_s: float | None
    mean_queue_wait_s: float | None
    median_queue_wait_s: float | None
    attempts: int
    device_hours: float
    trained_tokens: int
