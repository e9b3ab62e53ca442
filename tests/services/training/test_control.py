"""Drafts, clones, reproductions, pauses, priorities, and what a waiting run is told."""

from pathlib import Path
from typing import Any

from slm_shared.events.catalogue import RunLaunched
from slm_shared.storage.ids import new_id
from slm_testing.events import EventLog
from tests.support.training import TrainingPlatform


async def test_a_draft_is_edited_until_it_is_started_and_never_after(
    platform: TrainingPlatform, events: EventLog
) -> None:
    await platform.dataset("rows")
    draft = await platform.launch(draft=True, tags=["night", "night"], goal="Obey.", hyperparameters={"epochs": 2})
    path = f"/api/runs/{draft['id']}"
    assert (draft["state"], draft["version"], draft["tags"]) == ("draft", 1, ["night"])
    assert (await platform.training.get("/api/experiments")).json()["items"] == []
    assert (await platform.worker.post("/api/leases:claim", json=claim())).status_code == 204
    tag = (await platform.training.get(path)).headers["etag"]
    edited = await platform.training.request(
        "PATCH", path, json={"epochs": 5, "lora": {"rank": 4}, "goal": None}, headers={"If-Match": tag}
    )
    assert edited.status_code == 200, edited.text
    body = edited.json()
    assert (body["version"], body["config"]["epochs"], body["config"]["lora_rank"], body["goal"]) == (2, 5, 4, None)
    stale = await platform.training.request("PATCH", path, json={"epochs": 6}, headers={"If-Match": tag})
    assert (stale.status_code, stale.json()["code"]) == (412, "version_conflict")
    missing = await platform.training.request("PATCH", path, json={"epochs": 6})
    assert (missing.status_code, missing.json()["code"]) == (428, "version_required")
    wrong = await platform.training.request("PATCH", path, json={"epochs": -1}, headers={"If-Match": '"2"'})
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "epochs")
    started = (await platform.training.post(f"{path}:start")).json()
    assert (started["state"], started["config"]["epochs"]) == ("queued", 5)
    assert (await platform.training.post(f"{path}:start")).json()["state"] == "queued"
    await events.wait_for(RunLaunched)
    assert len(await events.all(RunLaunched)) == 1
    for answer in (
        await platform.training.request("PATCH", path, json={"epochs": 6}, headers={"If-Match": '"2"'}),
        await platform.training.delete(path),
    ):
        assert (answer.status_code, answer.json()["code"]) == (409, "run_not_a_draft")


def claim(**more: Any) -> dict[str, Any]:
    return {"worker": "trainer-1", "claim_id": str(new_id()), **more}


async def test_a_draft_can_be_removed(platform: TrainingPlatform) -> None:
    await platform.dataset("rows")
    draft = await platform.launch(draft=True)
    assert (await platform.training.delete(f"/api/runs/{draft['id']}")).status_code == 204
    assert (await platform.training.get(f"/api/runs/{draft['id']}")).status_code == 404


async def test_a_clone_has_the_changes_and_says_where_it_comes_from(platform: TrainingPlatform) -> None:
    await platform.dataset("rows")
    run = await platform.launch(epochs=2, learning_rate=1e-3, tags=["a"])
    path = f"/api/runs/{run['id']}:clone"
    clone = (await platform.training.post(path, json={"learning_rate": 5e-4, "tags": ["b"]})).json()
    assert (clone["config"]["epochs"], clone["config"]["learning_rate"], clone["tags"]) == (2, 5e-4, ["b"])
    assert clone["origin"] == {"relation": "clone", "run_id": run["id"], "experiment_id": run["experiment_id"]}
    unknown = await platform.training.post(path, json={"learning_rat": 1})
    assert (unknown.status_code, unknown.json()["code"]) == (422, "unknown_field")


async def test_a_reproduction_has_the_same_inputs_and_tells_its_drift(
    platform: TrainingPlatform, tmp_path: Path
) -> None:
    dataset = await platform.dataset("rows")
    run = await platform.launch()
    await complete(platform, tmp_path / "first", train_loss=1.5)
    await platform.dataset("rows", rows=9)
    assert (await platform.datasets.delete(f"/api/datasets/{dataset['id']}")).status_code == 204
    again = (await platform.training.post(f"/api/runs/{run['id']}:reproduce")).json()
    assert again["training_dataset"] == run["training_dataset"]
    assert again["config"] == run["config"]
    early = await platform.training.get(f"/api/experiments/{again['experiment_id']}/drift")
    assert (early.status_code, early.json()["code"]) == (409, "nothing_to_compare")
    await complete(platform, tmp_path / "second", train_loss=1.75)
    drift = (await platform.training.get(f"/api/experiments/{again['experiment_id']}/drift")).json()
    assert drift["original_id"] == run["experiment_id"]
    assert drift["metrics"]["train_loss"] == {"original": 1.5, "reproduction": 1.75, "difference": 0.25}
    assert drift["metrics"]["steps"]["difference"] == 0
    assert drift["identical"] is False


async def complete(platform: TrainingPlatform, folder: Path, **result: Any) -> None:
    lease = await platform.started()
    done = await platform.tell(lease, "complete", **{**await platform.stored(lease, folder), **result})
    assert done.status_code == 204, done.text


async def test_a_working_run_is_paused_at_a_checkpoint_and_goes_on_from_it(platform: TrainingPlatform) -> None:
    await platform.dataset("rows")
    run = await platform.launch()
    lease = await platform.started()
    path = f"/api/runs/{run['id']}"
    for _ in range(2):
        assert (await platform.training.post(f"{path}:pause")).json()["state"] == "pausing"
    assert (await platform.tell(lease, "heartbeat")).json() == {"cancel": False, "drain": True}
    stored = {"step": 3, "manifest_sha256": "0" * 64, "size_bytes": 1, "metrics": {"loss": 1.25, "grad_norm": None}}
    assert (await platform.tell(lease, "checkpoint", **stored)).status_code == 200
    assert (await platform.tell(lease, "release")).status_code == 204
    experiment = await platform.experiment(run)
    assert (experiment["status"], experiment["attempts"][0]["outcome"]) == ("paused", "paused")
    kept = (await platform.training.get(f"/api/experiments/{run['experiment_id']}/checkpoints")).json()["items"]
    assert [(each["step"], each["metrics"]) for each in kept] == [(3, stored["metrics"])]
    assert (await platform.worker.post("/api/leases:claim", json=claim())).status_code == 204
    assert (await platform.training.post(f"{path}:resume")).json()["state"] == "queued"
    assert [each["step"] for each in (await platform.claim())["checkpoints"]] == [3]
    states = [each["state"] for each in (await platform.experiment(run))["timeline"]]
    assert states == ["queued", "leased", "running", "pausing", "paused", "queued", "leased"]


async def test_a_run_that_is_paused_before_its_worker_begins_may_still_complete(
    platform: TrainingPlatform, tmp_path: Path
) -> None:
    await platform.dataset("rows")
    run = await platform.launch()
    lease = await platform.claim()
    assert (await platform.training.post(f"/api/runs/{run['id']}:pause")).json()["state"] == "pausing"
    done = await platform.stored(lease, tmp_path / "artifact")
    assert (await platform.tell(lease, "complete", **done)).status_code == 409, "it has not begun yet"
    assert [(await platform.tell(lease, "start")).status_code for _ in range(2)] == [204, 204]
    assert (await platform.experiment(run))["started_at"] is not None
    assert (await platform.run(run["id"]))["state"] == "pausing"
    assert (await platform.tell(lease, "complete", **done)).status_code == 204
    assert (await platform.run(run["id"]))["state"] == "succeeded"


async def test_a_paused_run_is_cancelled_at_once_and_one_that_ended_is_not_paused(platform: TrainingPlatform) -> None:
    await platform.dataset("rows")
    run = await platform.launch()
    path = f"/api/runs/{run['id']}"
    assert (await platform.training.post(f"{path}:pause")).json()["state"] == "paused"
    assert (await platform.training.post(f"{path}:cancel")).json()["state"] == "cancelled"
    for verb in ("pause", "resume"):
        answer = await platform.training.post(f"{path}:{verb}")
        assert (answer.status_code, answer.json()["code"]) == (409, "run_state_conflict")


async def test_priorities_decide_who_is_next_and_everybody_is_told_why_they_wait(platform: TrainingPlatform) -> None:
    await platform.dataset("rows")
    first, second, third = [await platform.launch(name=name) for name in ("First", "Second", "Third")]
    assert (await place(platform, third)) == {"position": 3, "reason": "No worker is connected.", "retry_at": None}
    moved = await platform.training.put(f"/api/runs/{third['id']}/priority", json={"priority": 5})
    assert moved.json()["queue"]["position"] == 1
    lease = await platform.started()
    assert lease["run_id"] == third["id"]
    assert (await place(platform, first))["reason"] == "Every worker is busy."
    assert (await place(platform, second))["reason"] == "1 run is ahead of it."
    assert (await place(platform, second))["position"] == 2
    assert await place(platform, third) is None


async def place(platform: TrainingPlatform, run: dict[str, Any]) -> Any:
    return (await platform.run(run["id"]))["queue"]


async def test_a_run_waits_for_a_worker_that_has_what_it_needs(platform: TrainingPlatform) -> None:
    await platform.dataset("rows")
    run = await platform.launch(device="gpu", min_memory_gb=40)
    laptop = {"device": "cpu", "cores": 2, "memory_gb": 16.0}
    assert (await platform.worker.post("/api/leases:claim", json=claim(capabilities=laptop))).status_code == 204
    assert (await place(platform, run))["reason"] == "No connected worker has a gpu."
    big = {"device": "gpu", "device_name": "H200", "devices": 1, "cores": 16, "memory_gb": 139.0}
    answer = await platform.worker.post("/api/leases:claim", json=claim(worker="trainer-2", capabilities=big))
    assert answer.json()["run_id"] == run["id"]
    workers = (await platform.training.get("/api/workers")).json()["items"]
    seen = [(each["name"], each["state"], each["capabilities"]["device"], each["run_name"]) for each in workers]
    assert seen == [("trainer-1", "idle", "cpu", None), ("trainer-2", "busy", "gpu", "Commands")]


async def test_a_worker_that_does_not_know_its_memory_takes_any_run(platform: TrainingPlatform) -> None:
    await platform.dataset("rows")
    run = await platform.launch(device="gpu", min_memory_gb=40)
    cluster = {"device": "gpu", "devices": 4, "cores": 4}
    answer = await platform.worker.post("/api/leases:claim", json=claim(capabilities=cluster))
    assert answer.json()["run_id"] == run["id"]


async def test_out_of_memory_is_tried_again_with_half_the_batch(platform: TrainingPlatform) -> None:
    await platform.dataset("rows")
    run = await platform.launch(batch_size=4, gradient_accumulation_steps=2)
    told = {"code": "out_of_memory", "message": "Too big.", "blame": "system", "retry": True}
    for expected in ((2, 4), (1, 8)):
        await platform.tell(await platform.started(), "fail", **told)
        config = (await platform.run(run["id"]))["config"]
        assert (config["batch_size"], config["gradient_accumulation_steps"]) == expected
    chosen = (await platform.experiment(run))["chosen"]
    assert chosen["batch_size"] == {
        "value": 1, "reason": "2 rows at once ran out of memory; the effective batch is the same.",
    }  # fmt: skip
    kept = await platform.launch(batch_size=4, retry_with_smaller_batch=False)
    await platform.training.post(f"/api/runs/{run['id']}:cancel")
    await platform.tell(await platform.started(), "fail", **told)
    assert (await platform.run(kept["id"]))["config"]["batch_size"] == 4


async def test_what_the_trainer_chose_is_kept_with_its_reason(platform: TrainingPlatform) -> None:
    await platform.dataset("rows")
    run = await platform.launch()
    lease = await platform.started()
    choices = {"precision": {"value": "bf16", "reason": "The processor multiplies bf16."}}
    assert (await platform.tell(lease, "choose", choices=choices)).status_code == 204
    assert (await platform.experiment(run))["chosen"] == choices


async def test_experiments_are_compared_by_what_differs(platform: TrainingPlatform) -> None:
    await platform.dataset("rows")
    runs = [await platform.launch(learning_rate=rate) for rate in (1e-3, 2e-3)]
    ids = [run["experiment_id"] for run in runs]
    found = (await platform.training.get("/api/experiments:compare", params={"id": ids})).json()
    assert found["differences"] == {"learning_rate": {ids[0]: 1e-3, ids[1]: 2e-3}}
    assert [each["id"] for each in found["experiments"]] == ids
    assert set(found["series"]) == set(ids)
    missing = await platform.training.get("/api/experiments:compare", params={"id": [ids[0], str(new_id())]})
    assert missing.status_code == 422


async def test_statistics_count_what_happened(platform: TrainingPlatform, tmp_path: Path) -> None:
    await platform.dataset("rows")
    await platform.launch(draft=True)
    await platform.launch()
    await complete(platform, tmp_path / "done", trained_tokens=1234)
    await platform.launch()
    told = {"code": "diverged", "message": "NaN", "blame": "user", "retry": False}
    await platform.tell(await platform.started(), "fail", **told)
    await platform.launch()
    found = (await platform.training.get("/api/statistics")).json()
    assert found["by_status"] == {"completed": 1, "failed": 1, "queued": 1}
    assert (found["runs"], found["success_rate"], found["trained_tokens"]) == (3, 0.5, 1234)
    assert found["attempts"] == 2
    assert found["mean_queue_wait_s"] >= 0
    assert found["device_hours"] > 0
    later = {"since": "2999-01-01T00:00:00Z"}
    assert (await platform.training.get("/api/statistics", params=later)).json()["runs"] == 0


async def test_lists_are_sorted_and_narrowed_by_tag(platform: TrainingPlatform) -> None:
    await platform.dataset("rows")
    for name, tags in (("b", ["x"]), ("a", ["x", "y"]), ("c", ["y"])):
        await platform.launch(name=name, tags=tags)
    for sort, expected in (("name", "abc"), ("-name", "cba"), ("created_at", "bac"), ("eval_loss", "bac")):
        assert await names(platform, sort=sort) == list(expected)
        assert len(await names(platform, sort=sort)) == 3
    assert await names(platform, sort="-completed_at") == ["c", "a", "b"]
    assert await names(platform, tag="x", sort="name") == ["a", "b"]
    wrong = {"sort": "name", "cursor": (await first_page(platform, "-name"))["next_cursor"]}
    assert (await platform.training.get("/api/runs", params=wrong)).status_code == 422


async def first_page(platform: TrainingPlatform, sort: str) -> dict[str, Any]:
    page: dict[str, Any] = (await platform.training.get("/api/runs", params={"sort": sort, "limit": 1})).json()
    return page


async def names(platform: TrainingPlatform, **params: str) -> list[str]:
    """Over pages of one."""
    found: list[str] = []
    cursor: str | None = None
    while True:
        query = {**params, "limit": "1", **({"cursor": cursor} if cursor else {})}
        page = (await platform.training.get("/api/runs", params=query)).json()
        found += [item["name"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            return found


async def test_the_schema_is_published(platform: TrainingPlatform) -> None:
    schema = (await platform.training.get("/api/runs/schema")).json()
    assert schema["$id"] == "urn:slm-platform:run-config:1"
