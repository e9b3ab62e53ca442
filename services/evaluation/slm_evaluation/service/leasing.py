"""Evaluations under a lease: claimed, completed, failed, lost. Every write carries the epoch of its lease."""

from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from slm_evaluation import store
from slm_evaluation.domain import RETRY_S, EvaluationStatus, derived, is_retried
from slm_evaluation.errors import EvaluationNotFoundError, LeaseLostError
from slm_evaluation.schemas import Claim, Completion, FailureReport, Heartbeat, HeartbeatAnswer
from slm_evaluation.service.planning import predictions_prefix
from slm_evaluation.settings import EvaluationSettings
from slm_evaluation.tables import EvaluationRow
from slm_shared.delivery import outbox
from slm_shared.events.catalogue import EvaluationCompleted, EvaluationFailed
from slm_shared.storage.database import database_now

MAX_LOG_TAIL = 8000
LOST = {"code": "worker_lost", "message": "The evaluation worker stopped answering.", "blame": "infra", "log_tail": ""}


async def claim_evaluation(session: AsyncSession, claim: Claim, settings: EvaluationSettings) -> dict[str, Any] | None:
    """Lease the next evaluation to a worker and say everything it needs, or None."""
    row = await store.claim(session, worker=claim.worker, claim_id=claim.claim_id, ttl_s=settings.lease_ttl_s)
    if row is None:
        return None
    return {
        "evaluation_id": str(row.id),
        "epoch": row.epoch,
        "attempt": row.attempt,
        "model": row.model,
        "dataset": row.dataset,
        "settings": row.settings,
        "predictions_prefix": predictions_prefix(row.id, row.epoch),
        "lease_ttl_s": settings.lease_ttl_s,
        "heartbeat_s": settings.heartbeat_s,
    }


async def held(session: AsyncSession, evaluation_id: UUID, epoch: int) -> EvaluationRow:
    """The evaluation under this lease, locked. Raises LeaseLostError or EvaluationNotFoundError."""
    row = await store.held(session, evaluation_id, epoch)
    if row is not None:
        return row
    if await store.find(session, evaluation_id) is None:
        raise EvaluationNotFoundError("There is no such evaluation.")
    raise LeaseLostError("The lease is not held any more.")


async def keep_lease(session: AsyncSession, evaluation_id: UUID, beat: Heartbeat, *, ttl_s: float) -> HeartbeatAnswer:
    """Renew a lease and note the progress; the answer says whether somebody called the work off."""
    row = await held(session, evaluation_id, beat.epoch)
    await store.keep(session, row, done_rows=beat.step, rows=beat.total, ttl_s=ttl_s)
    return HeartbeatAnswer(cancel=row.cancel_requested)


async def complete_evaluation(
    session: AsyncSession, evaluation_id: UUID, completion: Completion, *, hourly_price: float | None
) -> EvaluationRow | None:
    """The measurements are in. Saying it twice is fine; then None is returned."""
    row = await store.locked(session, evaluation_id)
    if row is not None and row.status == EvaluationStatus.COMPLETED and row.epoch == completion.epoch:
        return None
    row = await held(session, evaluation_id, completion.epoch)
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
    return row


async def fail_attempt(session: AsyncSession, evaluation_id: UUID, report: FailureReport) -> None:
    """The worker reports that its attempt failed: tried again or given up, as the rules say."""
    row = await held(session, evaluation_id, report.epoch)
    error = report.model_dump(include={"code", "message", "blame", "log_tail"})
    await _end_badly(session, row, error, retry=report.retry)


async def release(session: AsyncSession, evaluation_id: UUID, epoch: int) -> None:
    """The worker gives an unfinished evaluation back: it ends if it was called off, else its attempt does not count."""
    row = await held(session, evaluation_id, epoch)
    if row.cancel_requested:
        await _end_cancelled(session, row)
        return
    await store.requeue(session, row, after_s=0.0, counted=False)


async def _end_cancelled(session: AsyncSession, row: EvaluationRow) -> None:
    values = {"completed_at": await database_now(session), "error": None}
    await store.move(session, row, EvaluationStatus.CANCELLED, values=values)


async def _end_badly(session: AsyncSession, row: EvaluationRow, error: dict[str, Any], *, retry: bool) -> None:
    if row.cancel_requested:
        await _end_cancelled(session, row)
        return
    if is_retried(blame=error["blame"], retry=retry, attempt=row.attempt):
        await store.requeue(session, row, after_s=RETRY_S, counted=True)
        return
    error = error | {"log_tail": error["log_tail"][-MAX_LOG_TAIL:]}
    values = {"error": error, "completed_at": await database_now(session)}
    if await store.move(session, row, EvaluationStatus.FAILED, values=values):
        ids = {"evaluation_id": row.id, "model_id": row.model_id, "dataset_id": row.dataset_id}
        names = {"model_name": row.model["name"], "dataset_name": row.dataset["name"], "started_at": row.started_at}
        event = EvaluationFailed.model_validate({**ids, **names, "code": error["code"], "message": error["message"]})
        await outbox.append(session, event)


async def reap(session: AsyncSession) -> int:
    """Take every lease that ran out from its worker; returns how many."""
    rows = await store.expired(session)
    for row in rows:
        await _end_badly(session, row, LOST, retry=True)
    return len(rows)


async def forget_worker(session: AsyncSession, worker: str) -> None:
    """A worker has restarted: what it held is lost, and tried again after the usual pause."""
    for row in await store.of_worker(session, worker):
        await _end_badly(session, row, LOST, retry=True)
