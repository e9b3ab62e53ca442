"""How a model was trained beside what it scores."""

import asyncio
from collections.abc import Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from slm_evaluation import store
from slm_evaluation.errors import EvaluationNotReadyError
from slm_evaluation.schemas.evaluations import CurvePoint, Curves, Evaluation
from slm_evaluation.tables import EvaluationRow
from slm_shared.errors import NotFoundError
from slm_shared.peers import Peer

STATISTICS = ("status", "steps", "train_loss", "eval_loss", "started_at", "completed_at")


async def scored_beside(session: AsyncSession, row: EvaluationRow) -> list[Evaluation]:
    """Every completed evaluation of the model's experiment. Raises EvaluationNotReadyError for a model without one."""
    if row.experiment_id is None:
        raise EvaluationNotReadyError("The evaluation belongs to no training, so there are no curves.")
    return [Evaluation.of(each) for each in await store.completed_of_experiment(session, row.experiment_id)]


async def read_curves(training: Peer, row: EvaluationRow, scored: Sequence[Evaluation]) -> Curves:
    """Ask the training service for the series. Raises NotFoundError and UnavailableError."""
    path = f"/api/experiments/{row.experiment_id}"
    experiment, metrics = await asyncio.gather(training.get(path), training.get(f"{path}/metrics"))
    if experiment is None or metrics is None:
        raise NotFoundError("The training service does not know the experiment any more.")
    series = {name: [CurvePoint.model_validate(each) for each in points] for name, points in metrics["series"].items()}
    statistics = _statistics(experiment, series)
    assert row.experiment_id is not None
    return Curves(experiment_id=row.experiment_id, series=series, evaluations=list(scored), statistics=statistics)


def _statistics(experiment: dict[str, Any], series: dict[str, list[CurvePoint]]) -> dict[str, Any]:
    """What the training service says of the experiment, and first, last, lowest and highest value of each series."""
    found: dict[str, Any] = {name: experiment.get(name) for name in STATISTICS}
    found["attempts"] = experiment.get("attempt")
    for name, points in series.items():
        values = [point.value for point in points if point.value is not None]
        if values:
            found |= {
                f"{name}_first": values[0],
                f"{name}_last": values[-1],
                f"{name}_min": min(values),
                f"{name}_max": max(values),
            }
    return found
