"""Completes an evaluation from what its worker measured, and announces a model that became worse."""

from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from slm_evaluation import store
from slm_evaluation.domain import EvaluationStatus, derived
from slm_evaluation.schemas.leases import Completion
from slm_evaluation.service import regression
from slm_evaluation.service.planning import predictions_key
from slm_evaluation.service.regression import Regression
from slm_evaluation.tables import EvaluationRow
from slm_shared.delivery import outbox
from slm_shared.errors import FieldProblem, InvalidError
from slm_shared.events.catalogue import EvaluationCompleted
from slm_shared.jobs.lifecycle import LeaseLostError
from slm_shared.storage.database import Database, database_now
from slm_shared.storage.objects import ObjectStore


def refuse_foreign_predictions(evaluation_id: UUID, completion: Completion) -> None:
    """Raises InvalidError for predictions that do not lie under the lease's own prefix."""
    if completion.predictions_key not in (None, predictions_key(evaluation_id, completion.epoch)):
        problem = FieldProblem("predictions_key", "must be predictions.jsonl under the lease's own prefix")
        raise InvalidError("The predictions are not under the lease's prefix.", errors=[problem])


async def find_regressions(
    database: Database, objects: ObjectStore, evaluation_id: UUID, completion: Completion
) -> list[Regression]:
    """Compare with the versions before and after. Reads the object store, so no transaction may be open."""
    if completion.predictions_key is None:
        return []
    async with database.read(answering=True) as session:
        row = await store.find(session, evaluation_id)
        neighbours = await store.neighbours(session, row) if row is not None else None
    if row is None or neighbours is None:
        return []
    return await regression.find_regressions(objects, row, completion.predictions_key, neighbours)


async def is_complete(session: AsyncSession, evaluation_id: UUID, epoch: int) -> bool:
    """Whether this very lease has completed the evaluation before; the row is locked."""
    row = await store.locked(session, evaluation_id)
    return row is not None and row.status == EvaluationStatus.COMPLETED and row.epoch == epoch


async def end_completed(
    session: AsyncSession, row: EvaluationRow, completion: Completion, *, hourly_price: float | None
) -> None:
    """Keep what was measured and announce it. Raises LeaseLostError for an evaluation that does not run."""
    metrics = completion.metrics | derived(completion.metrics, hourly_price=hourly_price)
    values: dict[str, Any] = completion.model_dump(exclude={"epoch"})
    values["samples"] = [each.model_dump(exclude_unset=True) for each in completion.samples]
    values |= {"metrics": metrics, "completed_at": await database_now(session), "error": None}
    if not await store.move(session, row, EvaluationStatus.COMPLETED, values=values):
        raise LeaseLostError("The evaluation is not running.")
    await outbox.append(
        session,
        EvaluationCompleted(
            evaluation_id=row.id,
            model_id=row.model_id,
            model_name=row.model["name"],
            dataset_id=row.dataset_id,
            dataset_name=row.dataset["name"],
            rows=completion.rows,
            metrics=metrics,
            started_at=row.started_at,
        ),
    )
