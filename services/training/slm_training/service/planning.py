"""Preflight: what a run would take, found out by a worker before anybody launches it."""

import asyncio
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from slm_shared.errors import FieldProblem, UnavailableError
from slm_shared.storage import audit
from slm_shared.storage.database import Database, database_now
from slm_shared.storage.ids import new_id
from slm_training import store
from slm_training.domain import RunState
from slm_training.errors import DatasetNotFoundError, PlanNotFoundError, PlanNotReadyError, PlanRefusedError
from slm_training.schemas.config import RunCreate
from slm_training.schemas.plans import status_of
from slm_training.service import launching
from slm_training.service.resolving import Inputs
from slm_training.tables import RunRow

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


async def begin_plan(session: AsyncSession, request: RunCreate, inputs: Inputs, *, owner: str) -> RunRow:
    """Queue a preflight, before all runs."""
    plan = RunRow(
        id=new_id(),
        experiment_id=new_id(),
        owner=owner,
        pool="default",
        purpose=store.PLAN,
        state=RunState.QUEUED,
        queued_at=await database_now(session),
        progress={},
        **launching.asked(request, inputs),
    )
    await store.add_run(session, plan)
    await audit.append(session, "run.planned", actor=owner, object_id=plan.id, name=plan.name)
    return plan


async def find_plan(session: AsyncSession, plan_id: UUID) -> RunRow:
    """A plan. Raises PlanNotFoundError."""
    row = await store.find_run(session, plan_id)
    if row is None or row.purpose != store.PLAN:
        raise PlanNotFoundError("There is no such plan.")
    return row


async def wait_for_plan(database: Database, plan_id: UUID, *, within_s: float) -> RunRow:
    """The plan once it is made, or as it stands after `within_s`. Raises PlanRefusedError for one that cannot work."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within_s
    while True:
        async with database.read(answering=True) as session:
            plan = await find_plan(session, plan_id)
        status = status_of(plan)
        if status == "refused":
            raise _refusal(plan)
        if status == "ready" or loop.time() >= deadline:
            return plan
        await asyncio.sleep(LOOK_AGAIN_S)


def _refusal(plan: RunRow) -> Exception:
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
    plan = await find_plan(session, plan_id)
    if status_of(plan) != "ready":
        raise PlanNotReadyError(f"The plan is {status_of(plan)}; only one that is ready can be launched.")
    for dataset in filter(None, (plan.training_dataset, plan.evaluation_dataset)):
        known = await store.find_dataset(session, dataset["id"])
        if known is not None and known.deleted:
            raise DatasetNotFoundError(f"The dataset {dataset['name']} was deleted after the plan was made.")
    inputs = Inputs(plan.base_model, plan.training_dataset, plan.evaluation_dataset)
    run = await launching.launch_run(session, launching.request_of(plan), inputs, owner=owner, plan_id=plan.id)
    await store.change(session, run, {"config": plan.config})
    return run
