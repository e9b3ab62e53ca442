"""Preflight: what a run would take, found out by a worker before anybody launches it."""

import asyncio
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from slm_shared.errors import FieldProblem, UnavailableError
from slm_shared.storage.database import Database
from slm_training import store
from slm_training.errors import DatasetNotFoundError, PlanNotFoundError, PlanNotReadyError, PlanRefusedError
from slm_training.schemas.config import RunCreate
from slm_training.schemas.plans import Plan, status_of
from slm_training.service import launching, queue
from slm_training.service.resolving import Inputs, Resolver
from slm_training.tables import PlanRow, RunRow

LOOK_AGAIN_S = 0.1
FIELD_OF = {
    "no_trainable_tokens": "max_length",
    "stop_token_not_trained": "max_length",
    "will_not_fit": "batch_size",
    "precision_not_supported": "precision",
    "lora_target_not_found": "lora_target_modules",
    "base_model_not_supported": "base_model",
    "no_stop_token": "base_model",
    "row_format_not_trainable": "training_dataset",
}


async def plan_run(database: Database, resolver: Resolver, request: RunCreate, *, owner: str, wait_s: float) -> Plan:
    """Queue a preflight, and give it once it is made, or as it stands after `wait_s`.

    Raises PlanRefusedError for a run that cannot work, and what `Resolver.resolve` raises.
    """
    inputs = await resolver.resolve(request)
    async with database.transaction(answering=True) as session:
        plan_id = (await launching.queue_plan(session, request, inputs, owner=owner)).id
    loop = asyncio.get_running_loop()
    deadline = loop.time() + wait_s
    while True:
        async with database.read(answering=True) as session:
            plan = await _find(session, plan_id)
            if status_of(plan) == "refused":
                raise _refusal(plan)
            if status_of(plan) == "ready" or loop.time() >= deadline:
                return await _shown(session, plan)
        await asyncio.sleep(LOOK_AGAIN_S)


async def show_plan(session: AsyncSession, plan_id: UUID) -> Plan:
    """A plan, and what it waits for. Raises PlanNotFoundError."""
    return await _shown(session, await _find(session, plan_id))


async def _shown(session: AsyncSession, plan: PlanRow) -> Plan:
    return Plan.of(plan, await queue.place_of(session, plan))


async def _find(session: AsyncSession, plan_id: UUID) -> PlanRow:
    plan = await store.find_plan(session, plan_id)
    if plan is None:
        raise PlanNotFoundError("There is no such plan.")
    return plan


def _refusal(plan: PlanRow) -> Exception:
    error = plan.error or {"code": "cancelled", "message": "The plan was not made.", "blame": "user"}
    if error["blame"] != "user":
        return UnavailableError(f"The preflight could not be made: {error['message']}")
    refused = PlanRefusedError(
        error["message"], errors=[FieldProblem(FIELD_OF.get(error["code"], "config"), error["message"])]
    )
    refused.code = error["code"]  # type: ignore[misc]  # the instance is finer
    return refused


async def launch_plan(session: AsyncSession, plan_id: UUID, *, owner: str) -> RunRow:
    """Launch exactly what was planned, by content hash. Raises PlanNotReadyError and DatasetNotFoundError."""
    plan = await _find(session, plan_id)
    if status_of(plan) != "ready":
        raise PlanNotReadyError(f"The plan is {status_of(plan)}; only one that is ready can be launched.")
    for dataset in filter(None, (plan.training_dataset, plan.evaluation_dataset)):
        known = await store.find_dataset(session, dataset["id"])
        if known is not None and known.deleted:
            raise DatasetNotFoundError(f"The dataset {dataset['name']} was deleted after the plan was made.")
    run = await launching.launch_run(
        session, launching.parsed(plan.request or {}), Inputs.of(plan), owner=owner, plan_id=plan.id
    )
    await store.change(session, run, {"config": plan.config})
    return run
