"""Evaluations under a lease. `slm_shared.jobs.lifecycle` has what all leased work has in common."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from slm_evaluation import store
from slm_evaluation.domain import RETRY_S, EvaluationStatus, derived, is_retried
from slm_evaluation.errors import EvaluationNotFoundError
from slm_evaluation.schemas.leases import Completion, EvaluationLease
from slm_evaluation.service import regression
from slm_evaluation.service.planning import ids_and_names, predictions_key, predictions_prefix
from slm_evaluation.service.regression import Regression
from slm_evaluation.settings import EvaluationSettings
from slm_evaluation.tables import EvaluationRow
from slm_shared.delivery import outbox
from slm_shared.errors import FieldProblem, InvalidError, NotFoundError
from slm_shared.events.catalogue import EvaluationCompleted, EvaluationFailed
from slm_shared.jobs.lifecycle import LeasedWork, LeaseLostError, Queue
from slm_shared.jobs.protocol import Claim, Failure, Heartbeat, HeartbeatAnswer
from slm_shared.storage.database import Database, database_now
from slm_shared.storage.objects import ObjectStore

# Characters of the child's log that stay with the evaluation: enough for a stack trace.
MAX_LOG_TAIL = 8000


class LeasedEvaluations(LeasedWork[EvaluationRow, Claim, EvaluationLease, Completion]):
    """The evaluations that workers lease."""

    lost = Failure(code="worker_lost", message="The evaluation worker stopped answering.", blame="infra", retry=True)

    def __init__(self, settings: EvaluationSettings, database: Database, objects: ObjectStore) -> None:
        super().__init__({EvaluationRow: store.RUNNING}, lease_ttl_s=settings.lease_ttl_s)
        self._settings = settings
        self._database = database
        self._objects = objects

    def missing(self) -> NotFoundError:
        """No such evaluation."""
        return EvaluationNotFoundError("There is no such evaluation.")

    def queues(self, claim: Claim) -> Sequence[Queue[EvaluationRow]]:
        """The oldest evaluation that is due."""
        return [store.QUEUE]

    async def grant(self, session: AsyncSession, row: EvaluationRow) -> EvaluationLease:
        """What is measured, how, and where the predictions go."""
        return EvaluationLease.model_validate(
            {
                **{name: getattr(row, name) for name in ("epoch", "attempt", "model", "dataset", "settings")},
                "evaluation_id": row.id,
                "predictions_prefix": predictions_prefix(row.id, row.epoch),
                "lease_ttl_s": self.lease_ttl_s,
                "heartbeat_s": self._settings.heartbeat_s,
            }
        )

    async def kept(self, session: AsyncSession, row: EvaluationRow, beat: Heartbeat) -> HeartbeatAnswer:
        """Note the progress; the answer says whether the evaluation was cancelled."""
        await store.note_progress(session, row, done_rows=beat.step, rows=beat.total)
        return HeartbeatAnswer(cancel=row.cancel_requested)

    async def complete(self, work_id: UUID, completion: Completion) -> None:
        """Take the measurements, and announce a model that is worse than its predecessor. May be called twice.

        Raises InvalidError for predictions that do not lie under the lease's own prefix.
        """
        if completion.predictions_key not in (None, predictions_key(work_id, completion.epoch)):
            problem = FieldProblem("predictions_key", "must be predictions.jsonl under the lease's own prefix")
            raise InvalidError("The predictions are not under the lease's prefix.", errors=[problem])
        worse = await self._regressions(work_id, completion.predictions_key)
        async with self._database.transaction(answering=True) as session:
            row = await store.locked(session, work_id)
            if row is not None and row.status == EvaluationStatus.COMPLETED and row.epoch == completion.epoch:
                # The answer to this very report was lost.
                return
            row = await self.held(session, work_id, completion.epoch)
            await _end_completed(session, row, completion, hourly_price=self._settings.hourly_price)
            for each in worse:
                await regression.announce_regression(session, each)

    async def _regressions(self, evaluation_id: UUID, predictions: str | None) -> list[Regression]:
        """Compare with the versions before and after. Reads the object store, so no transaction may be open."""
        if predictions is None:
            return []
        async with self._database.read(answering=True) as session:
            row = await store.find(session, evaluation_id)
            neighbours = await store.neighbours(session, row) if row is not None else None
        if row is None or neighbours is None:
            return []
        return await regression.find_regressions(self._objects, row, predictions, neighbours)

    async def give_back(self, session: AsyncSession, row: EvaluationRow) -> None:
        """End a cancelled evaluation; queue any other again, without counting the attempt."""
        if row.cancel_requested:
            await _end_cancelled(session, row)
        else:
            await store.requeue(session, row, after_s=0.0, counted=False)

    async def end_badly(self, session: AsyncSession, row: EvaluationRow, failure: Failure) -> None:
        """Try again or give up, as the rules say."""
        if row.cancel_requested:
            await _end_cancelled(session, row)
        elif is_retried(blame=failure.blame, retry=failure.retry, attempt=row.attempt):
            await store.requeue(session, row, after_s=RETRY_S, counted=True)
        else:
            await _end_failed(session, row, failure)


async def _end_completed(
    session: AsyncSession, row: EvaluationRow, completion: Completion, *, hourly_price: float | None
) -> None:
    metrics = completion.metrics | derived(completion.metrics, hourly_price=hourly_price)
    values: dict[str, Any] = completion.model_dump(exclude={"epoch"})
    values["samples"] = [each.model_dump(exclude_unset=True) for each in completion.samples]
    values |= {"metrics": metrics, "completed_at": await database_now(session), "error": None}
    if not await store.move(session, row, EvaluationStatus.COMPLETED, values=values):
        raise LeaseLostError("The evaluation is not running.")
    facts = {"rows": completion.rows, "metrics": metrics, "started_at": row.started_at}
    await outbox.append(session, EvaluationCompleted.model_validate({**ids_and_names(row), **facts}))


async def _end_cancelled(session: AsyncSession, row: EvaluationRow) -> None:
    values = {"completed_at": await database_now(session), "error": None}
    await store.move(session, row, EvaluationStatus.CANCELLED, values=values)


async def _end_failed(session: AsyncSession, row: EvaluationRow, failure: Failure) -> None:
    error = failure.model_dump(include={"code", "message", "blame"})
    error["log_tail"] = failure.log_tail[-MAX_LOG_TAIL:]
    values = {"error": error, "completed_at": await database_now(session)}
    if await store.move(session, row, EvaluationStatus.FAILED, values=values):
        why = {"code": failure.code, "message": failure.message, "started_at": row.started_at}
        await outbox.append(session, EvaluationFailed.model_validate({**ids_and_names(row), **why}))
