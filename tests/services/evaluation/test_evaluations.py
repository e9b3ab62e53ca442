"""The evaluation service on real servers: what is measured, and what users see of it."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2
import pytest

from slm_shared.events.catalogue import ModelRegistered
from slm_shared.identity.principal import Role
from slm_shared.settings import PlatformSettings
from slm_shared.storage.ids import new_id
from slm_shared.storage.objects import ObjectStore
from slm_testing.events import EventLog
from slm_testing.waiting import eventually

Make = Callable[..., ModelRegistered]
Handled = Callable[[], Awaitable[None]]
Queue = Callable[[int], Awaitable[list[str]]]
Claim = Callable[..., Awaitable[dict[str, Any] | None]]
Tell = Callable[..., Awaitable[httpx2.Response]]
AsRole = Callable[[Role | None], Awaitable[httpx2.AsyncClient]]

SETTINGS = {"max_length": 1024, "max_new_tokens": 96, "generations": 64}


async def listed(client: httpx2.AsyncClient, **query: Any) -> list[dict[str, Any]]:
    """The evaluations of the first page, oldest first."""
    items: list[dict[str, Any]] = (await client.get("/api/evaluations", params=query)).json()["items"]
    return items[::-1]


async def test_a_base_model_is_not_measured_on_its_own(
    user: httpx2.AsyncClient, events: EventLog, base_model: Make, handled: Handled
) -> None:
    await events.publish(base_model())
    await handled()
    assert await listed(user) == []


async def test_a_fine_tuned_model_is_measured_beside_its_base(
    user: httpx2.AsyncClient, events: EventLog, base_model: Make, tuned_model: Make, handled: Handled
) -> None:
    base = base_model()
    tuned = tuned_model(base)
    await events.publish(base)
    await handled()
    await events.publish(tuned)
    await handled()
    baseline, measured = await listed(user)
    assert baseline["model"] == {"id": str(base.model_id), "name": "nano-v1"}
    assert measured["model"] == {"id": str(tuned.model_id), "name": "commands-v1"}
    assert (baseline["baseline_evaluation_id"], baseline["experiment_id"]) == (None, None)
    assert measured["baseline_evaluation_id"] == baseline["id"]
    assert measured["experiment_id"] == str(tuned.experiment_id)
    for item in (baseline, measured):
        assert item["dataset"] == {"id": str(tuned.evaluation_dataset_id), "name": "held-out-v1"}
        assert (item["status"], item["progress"], item["settings"]) == ("queued", 0.0, SETTINGS)
        assert (item["metrics"], item["samples"], item["error"], item["started_at"]) == ({}, [], None, None)
        assert (await user.get(f"/api/evaluations/{item['id']}")).json() == item


async def test_a_base_is_measured_once_for_all_models_of_one_dataset(
    user: httpx2.AsyncClient, events: EventLog, base_model: Make, tuned_model: Make, handled: Handled
) -> None:
    base, dataset_id = base_model(), new_id()
    await events.publish(base)
    await handled()
    models = [tuned_model(base, dataset_id=dataset_id, name=f"m-v{number}") for number in range(6)]
    await asyncio.gather(*(events.publish(model) for model in models))
    await handled()
    items = await listed(user)
    baselines = [item for item in items if item["model"]["id"] == str(base.model_id)]
    assert len(baselines) == 1
    measured = [item for item in items if item not in baselines]
    assert sorted(item["model"]["name"] for item in measured) == [f"m-v{number}" for number in range(6)]
    assert {item["baseline_evaluation_id"] for item in measured} == {baselines[0]["id"]}


async def test_each_dataset_has_its_own_baseline(
    user: httpx2.AsyncClient, events: EventLog, base_model: Make, tuned_model: Make, handled: Handled
) -> None:
    base = base_model()
    await events.publish(base)
    await handled()
    for _ in range(2):
        await events.publish(tuned_model(base))
    await handled()
    baselines = await listed(user, model_id=base.model_id)
    assert len({item["dataset"]["id"] for item in baselines}) == 2
    measured = [item for item in await listed(user) if item["baseline_evaluation_id"]]
    by_dataset = {item["dataset"]["id"]: item["id"] for item in baselines}
    assert len(measured) == 2
    assert all(item["baseline_evaluation_id"] == by_dataset[item["dataset"]["id"]] for item in measured)


async def test_the_same_registration_under_another_id_adds_nothing(
    user: httpx2.AsyncClient, events: EventLog, base_model: Make, tuned_model: Make, handled: Handled
) -> None:
    base = base_model()
    tuned = tuned_model(base)
    await events.publish(base)
    await handled()
    await events.publish(tuned)
    await handled()
    before = await listed(user)
    await asyncio.gather(*(events.publish(event) for event in (base, tuned, tuned)))
    await handled()
    assert len(before) == 2
    assert await listed(user) == before


async def test_a_fine_tuned_model_without_an_evaluation_set_is_not_measured(
    user: httpx2.AsyncClient, events: EventLog, base_model: Make, tuned_model: Make, handled: Handled
) -> None:
    base = base_model()
    await events.publish(base)
    await events.publish(tuned_model(base, evaluation_dataset_id=None))
    await handled()
    assert await listed(user) == []


async def test_a_fine_tuned_model_waits_for_its_base(
    user: httpx2.AsyncClient,
    events: EventLog,
    base_model: Make,
    tuned_model: Make,
    handled: Handled,
    given_back: Handled,
) -> None:
    base = base_model()
    tuned = tuned_model(base)
    await events.publish(tuned)
    await given_back()
    assert await listed(user) == []
    await events.publish(base)
    await handled()
    assert [item["model"]["id"] for item in await listed(user)] == [str(base.model_id), str(tuned.model_id)]


async def test_lists_are_filtered(
    user: httpx2.AsyncClient, events: EventLog, base_model: Make, tuned_model: Make, handled: Handled, claim: Claim
) -> None:
    base = base_model()
    one, other = tuned_model(base), tuned_model(base)
    await events.publish(base)
    await handled()
    for model in (one, other):
        await events.publish(model)
        await handled()
    items = await listed(user)
    assert len(items) == 4
    assert await listed(user, model_id=base.model_id) == [items[0], items[2]]
    assert await listed(user, dataset_id=other.evaluation_dataset_id) == items[2:]
    assert await listed(user, experiment_id=one.experiment_id) == [items[1]]
    assert await listed(user, model_id=base.model_id, dataset_id=one.evaluation_dataset_id) == [items[0]]
    assert await listed(user, model_id=new_id()) == []
    await claim()
    assert [item["id"] for item in await listed(user, status="running")] == [items[0]["id"]]
    assert await listed(user, status="queued") == items[1:]
    assert await listed(user, status="completed") == []


async def test_lists_are_paged_newest_first(user: httpx2.AsyncClient, queue: Queue) -> None:
    ids = await queue(5)
    seen, pages, cursor = [], 0, None
    while pages == 0 or cursor:
        page = (await user.get("/api/evaluations", params={"limit": 2} | ({"cursor": cursor} if cursor else {}))).json()
        seen += [item["id"] for item in page["items"]]
        pages, cursor = pages + 1, page["next_cursor"]
    assert (seen, pages) == (ids[::-1], 3)


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=101", "limit=abc", "cursor=x", "status=fine", "model_id=x", "dataset_id=1"]
)
async def test_bad_queries_are_refused(user: httpx2.AsyncClient, query: str) -> None:
    assert (await user.get(f"/api/evaluations?{query}")).status_code == 422


async def test_an_unknown_evaluation_is_a_404(user: httpx2.AsyncClient) -> None:
    for path in (f"{new_id()}", f"{new_id()}/predictions"):
        answer = await user.get(f"/api/evaluations/{path}")
        assert (answer.status_code, answer.json()["code"]) == (404, "evaluation_not_found")


async def test_predictions_are_read_in_pages(
    user: httpx2.AsyncClient, queue: Queue, claim: Claim, tell: Tell, platform_settings: PlatformSettings
) -> None:
    await queue(2)
    lease = await claim()
    assert lease is not None
    path = f"/api/evaluations/{lease['evaluation_id']}/predictions"
    early = await user.get(path)
    assert (early.status_code, early.json()["code"]) == (409, "evaluation_not_ready")
    predictions = [{"prompt": f"p{n}", "expected": "é", "generated": f"g{n}", "exact": n == 1} for n in range(7)]
    key = f"{lease['predictions_prefix']}/predictions.jsonl"
    lines = "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in predictions)
    await ObjectStore(platform_settings).put_bytes(key, lines.encode())
    result = {"rows": 7, "metrics": {"loss": 1.5}, "samples": predictions[:2], "predictions_key": key}
    assert (await tell(lease, "complete", **result)).status_code == 204
    assert (await user.get(path)).json() == {"items": predictions, "offset": 0, "total": 7}
    page = (await user.get(path, params={"offset": 5, "limit": 5})).json()
    assert page == {"items": predictions[5:], "offset": 5, "total": 7}
    assert (await user.get(path, params={"offset": 7})).json() == {"items": [], "offset": 7, "total": 7}
    for query in ("offset=-1", "limit=0", "limit=101"):
        assert (await user.get(f"{path}?{query}")).status_code == 422


@pytest.mark.parametrize("role", [Role.VIEWER, Role.MEMBER, Role.ADMIN])
async def test_only_workers_may_use_leases(as_role: AsRole, queue: Queue, role: Role) -> None:
    evaluation_id, _ = await queue(2)
    caller = await as_role(role)
    paths = {f"/{evaluation_id}:{verb}" for verb in ("start", "heartbeat", "complete", "fail", "release")}
    for path in {":claim", ":forget"} | paths:
        answer = await caller.post(f"/api/evaluation-leases{path}", json={})
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")
    assert [item["status"] for item in await listed(caller)] == ["queued", "queued"]


async def test_workers_read_no_evaluations(worker: httpx2.AsyncClient, queue: Queue) -> None:
    evaluation_id, _ = await queue(2)
    for path in ("", f"/{evaluation_id}", f"/{evaluation_id}/predictions"):
        answer = await worker.get(f"/api/evaluations{path}")
        assert (answer.status_code, answer.json()["code"]) == (403, "forbidden")


async def test_nobody_unknown_is_let_in(as_role: AsRole) -> None:
    nobody = await as_role(None)
    for method, path in (
        ("GET", "/api/evaluations"),
        ("GET", f"/api/evaluations/{new_id()}"),
        ("POST", "/api/evaluation-leases:claim"),
        ("POST", f"/api/evaluation-leases/{new_id()}:complete"),
    ):
        answer = await nobody.request(method, path, json={} if method == "POST" else None)
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")


async def test_the_service_is_ready(as_role: AsRole) -> None:
    nobody = await as_role(None)

    async def is_ready() -> bool:
        return (await nobody.get("/readyz")).status_code == 200

    assert await eventually(is_ready)
