"""Runs under a lease: who holds it decides, and nobody else is heard."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from slm_shared.events.catalogue import ExperimentCancelled, ExperimentCompleted, ExperimentFailed, ExperimentStarted
from slm_shared.http.provided import Service, given
from slm_shared.jobs.reaper import Reaper
from slm_shared.storage.database import Database
from slm_shared.storage.ids import new_id
from slm_testing.events import EventLog
from slm_testing.waiting import eventually
from tests.support.training import TrainingPlatform

CRASH = {"code": "boom", "message": "It broke.", "blame": "system", "retry": True, "log_tail": "the end"}
USER = {"code": "no_tokens", "message": "No row has a token to train on.", "blame": "user", "retry": False}


@pytest.fixture
def training_settings() -> dict[str, Any]:
    return {"lease_ttl_s": 30.0, "heartbeat_s": 5.0}


@pytest.fixture
async def platform(platform: TrainingPlatform) -> Any:
    """With a dataset to train on."""
    await platform.dataset("rows")
    return platform


async def attempts(platform: TrainingPlatform, run: dict[str, Any]) -> list[tuple[int, int, str | None, str | None]]:
    found = (await platform.experiment(run))["attempts"]
    return [(each["number"], each["epoch"], each["outcome"], each["code"]) for each in found]


async def test_a_run_is_claimed_trained_and_completed(
    platform: TrainingPlatform, events: EventLog, tmp_path: Path
) -> None:
    run = await platform.launch(evaluation_dataset="rows-v1")
    lease = await platform.claim()
    assert (lease["run_id"], lease["epoch"], lease["attempt"]) == (run["id"], 1, 1)
    assert lease["artifact_prefix"] == f"runs/{run['id']}/e1"
    assert (await platform.experiment(run))["status"] == "queued"
    assert (await platform.tell(lease, "start")).status_code == 204
    assert (await platform.tell(lease, "start")).status_code == 204
    assert (await platform.experiment(run))["status"] == "running"
    assert (await platform.tell(lease, "heartbeat", step=3)).json() == {"cancel": False, "drain": False}
    result = await platform.stored(lease, tmp_path)
    for _ in range(2):
        assert (await platform.tell(lease, "complete", **result)).status_code == 204
    experiment = await platform.experiment(run)
    assert (experiment["status"], experiment["train_loss"], experiment["steps"]) == ("completed", 1.5, 4)
    assert experiment["artifact"]["manifest_sha256"] == result["manifest_sha256"]
    completed = await events.wait_for(ExperimentCompleted)
    assert (completed.family, completed.manifest_sha256) == ("commands", result["manifest_sha256"])
    assert completed.config["version_torch"] == "2.13"
    assert (len(await events.all(ExperimentCompleted)), len(await events.all(ExperimentStarted))) == (1, 1)
    assert await attempts(platform, run) == [(1, 1, "succeeded", None)]


async def test_the_oldest_run_comes_first_and_a_lost_answer_costs_nothing(platform: TrainingPlatform) -> None:
    first, second = await platform.launch(), await platform.launch()
    claim_id = str(new_id())
    lease = await platform.claim(claim_id=claim_id)
    assert await platform.claim(claim_id=claim_id) == lease
    assert lease["run_id"] == first["id"]
    assert (await platform.claim())["run_id"] == second["id"]
    empty = await platform.worker.post("/api/leases:claim", json={"worker": "w", "claim_id": str(new_id())})
    assert empty.status_code == 204


async def test_fifty_workers_claim_ten_runs_once_each(platform: TrainingPlatform) -> None:
    runs = {(await platform.launch())["id"] for _ in range(10)}
    bodies = [{"worker": f"w{n}", "claim_id": str(new_id())} for n in range(50)]
    answers = await asyncio.gather(*(platform.worker.post("/api/leases:claim", json=body) for body in bodies))
    leased = [answer.json()["run_id"] for answer in answers if answer.status_code == 200]
    assert sorted(leased) == sorted(runs)
    assert {answer.status_code for answer in answers} == {200, 204}


@pytest.mark.parametrize("verb", ["start", "heartbeat", "complete", "fail", "release"])
async def test_a_worker_with_an_old_lease_is_not_heard(
    platform: TrainingPlatform, events: EventLog, tmp_path: Path, verb: str
) -> None:
    run = await platform.launch()
    old = await platform.started()
    result = await platform.stored(old, tmp_path)
    assert (await platform.tell(old, "release")).status_code == 204
    new = await platform.started("trainer-2")
    bodies: dict[str, dict[str, Any]] = {"complete": result, "fail": CRASH, "heartbeat": {"step": 1}}
    answer = await platform.tell(old, verb, **bodies.get(verb, {}))
    assert (answer.status_code, answer.json()["code"]) == (409, "lease_lost")
    assert (await platform.experiment(run))["status"] == "running"
    assert (await platform.tell(new, "heartbeat", step=1)).status_code == 200
    assert await events.all(ExperimentCompleted) == []


async def test_the_reaper_frees_what_a_silent_worker_held_and_the_zombie_stores_nothing(
    platform: TrainingPlatform, events: EventLog, tmp_path: Path
) -> None:
    run = await platform.launch()
    lease = await platform.started()
    result = await platform.stored(lease, tmp_path)
    await expire(platform)

    async def is_free() -> bool:
        return bool((await attempts(platform, run))[0][2] == "lost")

    await reap(platform)
    assert await eventually(is_free)
    answer = await platform.tell(lease, "complete", **result)
    assert (answer.status_code, answer.json()["code"]) == (409, "lease_lost")
    assert (await platform.experiment(run))["status"] == "queued"
    assert await events.all(ExperimentCompleted) == []


async def expire(platform: TrainingPlatform) -> None:
    """Let every lease run out now, by the clock of the database."""
    async with given(platform.app, Database).connection() as connection:
        await connection.exec_driver_sql("UPDATE run SET lease_expires_at = now() - interval '1 second'")


async def reap(platform: TrainingPlatform) -> None:
    """What the reaper does every few seconds."""
    reaper = next(task for task in given(platform.app, Service).background if isinstance(task, Reaper))
    await reaper.reap()


async def test_a_restarted_worker_gives_up_what_it_held(platform: TrainingPlatform) -> None:
    run = await platform.launch()
    await platform.started("trainer-1")
    assert (await platform.worker.post("/api/leases:forget", json={"worker": "trainer-2"})).status_code == 204
    assert (await platform.experiment(run))["status"] == "running"
    assert (await platform.worker.post("/api/leases:forget", json={"worker": "trainer-1"})).status_code == 204
    assert (await platform.experiment(run))["status"] == "queued"
    assert await attempts(platform, run) == [(1, 1, "lost", "worker_lost")]


async def test_a_failed_attempt_waits_before_it_is_tried_again(platform: TrainingPlatform) -> None:
    run = await platform.launch()
    assert (await platform.tell(await platform.started(), "fail", **CRASH)).status_code == 204
    assert (await platform.experiment(run))["status"] == "queued"
    empty = await platform.worker.post("/api/leases:claim", json={"worker": "w", "claim_id": str(new_id())})
    assert empty.status_code == 204
    await be_due(platform)
    assert (await platform.claim())["epoch"] == 2


async def be_due(platform: TrainingPlatform) -> None:
    """Let every pause before a retry be over."""
    async with given(platform.app, Database).connection() as connection:
        await connection.exec_driver_sql("UPDATE run SET retry_at = now()")


async def test_after_five_failures_a_run_is_given_up_with_its_cause(
    platform: TrainingPlatform, events: EventLog
) -> None:
    run = await platform.launch()
    for _ in range(5):
        await be_due(platform)
        assert (await platform.tell(await platform.started(), "fail", **CRASH)).status_code == 204
    experiment = await platform.experiment(run)
    assert (experiment["status"], experiment["state"]) == ("failed", "dead_letter")
    assert experiment["error"] == {name: CRASH[name] for name in ("code", "message", "blame", "log_tail")}
    assert (await events.wait_for(ExperimentFailed)).code == "boom"
    assert [each[2] for each in await attempts(platform, run)] == ["failed"] * 5


async def test_what_the_user_has_to_mend_fails_at_once(platform: TrainingPlatform, events: EventLog) -> None:
    run = await platform.launch()
    assert (await platform.tell(await platform.started(), "fail", **USER)).status_code == 204
    experiment = await platform.experiment(run)
    assert (experiment["status"], experiment["error"]["blame"]) == ("failed", "user")
    assert (await events.wait_for(ExperimentFailed)).blame == "user"
    answer = await platform.training.post(f"/api/runs/{run['id']}:cancel")
    assert (answer.status_code, answer.json()["code"]) == (409, "run_finished")


async def test_a_released_run_is_due_at_once_and_counts_no_failure(platform: TrainingPlatform) -> None:
    run = await platform.launch()
    for epoch in range(1, 8):
        lease = await platform.started()
        assert lease["epoch"] == epoch
        assert (await platform.tell(lease, "release")).status_code == 204
    assert {each[2] for each in await attempts(platform, run)} == {"released"}
    assert (await platform.experiment(run))["status"] == "queued"


async def test_a_working_run_is_cancelled_by_its_worker(platform: TrainingPlatform, events: EventLog) -> None:
    run = await platform.launch()
    lease = await platform.started()
    assert (await platform.training.post(f"/api/runs/{run['id']}:cancel")).json()["state"] == "cancelling"
    assert (await platform.tell(lease, "heartbeat", step=1)).json()["cancel"] is True
    assert (await platform.tell(lease, "release")).status_code == 204
    assert (await platform.experiment(run))["status"] == "cancelled"
    await events.wait_for(ExperimentCancelled)
    assert (await platform.training.post(f"/api/runs/{run['id']}:cancel")).status_code == 202


async def test_a_cancel_that_races_with_the_end_leaves_one_end(
    platform: TrainingPlatform, events: EventLog, tmp_path: Path
) -> None:
    ends = []
    for number in range(10):
        run = await platform.launch()
        lease = await platform.started()
        result = await platform.stored(lease, tmp_path / str(number))
        completed, cancelled = await asyncio.gather(
            platform.tell(lease, "complete", **result), platform.training.post(f"/api/runs/{run['id']}:cancel")
        )
        if completed.status_code == 409:
            assert (await platform.tell(lease, "release")).status_code == 204
        experiment = await platform.experiment(run)
        assert (experiment["status"] == "completed") == (completed.status_code == 204)
        assert (experiment["status"] == "cancelled") == (cancelled.status_code == 202)
        ends.append(experiment["status"])

    async def all_told() -> bool:
        completions, cancels = await events.all(ExperimentCompleted), await events.all(ExperimentCancelled)
        return (len(completions), len(cancels)) == (ends.count("completed"), ends.count("cancelled"))

    assert await eventually(all_told)


@pytest.mark.parametrize("harm", ["changed", "missing", "no manifest"])
async def test_an_artifact_that_does_not_read_back_is_never_called_complete(
    platform: TrainingPlatform, events: EventLog, tmp_path: Path, harm: str
) -> None:
    run = await platform.launch()
    lease = await platform.started()
    result = await platform.stored(lease, tmp_path)
    prefix = lease["artifact_prefix"]
    if harm == "changed":
        await platform.objects.put_bytes(f"{prefix}/model.safetensors", b"something else")
    else:
        await platform.objects.remove(f"{prefix}/{'manifest.json' if harm == 'no manifest' else 'config.json'}")
    await platform.tell(lease, "complete", **result)
    assert (await platform.experiment(run))["status"] == "queued"
    assert await attempts(platform, run) == [(1, 1, "failed", "artifact_mismatch")]
    assert await events.all(ExperimentCompleted) == []


async def test_a_manifest_under_another_prefix_is_refused(platform: TrainingPlatform, tmp_path: Path) -> None:
    run = await platform.launch()
    lease = await platform.started()
    result = await platform.stored(lease, tmp_path)
    answer = await platform.tell(lease, "complete", **{**result, "manifest_key": "runs/other/e1/manifest.json"})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "manifest_key")
    assert (await platform.experiment(run))["status"] == "running"


async def test_workers_of_runs_that_never_were_are_told_so(platform: TrainingPlatform) -> None:
    lease = {"run_id": str(new_id()), "epoch": 1}
    for verb in ("start", "heartbeat", "release"):
        assert (await platform.tell(lease, verb)).status_code == 404
    assert (await platform.tell({"run_id": str(new_id()), "epoch": 0}, "start")).status_code == 422
