"""From a stored artifact to a run that succeeded."""

from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from slm_shared.delivery import outbox
from slm_shared.errors import FieldProblem, InvalidError
from slm_shared.events.catalogue import ExperimentCompleted
from slm_shared.jobs import leases
from slm_shared.storage import manifest
from slm_shared.storage.database import Database, database_now
from slm_shared.storage.manifest import ArtifactMismatchError
from slm_shared.storage.objects import ObjectStore
from slm_training import store
from slm_training.domain import Failure, RunState
from slm_training.errors import LeaseLostError, RunNotFoundError
from slm_training.schemas.leases import Completion
from slm_training.service import leasing
from slm_training.tables import RunRow


async def complete_run(database: Database, objects: ObjectStore, run_id: UUID, completion: Completion) -> None:
    """The artifact is stored: read all of it back, and only then call the run succeeded.

    One that does not match fails the attempt. Raises RunNotFoundError, LeaseLostError, and InvalidError for a manifest
    that does not lie under the lease's own prefix.
    """
    async with database.transaction(answering=True) as session:
        run = await begin_completion(session, run_id, completion)
    if run is None:
        return
    prefix = leasing.artifact_prefix(run)
    if completion.manifest_key != f"{prefix}/{manifest.MANIFEST_NAME}":
        problem = FieldProblem("manifest_key", "must be the manifest under the lease's own prefix")
        raise InvalidError("The manifest is not under the lease's prefix.", errors=[problem])
    try:
        # No transaction is open meanwhile: reading a large artifact back takes a while.
        await manifest.verify(objects, prefix, completion.manifest_sha256)
    except ArtifactMismatchError as error:
        failure = Failure("artifact_mismatch", error.message, "infra", retry=True)
        async with database.transaction(answering=True) as session:
            await leasing.fail_attempt(session, run_id, completion.epoch, failure)
        return
    async with database.transaction(answering=True) as session:
        await end_completion(session, run_id, completion)


async def begin_completion(session: AsyncSession, run_id: UUID, completion: Completion) -> RunRow | None:
    """Note that a run is being completed; None when this very completion was accepted before.

    Raises RunNotFoundError and LeaseLostError.
    """
    run = await store.locked_run(session, run_id)
    if run is None:
        raise RunNotFoundError("There is no such run.")
    if run.state == RunState.SUCCEEDED and run.epoch == completion.epoch and run.result:
        if run.result["manifest_sha256"] == completion.manifest_sha256:
            return None
        raise LeaseLostError("The run was completed with another artifact.")
    run = await leasing.held_run(session, run_id, completion.epoch)
    if run.state in (RunState.RUNNING, RunState.PAUSING) and run.started_at is not None:
        await store.move(session, run, RunState.COMPLETING)
    return run


async def end_completion(session: AsyncSession, run_id: UUID, completion: Completion) -> None:
    """The run succeeded. Only this makes the artifact visible to anybody. Raises LeaseLostError."""
    run = await leasing.held_run(session, run_id, completion.epoch)
    now = await database_now(session)
    result = completion.model_dump(exclude={"epoch"}) | {"prefix": leasing.artifact_prefix(run)}
    values = {"result": result, "completed_at": now, "error": None, **leases.released()}
    if not await store.move(session, run, RunState.SUCCEEDED, values=values):
        raise LeaseLostError("The run is not being completed.")
    await store.end_attempt(session, run, outcome="succeeded")
    await outbox.append(session, _completed(run))


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
