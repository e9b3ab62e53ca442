"""Live views of experiments, and plans from their request to the run that is launched by them."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from slm_shared.delivery.broker import Broker
from slm_shared.events.catalogue import LogLine, MetricPoint, RunLaunched, TelemetryBatch, telemetry_subject
from slm_shared.events.topology import TELEMETRY
from slm_shared.storage.ids import new_id
from slm_testing.events import EventLog
from slm_testing.waiting import eventually
from tests.support.training import TrainingPlatform

NOW = datetime(2026, 1, 2, tzinfo=UTC)
STEPS = 3000


async def send(platform: TrainingPlatform, lease: dict[str, Any], *, values: dict[int, float], lines: int = 0) -> None:
    """Telemetry of one lease, as a worker sends it."""
    broker = Broker(platform.settings.nats_url, name="tests")
    jetstream = await broker.jetstream()
    points = [MetricPoint(step=step, name="loss", value=value, time=NOW) for step, value in values.items()]
    last = [MetricPoint(step=max(values), name=name, value=value, time=NOW) for name, value in (
        ("total_steps", 10.0), ("eta_s", 1.5), ("epoch", 0.5), ("learning_rate", 1e-3),
    )]  # fmt: skip
    for number, start in enumerate(range(0, len(points), 1000)):
        batch = TelemetryBatch(
            experiment_id=UUID(lease["experiment_id"]), epoch=lease["epoch"], batch=number,
            points=points[start : start + 1000] + last,
            lines=[LogLine(time=NOW, level="warning", message=f"line {n}") for n in range(lines)],
        )  # fmt: skip
        payload = batch.model_dump_json().encode()
        await jetstream.publish(telemetry_subject(batch.experiment_id), payload, stream=TELEMETRY)
    await broker.close()


async def messages_of(
    platform: TrainingPlatform, experiment_id: str, *, after: int = 0
) -> list[tuple[str, int, dict[str, Any]]]:
    """The whole live view of an experiment, until it ends."""
    found, event, place = [], "", 0
    path, headers = f"/api/experiments/{experiment_id}/live", {"Last-Event-ID": str(after)}
    async with platform.training.stream("GET", path, headers=headers, timeout=30) as response:
        assert response.status_code == 200
        async for line in response.aiter_lines():
            name, _, value = line.partition(": ")
            if name == "event":
                event = value
            elif name == "id":
                place = int(value)
            elif name == "data":
                found.append((event, place, json.loads(value)))
    return found


async def test_an_experiment_is_watched_until_it_ends(platform: TrainingPlatform) -> None:
    await platform.dataset("rows")
    run = await platform.launch(epochs=2)
    lease = await platform.started()
    watching = asyncio.create_task(messages_of(platform, run["experiment_id"]))
    await send(platform, lease, values={1: 3.0, 5: 2.0}, lines=2)

    async def is_told() -> bool:
        return bool((await platform.experiment(run))["progress"].get("step") == 5)

    await eventually(is_told)
    told = {"code": "diverged", "message": "Not finite at step 6.", "blame": "user", "retry": False}
    assert (await platform.tell(lease, "fail", **told)).status_code == 204
    messages = await asyncio.wait_for(watching, 20)
    assert [body["message"] for name, _, body in messages if name == "log"] == ["line 0", "line 1"]
    last = messages[-1][2]
    assert (last["jobId"], last["status"], last["error"]["code"]) == (run["experiment_id"], "failed", "diverged")
    assert last["progress"] == {
        "current_epoch": 0.5, "total_epochs": 2, "current_step": 5, "total_steps": 10, "percentage": 50.0,
        "estimated_remaining": 1500,
    }  # fmt: skip
    assert (last["metrics"]["train_loss"], last["metrics"]["learning_rate"]) == (2.0, 1e-3)
    place = next(place for name, place, _ in messages if name == "log")
    again = await messages_of(platform, run["experiment_id"], after=place)
    assert [body["message"] for name, _, body in again if name == "log"] == ["line 1"]
    log = f"/api/experiments/{run['experiment_id']}/log"
    for params, count in (({"level": "warning"}, 2), ({"level": "error"}, 0), ({"q": "LINE 1"}, 1)):
        assert len((await platform.training.get(log, params=params)).json()["lines"]) == count


async def test_nobody_watches_what_is_not_there(platform: TrainingPlatform) -> None:
    path = f"/api/experiments/{new_id()}/live"
    assert (await platform.training.get(path)).status_code == 404


async def test_a_long_series_is_thinned_out_with_its_peaks(platform: TrainingPlatform) -> None:
    await platform.dataset("rows")
    run = await platform.launch()
    lease = await platform.started()
    values = {step: 1.0 + step / STEPS for step in range(1, 3 * STEPS + 1)} | {4321: 99.0, 7777: -5.0}
    await send(platform, lease, values=values)
    path = f"/api/experiments/{run['experiment_id']}/metrics?name=loss"

    async def is_stored() -> bool:
        return len((await platform.training.get(path)).json()["series"].get("loss", [])) == len(values)

    await eventually(is_stored, timeout_s=30)
    thin = (await platform.training.get(f"{path}&points=100")).json()["series"]["loss"]
    assert len(thin) <= 100
    assert {4321: 99.0, 7777: -5.0}.items() <= {point["step"]: point["value"] for point in thin}.items()
    assert [point["step"] for point in thin] == sorted(point["step"] for point in thin)
    some = (await platform.training.get(f"{path}&first_step=10&last_step=20")).json()["series"]["loss"]
    assert [point["step"] for point in some] == list(range(10, 21))


async def planned(platform: TrainingPlatform, **settings: Any) -> dict[str, Any]:
    """A plan that no worker has made yet, and the lease to make it under."""
    body = {"name": "Commands", "training_dataset": "rows-v1", **settings}
    answer = await platform.training.post("/api/runs:preflight", params={"wait_s": 0}, json=body)
    assert answer.status_code == 202, answer.text
    plan: dict[str, Any] = answer.json()
    return plan


async def test_a_plan_is_made_before_runs_and_launched_as_it_is(platform: TrainingPlatform, events: EventLog) -> None:
    dataset = await platform.dataset("rows")
    await platform.launch(priority=100)
    plan = await planned(platform, epochs=2)
    assert (plan["status"], plan["queue"]["position"]) == ("planning", 1)
    early = await platform.training.post(f"/api/plans/{plan['id']}:launch")
    assert (early.status_code, early.json()["code"]) == (409, "plan_not_ready")
    lease = await platform.started()
    assert (lease["run_id"], lease["purpose"]) == (plan["id"], "plan")
    (worker,) = (await platform.training.get("/api/workers")).json()["items"]
    assert (worker["state"], worker["run_id"], worker["run_name"]) == ("busy", plan["id"], "Commands")
    assert (await platform.tell(lease, "heartbeat", step=0)).json() == {"cancel": False, "drain": False}
    report = {"total_steps": 12, "warnings": []}
    assert (await platform.tell(lease, "complete", report=report)).status_code == 204
    ready = (await platform.training.get(f"/api/plans/{plan['id']}")).json()
    assert (ready["status"], ready["report"]) == ("ready", report)
    await platform.dataset("rows", rows=9)
    run = (await platform.training.post(f"/api/plans/{plan['id']}:launch")).json()
    assert run["training_dataset"]["sha256"] == dataset["canonical_sha256"]
    assert (run["plan_id"], run["config"]["epochs"]) == (plan["id"], 2)
    assert plan["id"] not in [each["id"] for each in (await platform.training.get("/api/runs")).json()["items"]]
    assert (await platform.training.get(f"/api/runs/{plan['id']}")).status_code == 404
    await events.wait_for(RunLaunched, lambda event: str(event.run_id) == run["id"])
    assert {str(event.run_id) for event in await events.all(RunLaunched)}.isdisjoint({plan["id"]})


async def test_what_cannot_work_is_refused_by_name(platform: TrainingPlatform) -> None:
    await platform.dataset("rows")
    body = {"name": "Commands", "training_dataset": "rows-v1"}
    asking = asyncio.create_task(platform.training.post("/api/runs:preflight", json=body))

    async def lease() -> Any:
        answer = await platform.worker.post("/api/leases:claim", json={"worker": "w", "claim_id": str(new_id())})
        return answer.json() if answer.status_code == 200 else None

    claimed = await eventually(lease)
    await platform.tell(claimed, "start")
    why = {"code": "will_not_fit", "message": "It needs 99 GB.", "blame": "user", "retry": False}
    assert (await platform.tell(claimed, "fail", **why)).status_code == 204
    answer = await asking
    assert (answer.status_code, answer.json()["code"]) == (422, "will_not_fit")
    assert answer.json()["errors"] == [{"field": "batch_size", "message": "It needs 99 GB."}]


async def test_a_claim_asked_again_is_not_answered_with_a_plan_that_came_in_between(platform: TrainingPlatform) -> None:
    await platform.dataset("rows")
    run, claim_id = await platform.launch(), str(new_id())
    assert (await platform.claim(claim_id=claim_id))["run_id"] == run["id"]
    plan = await planned(platform)
    assert (await platform.claim(claim_id=claim_id))["run_id"] == run["id"]
    assert (await platform.claim())["run_id"] == plan["id"]


async def test_a_plan_whose_worker_dies_is_made_by_another(platform: TrainingPlatform) -> None:
    await platform.dataset("rows")
    plan = await planned(platform)
    lost = await platform.started("trainer-1")
    assert (await platform.worker.post("/api/leases:forget", json={"worker": "trainer-1"})).status_code == 204
    late = await platform.tell(lost, "complete", report={})
    assert (late.status_code, late.json()["code"]) == (409, "lease_lost")
    waiting = (await platform.training.get(f"/api/plans/{plan['id']}")).json()
    assert (waiting["status"], waiting["queue"]["reason"][:9]) == ("planning", "It failed")


async def test_a_plan_cannot_be_completed_as_a_run_nor_a_run_as_a_plan(
    platform: TrainingPlatform, tmp_path: Path
) -> None:
    await platform.dataset("rows")
    run = await platform.launch()
    of_run = await platform.started("trainer-1")
    await planned(platform)
    of_plan = await platform.started("trainer-2")
    assert of_run["run_id"] == run["id"]
    wrong = [
        await platform.tell(of_run, "complete", report={}),
        await platform.tell(of_plan, "complete", **await platform.stored(of_plan, tmp_path)),
    ]
    assert [answer.json()["code"] for answer in wrong] == ["lease_lost", "run_not_found"]
