"""The end of a run or a plan that succeeded."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from slm_shared.delivery import outbox
from slm_shared.errors import FieldProblem, InvalidError
from slm_shared.events.catalogue import ExperimentCompleted
from slm_shared.jobs import leases
from slm_shared.jobs.lifecycle import LeaseLostError
from slm_shared.storage import manifest
from slm_shared.storage.database import database_now
from slm_training import store
from slm_training.domain import RunState
from slm_training.schemas.leases import Completion, PlanReport
from slm_training.service import launching
from slm_training.store import Job
from slm_training.tables import PlanRow, RunRow

RESULT = (
    "manifest_key", "manifest_sha256", "size_bytes", "parameter_count", "steps", "train_loss", "eval_loss",
    "duration_s",
)  # fmt: skip


def artifact_prefix(job: Job) -> str:
    """Where the current lease stores its artifact; a stale worker can only fill its own prefix."""
    return f"runs/{job.id}/e{job.epoch}"


def refuse_foreign_manifest(run: RunRow, completion: Completion) -> str:
    """The prefix of the artifact. Raises InvalidError for a manifest that does not lie there."""
    prefix = artifact_prefix(run)
    if completion.manifest_key != f"{prefix}/{manifest.MANIFEST_NAME}":
        problem = FieldProblem("manifest_key", "must be the manifest under the lease's own prefix")
        raise InvalidError("The manifest is not under the lease's prefix.", errors=[problem])
    return prefix


async def is_complete(session: AsyncSession, run_id: UUID, completion: Completion) -> bool:
    """Whether this very completion was accepted before; the run is locked. Raises RunNotFoundError, LeaseLostError."""
    run = await launching.locked(session, run_id)
    if run.state != RunState.SUCCEEDED or run.epoch != completion.epoch or not run.result:
        return False
    if run.result["manifest_sha256"] != completion.manifest_sha256:
        raise LeaseLostError("The run was completed with another artifact.")
    return True


async def end_run(session: AsyncSession, run: RunRow, completion: Completion) -> None:
    """The artifact of a run was read back: the run succeeded. Raises LeaseLostError if it is not being completed."""
    now = await database_now(session)
    result = completion.model_dump(exclude={"epoch"}) | {"prefix": artifact_prefix(run)}
    values = {"result": result, "completed_at": now, "error": None, **leases.released()}
    if not await store.move(session, run, RunState.SUCCEEDED, values=values):
        raise LeaseLostError("The run is not being completed.")
    await store.end_attempt(session, run, outcome="succeeded")
    await outbox.append(session, _completed(run))


async def end_plan(session: AsyncSession, plan: Job, found: PlanReport) -> None:
    """A preflight found that the run can work, and what it takes. Raises LeaseLostError."""
    if not isinstance(plan, PlanRow):
        raise LeaseLostError("The run is no plan.")
    await store.move(session, plan, RunState.COMPLETING)
    ended = {"completed_at": await database_now(session), "error": None, **leases.released()}
    if not await store.move(session, plan, RunState.SUCCEEDED, values={"report": found.report, **ended}):
        raise LeaseLostError("The plan is not being made.")


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
        **{name: result[name] for name in RESULT},
    )
