"""Launching, looking at and cancelling runs."""

import asyncio
from typing import Any

import pytest

from slm_shared.events.catalogue import DatasetDeleted, ExperimentCancelled, RunLaunched
from slm_shared.http.provided import given
from slm_shared.identity.principal import Role
from slm_shared.storage.ids import new_id
from slm_testing.apps import client_of
from slm_testing.events import EventLog
from slm_testing.waiting import eventually
from slm_training.service.resolving import Resolver
from tests.support.training import TrainingPlatform

UNKNOWN = "0198f3a0-0000-7000-8000-000000000000"


async def test_a_launched_run_is_queued_and_told_with_its_inputs(platform: TrainingPlatform, events: EventLog) -> None:
    dataset = await platform.dataset("rows")
    run = await platform.launch(goal="Answer.", evaluation_dataset="rows", epochs=2)
    assert (run["state"], run["family"], run["owner"]) == ("queued", "commands", "tester")
    assert run["training_dataset"]["sha256"] == dataset["canonical_sha256"]
    assert run["evaluation_dataset"]["id"] == dataset["id"]
    assert run["config"]["epochs"] == 2
    told = await events.wait_for(RunLaunched)
    assert (str(told.run_id), told.base_model_name) == (run["id"], "nano-v1")
    experiment = await platform.experiment(run)
    assert (experiment["status"], experiment["attempts"], experiment["artifact"]) == ("queued", [], None)
    assert await platform.run(run["id"]) == run | {"queue": (await platform.run(run["id"]))["queue"]}


async def test_what_was_deleted_later_stays_written_in_the_run(platform: TrainingPlatform) -> None:
    dataset = await platform.dataset("rows")
    run = await platform.launch()
    await platform.training.post(f"/api/runs/{run['id']}:cancel")

    async def is_deleted() -> bool:
        # As long as the datasets service has not heard of the end, the run needs them.
        answer = await platform.datasets.delete(f"/api/datasets/{dataset['id']}")
        return bool(answer.status_code == 204)

    await eventually(is_deleted)
    assert (await platform.run(run["id"]))["training_dataset"]["name"] == "rows-v1"


async def test_the_same_key_launches_once(platform: TrainingPlatform, events: EventLog) -> None:
    await platform.dataset("rows")
    body = {"name": "Once", "training_dataset": "rows-v1"}
    headers = {"Idempotency-Key": "one-key"}
    answers = await asyncio.gather(*(platform.training.post("/api/runs", json=body, headers=headers) for _ in range(6)))
    assert {answer.status_code for answer in answers} <= {202, 409}
    assert len({answer.json()["id"] for answer in answers if answer.status_code == 202}) == 1
    replayed = await platform.training.post("/api/runs", json=body, headers=headers)
    assert replayed.headers["idempotency-replayed"] == "true"
    other = await platform.training.post("/api/runs", json=body | {"epochs": 1}, headers=headers)
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    await events.wait_for(RunLaunched)
    assert len((await platform.training.get("/api/runs")).json()["items"]) == 1


@pytest.mark.parametrize(
    ("settings", "status", "code"),
    [
        ({"training_dataset": "nothing-v1"}, 404, "dataset_not_found"),
        ({"training_dataset": UNKNOWN}, 404, "dataset_not_found"),
        ({"training_dataset": "../models/nano-v1"}, 404, "dataset_not_found"),
        ({"evaluation_dataset": "nothing"}, 404, "dataset_not_found"),
        ({"base_model": "nothing-v1"}, 404, "model_not_found"),
        ({"base_model": "file:///etc/passwd"}, 422, "model_not_allowed"),
        ({"base_model": "https://example.org/model"}, 422, "model_not_allowed"),
        ({"base_model": "../nano-v1"}, 422, "model_not_allowed"),
        ({"objective": "dpo"}, 422, "objective_not_possible"),
        ({"learning_rate": -1}, 422, "field_invalid"),
        ({"status": "completed"}, 422, "unknown_field"),
    ],
)
async def test_what_cannot_be_launched_is_refused(
    platform: TrainingPlatform, settings: dict[str, Any], status: int, code: str
) -> None:
    await platform.dataset("rows")
    body = {"name": "Bad", "training_dataset": "rows-v1", **settings}
    answer = await platform.training.post("/api/runs", json=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text
    assert (await platform.training.get("/api/runs")).json()["items"] == []


async def test_a_dataset_in_error_or_without_trainable_rows_is_refused(platform: TrainingPlatform) -> None:
    for name, content in (("broken", b'{"a": \n'), ("plain", b"a,b,c,d\n1,2,3,4\n")):
        file = {"file": (f"{name}.{'jsonl' if name == 'broken' else 'csv'}", content)}
        await platform.processed((await platform.datasets.post("/api/datasets", files=file)).json()["id"])
    answers = {}
    for name in ("broken", "plain"):
        answer = await platform.training.post("/api/runs", json={"name": "n", "training_dataset": f"{name}-v1"})
        answers[name] = (answer.status_code, answer.json()["code"])
    assert answers == {"broken": (409, "dataset_not_ready"), "plain": (422, "dataset_not_trainable")}


async def test_a_deleted_dataset_is_not_found_even_when_its_end_arrives_first(
    platform: TrainingPlatform, events: EventLog
) -> None:
    gone = new_id()
    await events.publish(DatasetDeleted(dataset_id=gone, name="gone-v1"))

    async def is_known() -> bool:
        answer = await platform.training.post("/api/runs", json={"name": "n", "training_dataset": str(gone)})
        assert answer.status_code == 404
        return bool(answer.json()["detail"] == "The training_dataset was deleted.")

    await eventually(is_known)


async def test_without_its_peers_a_launch_is_refused_at_once_and_works_again_later(platform: TrainingPlatform) -> None:
    await platform.dataset("rows")
    resolver = given(platform.app, Resolver)
    working, resolver._registry._base = resolver._registry._base, "http://127.0.0.1:9"
    answer = await platform.training.post("/api/runs", json={"name": "n", "training_dataset": "rows-v1"})
    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert int(answer.headers["retry-after"]) >= 1
    resolver._registry._base = working
    assert (await platform.launch())["state"] == "queued"


async def test_a_queued_run_is_cancelled_at_once_and_only_once(platform: TrainingPlatform, events: EventLog) -> None:
    await platform.dataset("rows")
    run = await platform.launch()
    cancelled = await asyncio.gather(*(platform.training.post(f"/api/runs/{run['id']}:cancel") for _ in range(4)))
    assert {answer.status_code for answer in cancelled} == {202}
    assert (await platform.experiment(run))["status"] == "cancelled"
    await events.wait_for(ExperimentCancelled)
    assert len(await events.all(ExperimentCancelled)) == 1
    assert (await platform.worker.post("/api/leases:claim", json=a_claim())).status_code == 204


def a_claim() -> dict[str, str]:
    return {"worker": "trainer-1", "claim_id": str(new_id())}


async def test_lists_are_filtered_and_paged(platform: TrainingPlatform) -> None:
    dataset = await platform.dataset("rows")
    runs = [await platform.launch(name=f"Run {n}") for n in range(5)]
    await platform.training.post(f"/api/runs/{runs[0]['id']}:cancel")
    names, cursor = [], None
    while True:
        params = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = (await platform.training.get("/api/experiments", params=params)).json()
        names += [item["name"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert names == [f"Run {n}" for n in (4, 3, 2, 1, 0)]

    async def found(path: str) -> list[str]:
        return [item["name"] for item in (await platform.training.get(path)).json()["items"]]

    assert await found("/api/runs?status=cancelled") == ["Run 0"]
    assert await found("/api/runs?q=run%203") == ["Run 3"]
    assert await found("/api/runs?q=%25") == []
    assert len(await found(f"/api/experiments?dataset_id={dataset['id']}")) == 5
    assert await found(f"/api/experiments?base_model_id={UNKNOWN}") == []


@pytest.mark.parametrize(
    "path", ["/api/runs?status=fine", "/api/runs?limit=101", "/api/runs?cursor=x", "/api/runs/x", "/api/experiments/x"]
)
async def test_bad_queries_are_refused(platform: TrainingPlatform, path: str) -> None:
    assert (await platform.training.get(path)).status_code == 422


async def test_what_is_not_there_is_404(platform: TrainingPlatform) -> None:
    for path in (f"/api/runs/{UNKNOWN}", f"/api/experiments/{UNKNOWN}", f"/api/experiments/{UNKNOWN}/metrics"):
        answer = await platform.training.get(path)
        assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    assert (await platform.training.post(f"/api/runs/{UNKNOWN}:cancel")).status_code == 404


@pytest.mark.parametrize(
    ("role", "method", "path", "status"),
    [
        (Role.VIEWER, "GET", "/api/runs", 200),
        (Role.VIEWER, "POST", "/api/runs", 403),
        (Role.VIEWER, "POST", f"/api/runs/{UNKNOWN}:cancel", 403),
        (Role.MEMBER, "POST", "/api/leases:claim", 403),
        (Role.ADMIN, "POST", "/api/leases:claim", 403),
        (Role.WORKER, "GET", "/api/runs", 403),
        (Role.WORKER, "POST", "/api/runs", 403),
    ],
)
async def test_each_role_may_do_its_own(
    platform: TrainingPlatform, principal_keys: Any, role: Role, method: str, path: str, status: int
) -> None:
    body = {"name": "n", "training_dataset": "rows-v1"} if path == "/api/runs" else a_claim()
    async with client_of(str(platform.training.base_url), "training", principal_keys, role=role) as client:
        answer = await client.request(method, path, json=body if method == "POST" else None)
    assert answer.status_code == status
