"""Runs under a lease: claimed, started, completed, failed, lost. Every write carries the epoch of its lease."""

from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from slm_shared.delivery import outbox
from slm_shared.events.catalogue import ExperimentCompleted, ExperimentFailed, ExperimentStarted
from slm_shared.jobs import leases
from slm_shared.storage.database import database_now
from slm_training import store
from slm_training.domain import KEPT_CHECKPOINTS, LOST, Capabilities, Failure, RunState, halved, judge
from slm_training.errors import LeaseLostError, RunNotFoundError
from slm_training.schemas.leases import Checkpoint, Claim, Completion
from slm_training.service.control import announce_cancelled
from slm_training.settings import TrainingSettings
from slm_training.tables import RunRow

MAX_LOG_TAIL = 8000


def artifact_prefix(run: RunRow) -> str:
    """Where the current lease stores its artifact; a stale worker can only fill its own prefix."""
    return f"runs/{run.id}/e{run.epoch}"


def checkpoint_prefix(run: RunRow) -> str:
    """Where the current lease stores its checkpoints, each in a folder named by its step."""
    return f"runs/{run.id}/checkpoints/e{run.epoch}"


async def claim_run(session: AsyncSession, claim: Claim, settings: TrainingSettings) -> dict[str, Any] | None:
    """Lease the next run to a worker and say everything it needs, or None."""
    said = claim.capabilities.model_dump() if claim.capabilities else {}
    await store.note_worker(session, claim.worker, pool=claim.pool, capabilities=said)
    run = await store.claim(
        session,
        pool=claim.pool,
        worker=claim.worker,
        claim_id=claim.claim_id,
        ttl_s=settings.lease_ttl_s,
        able=Capabilities.of(said),
    )
    if run is None:
        return None
    if await store.open_attempt(session, run):
        store.note_transition(session, run)
    return await _lease(session, run, settings)


async def _lease(session: AsyncSession, run: RunRow, settings: TrainingSettings) -> dict[str, Any]:
    checkpoints = await store.checkpoints_of(session, run.id)
    return {
        "purpose": run.purpose,
        "run_id": str(run.id),
        "experiment_id": str(run.experiment_id),
        "epoch": run.epoch,
        "attempt": run.attempt,
        "name": run.name,
        "family": run.family,
        "config": run.config,
        "base_model": run.base_model,
        "training_dataset": run.training_dataset,
        "evaluation_dataset": run.evaluation_dataset,
        "artifact_prefix": artifact_prefix(run),
        "checkpoint_prefix": checkpoint_prefix(run),
        "checkpoints": [
            {"step": each.step, "prefix": each.prefix, "manifest_sha256": each.manifest_sha256} for each in checkpoints
        ],
        "lease_ttl_s": settings.lease_ttl_s,
        "heartbeat_s": settings.heartbeat_s,
    }


async def held(session: AsyncSession, run_id: UUID, epoch: int) -> RunRow:
    """The run under this lease, locked. Raises LeaseLostError, or RunNotFoundError for a run that never was."""
    run = await store.held_run(session, run_id, epoch)
    if run is not None:
        return run
    if await store.find_run(session, run_id) is None:
        raise RunNotFoundError("There is no such run.")
    raise LeaseLostError("The lease is not held any more.")


async def start_run(session: AsyncSession, run_id: UUID, epoch: int) -> None:
    """The worker has begun: the experiment is running. Saying it twice is fine.

    A run that a user paused in between goes on pausing: its worker stops at the next checkpoint, or completes first.
    """
    run = await held(session, run_id, epoch)
    if run.state not in (RunState.LEASED, RunState.PAUSING) or not await store.start_attempt(session, run):
        return
    values = {"started_at": run.started_at or await database_now(session)}
    if run.state == RunState.LEASED:
        await store.move(session, run, RunState.RUNNING, values=values)
    else:
        await store.change(session, run, values)
    if run.purpose == store.PLAN:
        return
    await outbox.append(
        session,
        ExperimentStarted(
            experiment_id=run.experiment_id, run_id=run.id, attempt=run.attempt, epoch=epoch, worker=run.worker or ""
        ),
    )


async def keep_lease(session: AsyncSession, run_id: UUID, epoch: int, settings: TrainingSettings) -> RunState:
    """Renew a lease; returns the state of the run, which may ask the worker to stop."""
    run = await held(session, run_id, epoch)
    await leases.renew(session, RunRow, run_id, epoch=epoch, ttl_s=settings.lease_ttl_s)
    if run.worker is not None:
        await store.note_worker(session, run.worker, pool=run.pool, capabilities={})
    return RunState(run.state)


async def note_choices(session: AsyncSession, run_id: UUID, epoch: int, choices: dict[str, Any]) -> None:
    """Keep with the run what the trainer settled by itself, and why."""
    run = await held(session, run_id, epoch)
    await store.change(session, run, {"chosen": {**(run.chosen or {}), **choices}})


async def add_checkpoint(session: AsyncSession, run_id: UUID, checkpoint: Checkpoint) -> list[str]:
    """A checkpoint is stored: the next attempt may go on from it. Returns prefixes that nobody needs any more."""
    run = await held(session, run_id, checkpoint.epoch)
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
    await store.note_resumed(session, await held(session, run_id, epoch), step)


async def begin_completion(session: AsyncSession, run_id: UUID, completion: Completion) -> RunRow | None:
    """The worker says that the artifact is complete; None when this very completion was accepted before.

    Raises LeaseLostError, and ends a run that was being cancelled as cancelled.
    """
    run = await store.locked_run(session, run_id)
    if run is None:
        raise RunNotFoundError("There is no such run.")
    if run.state == RunState.SUCCEEDED and run.epoch == completion.epoch and run.result:
        if run.result["manifest_sha256"] == completion.manifest_sha256:
            return None
        raise LeaseLostError("The run was completed with another artifact.")
    run = await held(session, run_id, completion.epoch)
    if run.state in (RunState.RUNNING, RunState.PAUSING) and run.started_at is not None:
        await store.move(session, run, RunState.COMPLETING)
    return run


async def complete_run(session: AsyncSession, run_id: UUID, completion: Completion) -> None:
    """The artifact was read back and matches: the run succeeded. Only this makes the artifact visible to anybody."""
    run = await held(session, run_id, completion.epoch)
    now = await database_now(session)
    result = completion.model_dump(exclude={"epoch"}) | {"prefix": artifact_prefix(run)}
    values = {"result": result, "completed_at": now, "error": None, **leases.released()}
    if not await store.move(session, run, RunState.SUCCEEDED, values=values):
        raise LeaseLostError("The run is not being completed.")
    await store.end_attempt(session, run, outcome="succeeded")
    await outbox.append(session, _completed(run))


async def complete_plan(session: AsyncSession, run_id: UUID, epoch: int, report: dict[str, Any]) -> None:
    """A preflight found that the run can work, and what it takes."""
    run = await held(session, run_id, epoch)
    if run.purpose != store.PLAN:
        raise LeaseLostError("The run is no plan.")
    await store.move(session, run, RunState.COMPLETING)
    values = {"report": report, "completed_at": await database_now(session), "error": None, **leases.released()}
    if not await store.move(session, run, RunState.SUCCEEDED, values=values):
        raise LeaseLostError("The plan is not being made.")
    await store.end_attempt(session, run, outcome="succeeded")


def _completed(run: RunRow) -> ExperimentCompleted:
    assert run.result is not None
    result, training, evaluation = run.result, run.training_dataset, run.evaluation_dataset or {}
    return ExperimentCompleted(
        experiment_id=run.experiment_id,
        run_id=run.id,
        run_name=run.name,
        goal=run.goal,
        attempt=run.attempt,
        family=run.family,
        method=run.config["method"],
        base_model_id=run.base_model["id"],
        base_model_name=run.base_model["name"],
        training_dataset_id=training["id"],
        training_dataset_name=training["name"],
        training_dataset_sha256=training["sha256"],
        evaluation_dataset_id=evaluation.get("id"),
        evaluation_dataset_name=evaluation.get("name"),
        evaluation_dataset_sha256=evaluation.get("sha256"),
        evaluation_dataset_key=evaluation.get("object_key"),
        evaluation_row_format=evaluation.get("row_format"),
        evaluation_mapping=evaluation.get("mapping", {}),
        artifact_prefix=result["prefix"],
        started_at=run.started_at,
        completed_at=run.completed_at,
        config=run.config | {f"version_{name}": version for name, version in result["versions"].items()},
        **{
            name: result[name]
            for name in (
                "manifest_key", "manifest_sha256", "size_bytes", "parameter_count", "steps", "train_loss", "eval_loss",
                "duration_s",
            )
        },
    )  # fmt: skip


async def fail_attempt(session: AsyncSession, run_id: UUID, epoch: int, failure: Failure) -> None:
    """The worker reports that its attempt failed: tried again or given up, as the rules say."""
    await end_badly(session, await held(session, run_id, epoch), failure, outcome="failed")


async def release_run(session: AsyncSession, run_id: UUID, epoch: int) -> None:
    """The worker gives an unfinished run back; the attempt does not count as a failure."""
    run = await held(session, run_id, epoch)
    if run.state == RunState.CANCELLING:
        await _end_cancelled(session, run)
    elif run.state == RunState.PAUSING:
        await _end_paused(session, run, outcome="paused")
    else:
        await store.end_attempt(session, run, outcome="released")
        await store.requeue(session, run)


async def end_badly(session: AsyncSession, run: RunRow, failure: Failure, *, outcome: str) -> None:
    """End the attempt of a locked run and decide what becomes of the run."""
    if run.state == RunState.CANCELLING:
        await _end_cancelled(session, run)
        return
    if run.state == RunState.PAUSING and failure.retry and failure.blame != "user":
        await _end_paused(session, run, outcome=outcome, code=failure.code)
        return
    counts = {"failures": run.failures + 1, "total_failures": run.total_failures + 1}
    await store.end_attempt(session, run, outcome=outcome, code=failure.code)
    if failure.code == "out_of_memory" and (smaller := _with_smaller_batch(run)) is not None:
        await store.requeue(session, run, values={**smaller, "total_failures": counts["total_failures"]})
        return
    verdict = judge(failure, **counts)
    if verdict.state is RunState.QUEUED:
        await store.requeue(session, run, after_s=verdict.retry_after_s, values=counts)
        return
    await _end_failed(session, run, failure, {"state": verdict.state, **counts})


def _with_smaller_batch(run: RunRow) -> dict[str, Any] | None:
    """Half the rows in memory and the same effective batch, if the run allows it and it can be halved."""
    smaller = halved(run.config) if run.config.get("retry_with_smaller_batch", True) else None
    if smaller is None:
        return None
    why = f"{run.config['batch_size']} rows at once ran out of memory; the effective batch is the same."
    choices = {name: {"value": smaller[name], "reason": why} for name in ("batch_size", "gradient_accumulation_steps")}
    return {"config": smaller, "chosen": {**(run.chosen or {}), **choices}}


async def _end_failed(session: AsyncSession, run: RunRow, failure: Failure, values: dict[str, Any]) -> None:
    error = {
        "code": failure.code,
        "message": failure.message,
        "blame": failure.blame,
        "log_tail": failure.log_tail[-MAX_LOG_TAIL:],
    }
    target = values.pop("state")
    ended = {"error": error, "completed_at": await database_now(session), **values, **leases.released()}
    if await store.move(session, run, target, values=ended) and run.purpose == store.TRAIN:
        event = ExperimentFailed.model_validate({**error, "experiment_id": run.experiment_id, "run_id": run.id})
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
    runs = await store.expired_runs(session)
    for run in runs:
        await end_badly(session, run, LOST, outcome="lost")
    return len(runs)


async def forget_worker(session: AsyncSession, worker: str) -> None:
    """A worker has restarted: what it held is free at once."""
    for run in await store.runs_of_worker(session, worker):
        await end_badly(session, run, LOST, outcome="lost")
