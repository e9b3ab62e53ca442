"""Runs and plans under a lease. `slm_shared.jobs.lifecycle` has what all leased work has in common."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from slm_shared.delivery import outbox
from slm_shared.errors import NotFoundError
from slm_shared.events.catalogue import ExperimentFailed, ExperimentStarted
from slm_shared.jobs import leases
from slm_shared.jobs.lifecycle import LeasedWork, LeaseLostError, Queue
from slm_shared.jobs.protocol import Failure, FailureReport, Heartbeat, HeartbeatAnswer
from slm_shared.storage import manifest
from slm_shared.storage.database import Database, database_now
from slm_shared.storage.manifest import ArtifactMismatchError
from slm_shared.storage.objects import ObjectStore
from slm_training import store
from slm_training.domain import KEPT_CHECKPOINTS, Capabilities, RunState, halved, judge
from slm_training.errors import RunNotFoundError
from slm_training.schemas.leases import (
    Checkpoint,
    CheckpointRef,
    Choices,
    Claim,
    Completion,
    PlanReport,
    Resumption,
    RunLease,
)  # fmt: skip
from slm_training.service import completing
from slm_training.service.completing import artifact_prefix
from slm_training.service.control import announce_cancelled
from slm_training.settings import TrainingSettings
from slm_training.store import Job
from slm_training.tables import PlanRow, RunRow

# Characters of the child's log that stay with the run: enough for a stack trace.
MAX_LOG_TAIL = 8000


def checkpoint_prefix(job: Job) -> str:
    """Where the current lease stores its checkpoints, each in a folder named by its step."""
    return f"runs/{job.id}/checkpoints/e{job.epoch}"


class LeasedJobs(LeasedWork[Job, Claim, RunLease, Completion | PlanReport]):
    """The runs and plans that trainers lease."""

    lost = Failure(code="worker_lost", message="The trainer stopped answering.", blame="infra", retry=True)

    def __init__(self, settings: TrainingSettings, database: Database, objects: ObjectStore) -> None:
        super().__init__(store.AT_WORK, lease_ttl_s=settings.lease_ttl_s)
        self._settings = settings
        self._database = database
        self._objects = objects

    def missing(self) -> NotFoundError:
        """No such run."""
        return RunNotFoundError("There is no such run.")

    def queues(self, claim: Claim) -> Sequence[Queue[Job]]:
        """Plans first, for somebody waits for them; of each kind what the worker is able to do."""
        able = Capabilities.of(_capabilities(claim))
        return [store.queue(kind, pool=claim.pool, able=able) for kind in (PlanRow, RunRow)]

    async def claim(self, session: AsyncSession, claim: Claim) -> RunLease | None:
        """Lease the next job to a worker, which is noted as connected."""
        await store.note_worker(session, claim.worker, pool=claim.pool, capabilities=_capabilities(claim))
        return await super().claim(session, claim)

    async def grant(self, session: AsyncSession, row: Job) -> RunLease:
        """What is trained, from what, and where its files go."""
        if isinstance(row, RunRow) and await store.open_attempt(session, row):
            store.note_transition(session, row)
        checkpoints = await store.checkpoints_of(session, row.id) if isinstance(row, RunRow) else []
        same = ("epoch", "attempt", "name", "config", "base_model", "training_dataset", "evaluation_dataset")
        return RunLease.model_validate(
            {
                **{name: getattr(row, name) for name in same},
                "purpose": "train" if isinstance(row, RunRow) else "plan",
                "run_id": row.id,
                # A plan has no experiment; whatever a trainer says of one goes nowhere.
                "experiment_id": row.experiment_id if isinstance(row, RunRow) else row.id,
                "artifact_prefix": artifact_prefix(row),
                "checkpoint_prefix": checkpoint_prefix(row),
                "checkpoints": [CheckpointRef.model_validate(each, from_attributes=True) for each in checkpoints],
                "lease_ttl_s": self.lease_ttl_s,
                "heartbeat_s": self._settings.heartbeat_s,
            }
        )

    async def started(self, session: AsyncSession, row: Job) -> None:
        """The experiment is running. Saying it twice is fine.

        A run that a user paused in between goes on pausing: its worker drains, or completes first.
        """
        if row.state not in (RunState.LEASED, RunState.PAUSING):
            return
        values = {"started_at": row.started_at or await database_now(session)}
        if isinstance(row, PlanRow):
            await store.move(session, row, RunState.RUNNING, values=values)
        elif await store.start_attempt(session, row):
            await _start_run(session, row, values)

    async def kept(self, session: AsyncSession, row: Job, beat: Heartbeat) -> HeartbeatAnswer:
        """A user may have cancelled or paused the run since."""
        if row.worker is not None:
            await store.note_worker(session, row.worker, pool=row.pool, capabilities={})
        return HeartbeatAnswer(cancel=row.state == RunState.CANCELLING, drain=row.state == RunState.PAUSING)

    async def held_run(self, session: AsyncSession, run_id: UUID, epoch: int) -> RunRow:
        """The run under this lease, locked. Raises as `held`, and LeaseLostError for a plan."""
        job = await self.held(session, run_id, epoch)
        if not isinstance(job, RunRow):
            raise LeaseLostError("The lease is that of a plan.")
        return job

    async def note_choices(self, session: AsyncSession, run_id: UUID, chosen: Choices) -> None:
        """Keep with the run what the trainer settled by itself, and why."""
        run = await self.held_run(session, run_id, chosen.epoch)
        choices = {name: choice.model_dump() for name, choice in chosen.choices.items()}
        await store.change(session, run, {"chosen": {**(run.chosen or {}), **choices}})

    async def add_checkpoint(self, session: AsyncSession, run_id: UUID, checkpoint: Checkpoint) -> list[str]:
        """A checkpoint is stored: the next attempt may go on from it. Returns prefixes that nobody needs any more."""
        run = await self.held_run(session, run_id, checkpoint.epoch)
        stored = checkpoint.model_dump(include={"step", "epoch", "manifest_sha256", "size_bytes", "metrics"})
        prefix = f"{checkpoint_prefix(run)}/{checkpoint.step:08d}"
        await store.add_checkpoint(session, {"run_id": run.id, "prefix": prefix, **stored})
        # It came further than any attempt before: the count of failures in a row starts anew.
        await store.reset_failures(session, run)
        old = (await store.checkpoints_of(session, run.id))[KEPT_CHECKPOINTS:]
        if old:
            await store.forget_checkpoints(session, run.id, up_to_step=old[0].step)
        return [each.prefix for each in old]

    async def resume(self, session: AsyncSession, run_id: UUID, resumption: Resumption) -> None:
        """The worker goes on from the checkpoint of a step."""
        await store.note_resumed(session, await self.held_run(session, run_id, resumption.epoch), resumption.step)

    async def complete(self, work_id: UUID, completion: Completion | PlanReport) -> None:
        """The artifact is stored: read all of it back, and only then call the run succeeded. A plan is its report.

        An artifact that does not match fails the attempt. Raises RunNotFoundError, LeaseLostError, and InvalidError for
        a manifest that does not lie under the lease's own prefix.
        """
        if isinstance(completion, PlanReport):
            async with self._database.transaction(answering=True) as session:
                plan = await self.held(session, work_id, completion.epoch)
                await completing.end_plan(session, plan, completion)
            return
        async with self._database.transaction(answering=True) as session:
            run = await self.begin_completion(session, work_id, completion)
        if run is None:
            return
        prefix = completing.refuse_foreign_manifest(run, completion)
        try:
            # No transaction is open meanwhile: reading a large artifact back takes a while.
            await manifest.verify(self._objects, prefix, completion.manifest_sha256)
        except ArtifactMismatchError as error:
            await self._fail_mismatch(work_id, completion.epoch, error.message)
            return
        async with self._database.transaction(answering=True) as session:
            await self.end_completion(session, work_id, completion)

    async def _fail_mismatch(self, run_id: UUID, epoch: int, why: str) -> None:
        report = FailureReport(epoch=epoch, code="artifact_mismatch", message=why, blame="infra", retry=True)
        async with self._database.transaction(answering=True) as session:
            await self.fail(session, run_id, report)

    async def begin_completion(self, session: AsyncSession, run_id: UUID, completion: Completion) -> RunRow | None:
        """Note that a run is being completed; None when this very completion was accepted before."""
        if await completing.is_complete(session, run_id, completion):
            return None
        run = await self.held_run(session, run_id, completion.epoch)
        if run.state in (RunState.RUNNING, RunState.PAUSING) and run.started_at is not None:
            await store.move(session, run, RunState.COMPLETING)
        return run

    async def end_completion(self, session: AsyncSession, run_id: UUID, completion: Completion) -> None:
        """The run succeeded. Only this makes the artifact visible to anybody."""
        await completing.end_run(session, await self.held_run(session, run_id, completion.epoch), completion)

    async def give_back(self, session: AsyncSession, row: Job) -> None:
        """End a cancelled run, pause a paused one, queue any other; the attempt does not count as a failure."""
        if isinstance(row, RunRow) and row.state == RunState.CANCELLING:
            await _end_cancelled(session, row)
        elif isinstance(row, RunRow) and row.state == RunState.PAUSING:
            await _end_paused(session, row, outcome="paused")
        else:
            await _end_attempt(session, row, outcome="released")
            await store.requeue(session, row)

    async def end_badly(self, session: AsyncSession, row: Job, failure: Failure) -> None:
        """Try again or give up, as the rules say."""
        outcome = "lost" if failure is self.lost else "failed"
        if isinstance(row, RunRow) and row.state == RunState.CANCELLING:
            await _end_cancelled(session, row)
            return
        if isinstance(row, RunRow) and row.state == RunState.PAUSING and failure.retry and failure.blame != "user":
            await _end_paused(session, row, outcome=outcome, code=failure.code)
            return
        counts = {"failures": row.failures + 1, "total_failures": row.total_failures + 1}
        await _end_attempt(session, row, outcome=outcome, code=failure.code)
        if failure.code == "out_of_memory" and (smaller := _with_smaller_batch(row)) is not None:
            await store.requeue(session, row, values={**smaller, "total_failures": counts["total_failures"]})
            return
        verdict = judge(failure, **counts)
        if verdict.state is RunState.QUEUED:
            await store.requeue(session, row, after_s=verdict.retry_after_s, values=counts)
            return
        await _end_failed(session, row, failure, verdict.state, counts)


def _capabilities(claim: Claim) -> dict[str, Any]:
    return claim.capabilities.model_dump(exclude_none=True) if claim.capabilities else {}


async def _start_run(session: AsyncSession, run: RunRow, values: Mapping[str, Any]) -> None:
    if run.state == RunState.LEASED:
        await store.move(session, run, RunState.RUNNING, values=values)
    else:
        await store.change(session, run, values)
    started = ExperimentStarted(
        experiment_id=run.experiment_id, run_id=run.id, attempt=run.attempt, epoch=run.epoch, worker=run.worker or ""
    )
    await outbox.append(session, started)


async def _end_attempt(session: AsyncSession, job: Job, *, outcome: str, code: str | None = None) -> None:
    if isinstance(job, RunRow):
        await store.end_attempt(session, job, outcome=outcome, code=code)


def _with_smaller_batch(job: Job) -> Mapping[str, Any] | None:
    """Half the rows in memory and the same effective batch, if the job allows it and it can be halved."""
    smaller = halved(job.config) if job.config.get("retry_with_smaller_batch", True) else None
    if smaller is None or isinstance(job, PlanRow):
        return smaller and {"config": smaller}
    why = f"{job.config['batch_size']} rows at once ran out of memory; the effective batch is the same."
    choices = {name: {"value": smaller[name], "reason": why} for name in ("batch_size", "gradient_accumulation_steps")}
    return {"config": smaller, "chosen": {**(job.chosen or {}), **choices}}


async def _end_failed(
    session: AsyncSession, job: Job, failure: Failure, target: RunState, counts: Mapping[str, int]
) -> None:
    error = failure.model_dump(include={"code", "message", "blame"})
    error["log_tail"] = failure.log_tail[-MAX_LOG_TAIL:]
    ended = {"error": error, "completed_at": await database_now(session), **counts, **leases.released()}
    if await store.move(session, job, target, values=ended) and isinstance(job, RunRow):
        event = ExperimentFailed.model_validate({**error, "experiment_id": job.experiment_id, "run_id": job.id})
        await outbox.append(session, event)


async def _end_paused(session: AsyncSession, run: RunRow, *, outcome: str, code: str | None = None) -> None:
    await store.end_attempt(session, run, outcome=outcome, code=code)
    await store.move(session, run, RunState.PAUSED, values={**leases.released(), "progress": {}})


async def _end_cancelled(session: AsyncSession, run: RunRow) -> None:
    await store.end_attempt(session, run, outcome="cancelled")
    now = await database_now(session)
    if await store.move(session, run, RunState.CANCELLED, values={"completed_at": now, **leases.released()}):
        await announce_cancelled(session, run)
