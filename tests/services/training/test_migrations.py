"""What earlier versions stored is still there after a migration."""

import json
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from slm_shared.migrate import migrate_database
from slm_shared.settings import PlatformSettings
from slm_shared.storage.database import Database
from slm_shared.storage.ids import new_id
from slm_shared.storage.objects import ObjectStore
from slm_training.schemas.leases import PlanReport
from slm_training.service import launching, planning
from slm_training.service.leasing import LeasedJobs
from slm_training.settings import TrainingSettings

ROW: dict[str, Any] = {
    "name": "Commands",
    "family": "commands",
    "owner": "somebody",
    "pool": "default",
    "base_model": json.dumps({"id": str(new_id()), "name": "nano-v1"}),
    "training_dataset": json.dumps({"id": str(new_id()), "name": "rows-v1", "sha256": "0", "rows": 8}),
    "config": json.dumps({"method": "full"}),
    "request": json.dumps({"name": "Commands", "training_dataset": "rows-v1"}),
}


async def insert(session: AsyncSession, table: str, **row: Any) -> None:
    """Add one row."""
    names, values = ", ".join(row), ", ".join(f":{name}" for name in row)
    await session.execute(text(f"INSERT INTO {table} ({names}) VALUES ({values})"), row)


async def job(session: AsyncSession, *, purpose: str, state: str, **more: Any) -> UUID:
    """A run or a plan as version 0004 stored it, with an attempt and a state in its timeline."""
    job_id = new_id()
    await insert(session, "run", id=job_id, experiment_id=new_id(), purpose=purpose, state=state, **ROW, **more)
    await insert(session, "attempt", run_id=job_id, epoch=1, number=1, worker="trainer-1")
    await insert(session, "transition", run_id=job_id, state=state, attempt=1)
    return job_id


async def test_plans_move_out_of_the_runs_with_their_leases(platform_settings: PlatformSettings) -> None:
    name = f"plans_{new_id().hex}"
    await migrate_database(platform_settings, "training", name=name, revision="0004")
    database = Database(platform_settings.database_url(name))
    async with database.transaction() as session:
        run = await job(session, purpose="train", state="queued")
        report = json.dumps({"total_steps": 12})
        ready = await job(session, purpose="plan", state="succeeded", report=report)
        error = json.dumps({"code": "will_not_fit", "message": "Too large.", "blame": "user"})
        refused = await job(session, purpose="plan", state="failed", error=error)
        leased = await job(session, purpose="plan", state="running", epoch=2, attempt=1, worker="trainer-1")
        await session.execute(text("UPDATE run SET lease_expires_at = now() + interval '1 hour' WHERE epoch = 2"))
    await migrate_database(platform_settings, "training", name=name)
    jobs = LeasedJobs(TrainingSettings(), database, ObjectStore(platform_settings))
    await jobs.complete(leased, PlanReport(epoch=2, report={"total_steps": 7}))
    async with database.read() as session:
        plans = [await planning.show_plan(session, each) for each in (ready, refused, leased)]
        assert [plan.status for plan in plans] == ["ready", "refused", "ready"]
        assert [plan.report for plan in plans] == [{"total_steps": 12}, None, {"total_steps": 7}]
        assert plans[1].error is not None
        assert (await launching.find_run(session, run)).request == json.loads(ROW["request"])
        for table in ("attempt", "transition"):
            kept = await session.scalars(text(f"SELECT run_id FROM {table}"))
            assert kept.all() == [run]
        assert (await session.scalars(text("SELECT id FROM run"))).all() == [run]
    await database.close()
