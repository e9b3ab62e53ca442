"""Launching a run and cancelling it."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from slm_shared import audit, outbox
from slm_shared.database import ANSWER_WITHIN_S, Database
from slm_shared.errors import FieldProblem
from slm_shared.events import ExperimentCancelled, RunLaunched
from slm_shared.ids import new_id
from slm_shared.peers import Peer
from slm_training import store
from slm_training.domain import TERMINAL, TRAINABLE_FORMATS, RunState, family_of
from slm_training.errors import (
    DatasetNotFoundError,
    DatasetNotReadyError,
    DatasetNotTrainableError,
    ModelNotFoundError,
    RunFinishedError,
    RunNotFoundError,
)
from slm_training.schemas import RunCreate
from slm_training.tables import RunRow

DATASET_FIELDS = ("id", "name", "object_key", "sha256", "row_format", "mapping", "rows")
MODEL_FIELDS = ("id", "name", "artifact_prefix", "manifest_key", "manifest_sha256")


@dataclass(frozen=True)
class Inputs:
    """What a run works on, as it is at launch: nothing that happens later changes it."""

    base_model: dict[str, Any]
    training_dataset: dict[str, Any]
    evaluation_dataset: dict[str, Any] | None


class Resolver:
    """Finds what a request names: in the projection first, then once at its owner."""

    def __init__(self, database: Database, *, datasets: Peer, registry: Peer) -> None:
        self._database = database
        self._datasets = datasets
        self._registry = registry

    async def resolve(self, request: RunCreate) -> Inputs:
        """The inputs of a run. Raises what `errors` says about models and datasets, and UnavailableError."""
        evaluation = request.evaluation_dataset
        return Inputs(
            base_model=await self._model(request.base_model),
            training_dataset=await self._dataset(request.training_dataset, field="training_dataset"),
            evaluation_dataset=await self._dataset(evaluation, field="evaluation_dataset") if evaluation else None,
        )

    async def _model(self, reference: str) -> dict[str, Any]:
        found = await self._registry.get(f"/api/models/{_quoted(reference)}")
        if found is None:
            hint = "`slm models list` shows what there is."
            raise ModelNotFoundError("There is no such base model.", hint=hint)
        return {name: found[name] for name in MODEL_FIELDS}

    async def _dataset(self, reference: str, *, field: str) -> dict[str, Any]:
        async with self._database.read(within_s=ANSWER_WITHIN_S) as session:
            row = await store.find_dataset(session, reference)
        if row is not None and row.deleted:
            raise DatasetNotFoundError(f"The {field} was deleted.")
        if row is not None:
            found = {name: getattr(row, name) for name in DATASET_FIELDS} | {"id": str(row.id)}
        else:
            found = await self._ask_for_dataset(reference, field=field)
        if found["row_format"] not in TRAINABLE_FORMATS:
            raise DatasetNotTrainableError(
                f"The {field} has rows of the format {found['row_format']}, which cannot be trained on.",
                hint="Upload it with prompt_column and completion_column, or as prompt/completion, messages or text.",
                errors=[FieldProblem(field, f"must have rows of one of: {', '.join(TRAINABLE_FORMATS)}")],
            )
        return found

    async def _ask_for_dataset(self, reference: str, *, field: str) -> dict[str, Any]:
        found = await self._datasets.get(f"/api/datasets/{_quoted(reference)}")
        if found is None:
            raise DatasetNotFoundError(f"There is no such {field}.", hint="`slm datasets list` shows what there is.")
        if found["status"] != "processed":
            hint = "Wait until it is processed." if found["status"] == "in_progress" else "Mend and upload it again."
            raise DatasetNotReadyError(f"The {field} is not processed: its status is {found['status']}.", hint=hint)
        known = {name: found[name] for name in DATASET_FIELDS if name != "sha256"}
        return known | {"sha256": found["canonical_sha256"]}


def _quoted(reference: str) -> str:
    return "".join(char if char.isalnum() or char in "-_." else f"%{ord(char):02X}" for char in reference)


async def launch_run(session: AsyncSession, request: RunCreate, inputs: Inputs, *, owner: str) -> RunRow:
    """Queue a run with its experiment and announce it."""
    run = RunRow(
        id=new_id(),
        experiment_id=new_id(),
        name=request.name,
        family=request.family or family_of(request.name),
        goal=request.goal,
        description=request.description,
        owner=owner,
        pool="default",
        state=RunState.QUEUED,
        base_model=inputs.base_model,
        training_dataset=inputs.training_dataset,
        evaluation_dataset=inputs.evaluation_dataset,
        config=request.config(),
        progress={},
    )
    session.add(run)
    await session.flush()
    await session.refresh(run)
    await audit.append(session, "run.launched", actor=owner, object_id=run.id, name=run.name)
    await outbox.append(
        session,
        RunLaunched(
            run_id=run.id,
            experiment_id=run.experiment_id,
            name=run.name,
            base_model_id=UUID(run.base_model["id"]),
            base_model_name=run.base_model["name"],
            method=request.method,
            training_dataset_id=UUID(run.training_dataset["id"]),
            evaluation_dataset_id=UUID(run.evaluation_dataset["id"]) if run.evaluation_dataset else None,
        ),
    )
    return run


async def cancel_run(session: AsyncSession, run_id: UUID, *, actor: str) -> RunRow:
    """Stop a run: at once while it is queued, at the next heartbeat while it works.

    Cancelling twice is fine. Raises RunNotFoundError and RunFinishedError.
    """
    run = await store.locked_run(session, run_id)
    if run is None:
        raise RunNotFoundError("There is no such run.")
    state = RunState(run.state)
    if state in TERMINAL - {RunState.CANCELLED} or state is RunState.COMPLETING:
        raise RunFinishedError(f"The run is {state} and cannot be cancelled any more.")
    if state is RunState.QUEUED and await store.move(session, run, RunState.CANCELLED, values={"retry_at": None}):
        await announce_cancelled(session, run)
    elif state in (RunState.LEASED, RunState.RUNNING):
        await store.move(session, run, RunState.CANCELLING)
    if state is not RunState.CANCELLED:
        await audit.append(session, "run.cancelled", actor=actor, object_id=run.id)
    return run


async def announce_cancelled(session: AsyncSession, run: RunRow) -> None:
    """Tell that a run was cancelled."""
    await outbox.append(session, ExperimentCancelled(experiment_id=run.experiment_id, run_id=run.id))
