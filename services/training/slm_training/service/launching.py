"""From a request to a queued job: runs, plans, drafts, clones, reproductions."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from pydantic import JsonValue, ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from slm_shared.delivery import outbox
from slm_shared.errors import Hint, InvalidError
from slm_shared.events.catalogue import RunLaunched
from slm_shared.http.problems import invalid_request
from slm_shared.storage import audit
from slm_shared.storage.database import database_now
from slm_shared.storage.ids import new_id
from slm_training import store
from slm_training.domain import RunState, family_of
from slm_training.errors import NotPossibleNowError, RunNotFoundError
from slm_training.schemas.blocks import FLAT_NAMES, flattened
from slm_training.schemas.config import RunCreate
from slm_training.schemas.runs import Origin
from slm_training.service.resolving import Inputs, objective_of
from slm_training.tables import PlanRow, RunRow

# What a reproduction takes over; whatever came of the earlier run stays there.
REPRODUCED = (
    "name", "family", "goal", "description", "tags", "priority", "needs", "request", "base_model", "pool",
    "training_dataset", "evaluation_dataset", "config",
)  # fmt: skip


async def launch_run(
    session: AsyncSession,
    request: RunCreate,
    inputs: Inputs,
    *,
    owner: str,
    origin: Origin | None = None,
    plan_id: UUID | None = None,
) -> RunRow:
    """Store a run with its experiment and, unless it is a draft, queue and announce it."""
    facts = {"plan_id": plan_id, "pool": "default", **facts_of(request, inputs)}
    return await _add_run(session, facts, owner=owner, origin=origin, is_draft=request.draft)


async def _add_run(
    session: AsyncSession, facts: Mapping[str, object], *, owner: str, origin: Origin | None, is_draft: bool = False
) -> RunRow:
    run = RunRow(
        id=new_id(),
        experiment_id=new_id(),
        owner=owner,
        state=RunState.DRAFT if is_draft else RunState.QUEUED,
        queued_at=None if is_draft else await database_now(session),
        origin=origin.model_dump(mode="json") if origin else None,
        progress={},
        **facts,
    )
    await store.add(session, run)
    if is_draft:
        await audit.append(session, "run.drafted", actor=owner, object_id=run.id, name=run.name)
    else:
        await announce_launched(session, run, actor=owner)
    return run


async def queue_plan(session: AsyncSession, request: RunCreate, inputs: Inputs, *, owner: str) -> PlanRow:
    """Queue the preflight of a run; trainers take it before all runs."""
    plan = PlanRow(
        id=new_id(),
        owner=owner,
        pool="default",
        state=RunState.QUEUED,
        queued_at=await database_now(session),
        **_facts(request, inputs),
    )
    await store.add(session, plan)
    await audit.append(session, "run.planned", actor=owner, object_id=plan.id, name=plan.name)
    return plan


def _facts(request: RunCreate, inputs: Inputs) -> dict[str, Any]:
    """What of a job's row follows from the request and its inputs."""
    return {
        "name": request.name,
        "priority": request.priority,
        "needs": request.needs(),
        "request": request.model_dump(mode="json", exclude_unset=True, exclude={"draft", *FLAT_NAMES, "deployment"}),
        **inputs.kept(),
        "config": request.config(objective=objective_of(request, inputs)),
    }


def facts_of(request: RunCreate, inputs: Inputs) -> Mapping[str, object]:
    """What of a run's row follows from the request and its inputs."""
    return {
        **_facts(request, inputs),
        "family": request.family or family_of(request.name),
        "goal": request.goal,
        "description": request.description,
        "tags": list(dict.fromkeys(request.tags)),
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


def request_of(run: RunRow, changes: Mapping[str, JsonValue] | None = None) -> RunCreate:
    """What a run was asked for, with changes on top. Raises InvalidError for what the changes break.

    A change to null goes back to the default.
    """
    wanted = dict(run.request or _request_from(run))
    for name, value in _flat(changes or {}).items():
        if value is None:
            wanted.pop(name, None)
        else:
            wanted[name] = value
    return parsed(wanted)


def parsed(request: Mapping[str, JsonValue]) -> RunCreate:
    """A request that was kept. Raises InvalidError for what is not possible (any more)."""
    try:
        return RunCreate.model_validate(request)
    except ValidationError as error:
        raise invalid_request(error.errors()) from error


def _flat(changes: Mapping[str, JsonValue]) -> dict[str, Any]:
    try:
        return flattened(dict(changes))
    except ValueError as error:
        raise InvalidError(f"The configuration cannot be read: {error}.") from error


def _request_from(run: RunRow) -> dict[str, Any]:
    """For runs from before requests were kept."""
    known = {name: value for name, value in run.config.items() if name in RunCreate.model_fields}
    evaluation = {"evaluation_dataset": run.evaluation_dataset["id"]} if run.evaluation_dataset else {}
    about = {"name": run.name, "family": run.family, "goal": run.goal, "description": run.description}
    named = {"base_model": run.base_model["id"], "training_dataset": run.training_dataset["id"], **evaluation}
    return {**known, **{name: value for name, value in about.items() if value is not None}, **named}


async def find_run(session: AsyncSession, run_id: UUID) -> RunRow:
    """A run. Raises RunNotFoundError."""
    return _existing(await store.find_run(session, run_id))


async def locked(session: AsyncSession, run_id: UUID) -> RunRow:
    """A run that is to be changed. Raises RunNotFoundError."""
    return _existing(await store.locked_run(session, run_id))


def _existing(run: RunRow | None) -> RunRow:
    if run is None:
        raise RunNotFoundError("There is no such run.", hint=Hint.LIST_RUNS)
    return run


async def clone_of(session: AsyncSession, run_id: UUID, changes: Mapping[str, JsonValue]) -> tuple[RunCreate, Origin]:
    """The request for a run like another one, and where it comes from. Raises as `find_run` and `request_of`."""
    run = await find_run(session, run_id)
    return request_of(run, changes), Origin(relation="clone", run_id=run.id, experiment_id=run.experiment_id)


async def reproduce_run(session: AsyncSession, run_id: UUID, *, owner: str) -> RunRow:
    """Queue a run with the very inputs and options of an earlier one, by content hash."""
    earlier = await locked(session, run_id)
    if earlier.state == RunState.DRAFT:
        raise NotPossibleNowError("A draft was never run; start it instead.")
    origin = Origin(relation="reproduction", run_id=earlier.id, experiment_id=earlier.experiment_id)
    facts = {name: getattr(earlier, name) for name in REPRODUCED}
    return await _add_run(session, facts, owner=owner, origin=origin)
