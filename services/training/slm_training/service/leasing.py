"""Runs and plans under a lease: claimed, started, failed, lost. Every write carries the epoch of its lease."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from slm_shared.delivery import outbox
from slm_shared.events.catalogue import ExperimentFailed, ExperimentStarted
from slm_shared.jobs import leases
from slm_shared.storage.database import database_now
from slm_training import store
from slm_training.domain import KEPT_CHECKPOINTS, LOST, Capabilities, Failure, RunState, halved, judge
from slm_training.errors import LeaseLostError, RunNotFoundError
from slm_training.schemas.leases import Checkpoint, Choices, Claim
from slm_training.service.control import announce_cancelled
from slm_training.settings import TrainingSettings
from slm_training.store import Job
from slm_training.tables import PlanRow, RunRow

MAX_LOG_TAIL = 8000


def artifact_prefix(job: Job) -> str:
    """Where the current lease stores its artifact; a stale worker can only fill its own prefix."""
    return f"runs/{job.id}/e{job.epoch}"


def checkpoint_prefix(job: Job) -> str:
    """Where the current lease stores its checkpoints, each in a folder named by its step."""
    return f"runs/{job.id}/checkpoints/e{job.epoch}"


async def claim_job(session: AsyncSession, claim: Claim, settings: TrainingSettings) -> dict[str, Any] | None:
    """Lease the next job to a worker and say everything it needs, or None."""
    said = claim.capabilities.model_dump() if claim.capabilities else {}
    await store.note_worker(session, claim.worker, pool=claim.pool, capabilities=said)
    job = await store.claim(
        session,
        pool=claim.pool,
        worker=claim.worker,
        claim_id=claim.claim_id,
        ttl_s=settings.lease_ttl_s,
        able=Capabilities.of(said),
    )
    if isinstance(job, RunRow) and await store.open_attempt(session, job):
        store.note_transition(session, job)
    return await _lease(session, job, settings) if job is not None else None


async def _lease(session: AsyncSession, job: Job, settings: TrainingSettings) -> dict[str, Any]:
    checkpoints = await store.checkpoints_of(session, job.id) if isinstance(job, RunRow) else []
    return {
        "purpose": "train" if isinstance(job, RunRow) else "plan",
        "run_id": str(job.id),
        # A plan has no experiment; whatever a trainer says of one goes nowhere.
        "experiment_id": str(job.experiment_id if isinstance(job, RunRow) else job.id),
        "epoch": job.epoch,
        "attempt": job.attempt,
        "name": job.name,
        "config": job.config,
        "base_model": job.base_model,
        "training_dataset": job.training_dataset,
        "evaluation_dataset": job.evaluation_dataset,
        "artifact_prefix": artifact_prefix(job),
        "checkpoint_prefix": checkpoint_prefix(job),
        "checkpoints": [
            {"step": each.step, "prefix": each.prefix, "manifest_sha256": each.manifest_sha256} for each in checkpoints
        ],
        "traceparent": job.traceparent,
        "lease_ttl_s": settings.lease_ttl_s,
        "heartbeat_s": settings.heartbeat_s,
    }


async def held(session: AsyncSession, job_id: UUID, epoch: int) -> Job:
    """The job under this lease, locked. Raises LeaseLostError, or RunNotFoundError for a job that never was."""
    job = await store.held_job(session, job_id, epoch)
    if job is not None:
        return job
    if await store.find_job(session, job_id) is None:
        raise RunNotFoundError("There is no such run.")
    raise LeaseLostError("The lease is not held any more.")


async def held_run(session: AsyncSession, run_id: UUID, epoch: int) -> RunRow:
    """The run under this lease, locked. Raises as `held`, and LeaseLostError for a plan."""
    job = await held(session, run_id, epoch)
    if not isinstance(job, RunRow):
        raise LeaseLostError("The lease is that of a plan.")
    return job


async def start_job(session: AsyncSession, job_id: UUID, epoch: int) -> None:
    """The worker has begun: the experiment is running. Saying it twice is fine.

    A run that a user paused in between goes on pausing: its worker stops at the next checkpoint, or completes first.
    """
    job = await held(session, job_id, epoch)
    if job.state not in (RunState.LEASED, RunState.PAUSING):
        return
    values = {"started_at": job.started_at or await database_now(session)}
    if isinstance(job, PlanRow):
        await store.move(session, job, RunState.RUNNING, values=values)
        return
    if not await store.start_attempt(session, job):
        return
    if job.state == RunState.LEASED:
        await store.move(session, job, RunState.RUNNING, values=values)
    else:
        await store.change(session, job, values)
    started = ExperimentStarted(
        experiment_id=job.experiment_id, run_id=job.id, attempt=job.attempt, epoch=epoch, worker=job.worker or ""
    )
    await outbox.append(session, started)


async def keep_lease(session: AsyncSession, job_id: UUID, epoch: int, settings: TrainingSettings) -> RunState:
    """Renew a lease; returns the state of the job, which may ask the worker to stop."""
    job = await held(session, job_id, epoch)
    await leases.renew(session, type(job), job_id, epoch=epoch, ttl_s=settings.lease_ttl_s)
    if job.worker is not None:
        await store.note_worker(session, job.worker, pool=job.pool, capabilities={})
    return RunState(job.state)


async def note_choices(session: AsyncSession, run_id: UUID, chosen: Choices) -> None:
    """Keep with the run what the trainer settled by itself, and why."""
    run = await held_run(session, run_id, chosen.epoch)
    choices = {name: choice.model_dump() for name, choice in chosen.choices.items()}
    await store.change(session, run, {"chosen": {**(run.chosen or {}), **choices}})


async def add_checkpoint(session: AsyncSession, run_id: UUID, checkpoint: Checkpoint) -> list[str]:
    """A checkpoint is stored: the next attempt may go on from it. Returns prefixes that nobody needs any more."""
    run = await held_run(session, run_id, checkpoint.epoch)
    stored = checkpoint.model_dump(include={"step", "epoch", "manifest_sha256", "size_bytes", "metrics"})
    prefix = f"{checkpoint_prefix(run)}/{checkpoint.step:08d}"
    await store.add_checkpoint(session, {"run_id": run.id, "prefix": prefix, **stored})
    # It came further than any attempt before: the count of failures in a row starts anew.
    await store.reset_failures(session, run)
    old = (await store.checkpoints_of(session, run.id))[KEPT_CHECKPOINTS:]
    if old:
        await store.forget_checkpoints(session, run.id, up_to_step=old[0].step)
    return [each.prefix for each in old]


async def resume_run(session: AsyncSession, run_id: UUID, epoch: int, *, step: int) -> None:
    """The worker goes on from the checkpoint of a step."""
    await store.note_resumed(session, await held_run(session, run_id, epoch), step)


async def fail_attempt(session: AsyncSession, job_id: UUID, epoch: int, failure: Failure) -> None:
    """The worker reports that its attempt failed: tried again or given up, as the rules say."""
    await end_badly(session, await held(session, job_id, epoch), failure, outcome="failed")


async def release_job(session: AsyncSession, job_id: UUID, epoch: int) -> None:
    """The worker gives an unfinished job back; the attempt does not count as a failure."""
    job = await held(session, job_id, epoch)
    if isinstance(job, RunRow) and job.state == RunState.CANCELLING:
        await _end_cancelled(session, job)
    elif isinstance(job, RunRow) and job.state == RunState.PAUSING:
        await _end_paused(session, job, outcome="paused")
    else:
        await _end_attempt(session, job, outcome="released")
        await store.requeue(session, job)


async def end_badly(session: AsyncSession, job: Job, failure: Failure, *, outcome: str) -> None:
    """End the attempt of a locked job and decide what becomes of the job."""
    if isinstance(job, RunRow) and job.state == RunState.CANCELLING:
        await _end_cancelled(session, job)
        return
    if isinstance(job, RunRow) and job.state == RunState.PAUSING and failure.retry and failure.blame != "user":
        await _end_paused(session, job, outcome=outcome, code=failure.code)
        return
    counts = {"failures": job.failures + 1, "total_failures": job.total_failures + 1}
    await _end_attempt(session, job, outcome=outcome, code=failure.code)
    if failure.code == "out_of_memory" and (smaller := _with_smaller_batch(job)) is not None:
        await store.requeue(session, job, values={**smaller, "total_failures": counts["total_failures"]})
        return
    verdict = judge(failure, **counts)
    if verdict.state is RunState.QUEUED:
        await store.requeue(session, job, after_s=verdict.retry_after_s, values=counts)
        return
    await _end_failed(session, job, failure, verdict.state, counts)


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
    error = {
        "code": failure.code,
        "message": failure.message,
        "blame": failure.blame,
        "log_tail": failure.log_tail[-MAX_LOG_TAIL:],
    }
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


async def reap(session: AsyncSession) -> int:
    """Take every lease that ran out from its worker; returns how many."""
    jobs = await store.expired_jobs(session)
    for job in jobs:
        await end_badly(session, job, LOST, outcome="lost")
    return len(jobs)


async def forget_worker(session: AsyncSession, worker: str) -> None:
    """A worker has restarted: what it held is free at once."""
    for job in await store.jobs_of_worker(session, worker):
        await end_badly(session, job, LOST, outcome="lost")
