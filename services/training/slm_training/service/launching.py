"""From a request to a queued run: launching, drafts, clones, reproductions."""

from typing import Any
from uuid import UUID

from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from slm_shared.delivery import outbox
from slm_shared.errors import Hint, InvalidError
from slm_shared.events.catalogue import RunLaunched
from slm_shared.http.preconditions import VersionConflictError
from slm_shared.http.problems import invalid_request
from slm_shared.storage import audit
from slm_shared.storage.database import database_now
from slm_shared.storage.ids import new_id
from slm_training import store
from slm_training.domain import RunState, family_of
from slm_training.errors import (
    DraftOnlyError,
    NotPossibleNowError,
    RunNotFoundError,
)
from slm_training.schemas.blocks import FLAT_NAMES, flattened
from slm_training.schemas.config import RunCreate
from slm_training.service.resolving import Inputs, objective_of
from slm_training.tables import RunRow


async def launch_run(
    session: AsyncSession,
    request: RunCreate,
    inputs: Inputs,
    *,
    owner: str,
    origin: dict[str, Any] | None = None,
    plan_id: UUID | None = None,
) -> RunRow:
    """Store a run with its experiment and, unless it is a draft, queue and announce it."""
    run = RunRow(
        id=new_id(),
        experiment_id=new_id(),
        owner=owner,
        pool="default",
        state=RunState.DRAFT if request.draft else RunState.QUEUED,
        queued_at=None if request.draft else await database_now(session),
        origin=origin,
        plan_id=plan_id,
        progress={},
        **asked(request, inputs),
    )
    await store.add_run(session, run)
    if request.draft:
        await audit.append(session, "run.drafted", actor=owner, object_id=run.id, name=run.name)
    else:
        await announce_launched(session, run, actor=owner)
    return run


def asked(request: RunCreate, inputs: Inputs) -> dict[str, Any]:
    """What of a row follows from the request and its inputs."""
    return {
        "name": request.name,
        "family": request.family or family_of(request.name),
        "goal": request.goal,
        "description": request.description,
        "tags": list(dict.fromkeys(request.tags)),
        "priority": request.priority,
        "needs": request.needs(),
        "request": request.model_dump(mode="json", exclude_unset=True, exclude={"draft", *FLAT_NAMES, "deployment"}),
        "base_model": inputs.base_model,
        "training_dataset": inputs.training_dataset,
        "evaluation_dataset": inputs.evaluation_dataset,
        "config": request.config(objective=objective_of(request, inputs)),
    }


async def announce_launched(session: AsyncSession, run: RunRow, *, actor: str) -> None:
    """Tell that a run is queued."""
    await audit.append(session, "run.launched", actor=actor, object_id=run.id, name=run.name)
    await outbox.append(
        session,
        RunLaunched(
            run_id=run.id,
            experiment_id=run.experiment_id,
            name=run.name,
            base_model_id=UUID(run.base_model["id"]),
            base_model_name=run.base_model["name"],
            method=run.config["method"],
            training_dataset_id=UUID(run.training_dataset["id"]),
            evaluation_dataset_id=UUID(run.evaluation_dataset["id"]) if run.evaluation_dataset else None,
        ),
    )


def request_of(run: RunRow, changes: dict[str, Any] | None = None) -> RunCreate:
    """What a run was asked for, with changes on top. Raises InvalidError for what the changes break.

    A change to null goes back to the default.
    """
    wanted = dict(run.request or _request_from(run))
    try:
        for name, value in _flat(changes or {}).items():
            if value is None:
                wanted.pop(name, None)
            else:
                wanted[name] = value
        return RunCreate.model_validate(wanted)
    except ValidationError as error:
        raise invalid_request(error.errors()) from error


def _flat(changes: dict[str, Any]) -> dict[str, Any]:
    try:
        return flattened(changes)
    except ValueError as error:
        raise InvalidError(f"The configuration cannot be read: {error}.") from error


def _request_from(run: RunRow) -> dict[str, Any]:
    """For runs from before requests were kept."""
    known = {name: value for name, value in run.config.items() if name in RunCreate.model_fields}
    evaluation = {"evaluation_dataset": run.evaluation_dataset["id"]} if run.evaluation_dataset else {}
    about = {"name": run.name, "family": run.family, "goal": run.goal, "description": run.description}
    named = {"base_model": run.base_model["id"], "training_dataset": run.training_dataset["id"], **evaluation}
    return {**known, **{name: value for name, value in about.items() if value is not None}, **named}


async def locked(session: AsyncSession, run_id: UUID) -> RunRow:
    """A run that is to be changed. Raises RunNotFoundError."""
    run = await store.locked_run(session, run_id)
    if run is None or run.purpose != store.TRAIN:
        raise RunNotFoundError("There is no such run.", hint=Hint.LIST_RUNS)
    return run


async def edit_draft(
    session: AsyncSession, run_id: UUID, request: RunCreate, inputs: Inputs, *, version: int | None, actor: str
) -> RunRow:
    """Replace what a draft asks for; a `version` of None takes whatever there is.

    Raises DraftOnlyError, and VersionConflictError when it changed meanwhile.
    """
    run = await _draft(session, run_id)
    if version is not None and run.version != version:
        raise VersionConflictError("Somebody changed the draft since you read it.", hint="Read it again.")
    await store.change(session, run, {**asked(request, inputs), "version": run.version + 1})
    await audit.append(session, "run.edited", actor=actor, object_id=run.id, version=run.version)
    return run


async def start_draft(session: AsyncSession, run_id: UUID, inputs: Inputs, *, actor: str) -> RunRow:
    """Queue a draft with its inputs as they are now; one that was started before stays as it is."""
    run = await locked(session, run_id)
    if run.state != RunState.DRAFT:
        return run
    request = request_of(run)
    values = {**asked(request, inputs), "queued_at": await database_now(session)}
    await store.move(session, run, RunState.QUEUED, values=values)
    await announce_launched(session, run, actor=actor)
    return run


async def remove_draft(session: AsyncSession, run_id: UUID, *, actor: str) -> None:
    """Remove a run that was never started. Raises DraftOnlyError."""
    run = await _draft(session, run_id)
    await store.remove_draft(session, run)
    await audit.append(session, "run.removed", actor=actor, object_id=run_id, name=run.name)


async def _draft(session: AsyncSession, run_id: UUID) -> RunRow:
    run = await locked(session, run_id)
    if run.state != RunState.DRAFT:
        hint = "Clone it with the changes instead."
        raise DraftOnlyError("The run was started and stays as it is.", hint=hint)
    return run


async def reproduce_run(session: AsyncSession, run_id: UUID, *, owner: str) -> RunRow:
    """Queue a run with the very inputs and options of an earlier one, by content hash."""
    earlier = await locked(session, run_id)
    if earlier.state == RunState.DRAFT:
        raise NotPossibleNowError("A draft was never run; start it instead.")
    run = RunRow(
        id=new_id(),
        experiment_id=new_id(),
        owner=owner,
        state=RunState.QUEUED,
        queued_at=await database_now(session),
        origin={"relation": "reproduction", "run_id": str(earlier.id), "experiment_id": str(earlier.experiment_id)},
        progress={},
        **{
            name: getattr(earlier, name)
            for name in (
                "name", "family", "goal", "description", "tags", "priority", "needs", "request", "base_model", "pool",
                "training_dataset", "evaluation_dataset", "config",
            )
        },
    )  # fmt: skip
    await store.add_run(session, run)
    await announce_launched(session, run, actor=owner)
    return run
