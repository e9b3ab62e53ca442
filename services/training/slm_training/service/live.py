"""An experiment as it happens: progress, states and log lines, read from the database: none is told too early."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

from slm_shared.storage.database import Database
from slm_training import store
from slm_training.domain import STATUS_OF, TERMINAL, RunState
from slm_training.schemas.experiments import Line, LiveMessage, TrainingProgress
from slm_training.service.reading import find_experiment
from slm_training.tables import RunRow

LOOK_EVERY_S = 0.5
LINES_AT_ONCE = 500
METRICS = ("eval_loss", "learning_rate", "grad_norm", "token_accuracy", "tokens_per_s", "memory_mb", "device_use")


async def follow(database: Database, experiment_id: UUID, *, after: int) -> AsyncIterator[LiveMessage | None]:
    """Messages about an experiment from now on until it ends, log lines behind `after`; None when nothing is new.

    Raises ExperimentNotFoundError before the first message.
    """
    async with database.read(answering=True) as session:
        await find_experiment(session, experiment_id)
    return _messages(database, experiment_id, after=after)


async def _messages(database: Database, experiment_id: UUID, *, after: int) -> AsyncIterator[LiveMessage | None]:
    known: tuple[str, dict[str, Any]] | None = None
    while True:
        async with database.read(answering=True) as session:
            run = await store.find_experiment(session, experiment_id)
            lines = await store.log_of(session, experiment_id, after=after, limit=LINES_AT_ONCE)
        if run is None:
            return
        seen = (run.state, dict(run.progress))
        for line in lines:
            after = line.seq
            yield LiveMessage("log", after, Line.model_validate(line, from_attributes=True))
        if seen != known:
            yield LiveMessage("trainingProgress", after, progress_of(run))
        if RunState(run.state) in TERMINAL and len(lines) < LINES_AT_ONCE:
            return
        if seen == known and not lines:
            yield None
        known = seen
        await asyncio.sleep(LOOK_EVERY_S)


def progress_of(run: RunRow) -> TrainingProgress:
    """How far a run is; `estimated_remaining` is in milliseconds."""
    told = run.progress
    steps, total, left = told.get("step"), told.get("total_steps"), told.get("eta_s")
    return TrainingProgress.model_validate(
        {
            "jobId": run.experiment_id,
            "status": str(STATUS_OF[RunState(run.state)]),
            "state": run.state,
            "progress": {
                "current_epoch": told.get("epoch"),
                "total_epochs": run.config.get("epochs"),
                "current_step": steps,
                "total_steps": total,
                "percentage": round(100 * steps / total, 2) if steps is not None and total else None,
                "estimated_remaining": round(1000 * left) if left is not None else None,
            },
            "metrics": {"train_loss": told.get("loss"), **{name: told.get(name) for name in METRICS}},
            "error": run.error,
        }
    )
