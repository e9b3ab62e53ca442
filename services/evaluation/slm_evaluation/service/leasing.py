"""Evaluations under a lease. `slm_shared.jobs.lifecycle` has what all leased work has in common."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from slm_evaluation import store
from slm_evaluation.domain import RETRY_S, EvaluationStatus, is_retried
from slm_evaluation.errors import EvaluationNotFoundError
from slm_evaluation.schemas.leases import Completion, EvaluationLease
from slm_evaluation.service import completing, regression
from slm_evaluation.service.planning import predictions_prefix
from slm_evaluation.settings import EvaluationSettings
from slm_evaluation.tables import EvaluationRow
from slm_shared.delivery import outbox
from slm_shared.errors import NotFoundError
from slm_shared.events.catalogue import EvaluationFailed
from slm_shared.jobs.lifecycle import LeasedWork, Queue
from slm_shared.jobs.protocol import Claim, Failure, Heartbeat, HeartbeatAnswer
from slm_shared.storage.database import Database, database_now
from slm_shared.storage.objects import ObjectStore

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
                "evaluation_id": row.id,
                "epoch": row.epoch,
                "attempt": row.attempt,
                "model": row.model,
                "dataset": row.dataset,
                "settings": row.settings,
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
        """Take the measurements, and announce a model that is worse than its predecessor. May be called twice."""
        completing.refuse_foreign_predictions(work_id, completion)
        worse = await completing.find_regressions(self._database, self._objects, work_id, completion)
        async with self._database.transaction(answering=True) as session:
            if await completing.is_complete(session, work_id, completion.epoch):
                return
            row = await self.held(session, work_id, completion.epoch)
            await completing.end_completed(session, row, completion, hourly_price=self._settings.hourly_price)
            for each in worse:
                await regression.announce_regression(session, each)

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


async def _end_cancelled(session: AsyncSession, row: EvaluationRow) -> None:
    values = {"completed_at": await database_now(session), "error": None}
    await store.move(session, row, EvaluationStatus.CANCELLED, values=values)


async def _end_failed(session: AsyncSession, row: EvaluationRow, failure: Failure) -> None:
    error = failure.model_dump(include={"code", "message", "blame"})
    error["log_tail"] = failure.log_tail[-MAX_LOG_TAIL:]
    values = {"error": error, "completed_at": await database_now(session)}
    if await store.move(session, row, EvaluationStatus.FAILED, values=values):
        event = EvaluationFailed(
            evaluation_id=row.id,
            model_id=row.model_id,
            dataset_id=row.dataset_id,
            model_name=row.model["name"],
            dataset_name=row.dataset["name"],
            started_at=row.started_at,
            code=failure.code,
            message=failure.message,
        )
        await outbox.append(session, event)
