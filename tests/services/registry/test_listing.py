"""How models are listed, compared, described, named and deleted."""

import asyncio
from typing import Any
from uuid import UUID

import httpx2
import pytest

from slm_shared.events.catalogue import EvaluationCompleted, ModelDeleted
from slm_shared.storage.objects import ObjectStore
from slm_testing.events import EventLog
from tests.support.registry import Artifact, Settled, model, names, registered, scored

SORTS = (
    "created_at", "name", "family", "version", "kind", "base_model", "training_dataset", "method", "size_bytes",
    "parameter_count", "steps", "duration_s", "train_loss", "eval_loss",
)  # fmt: skip


@pytest.fixture
async def family(
    client: httpx2.AsyncClient, base_id: UUID, events: EventLog, artifact: Artifact
) -> list[dict[str, Any]]:
    """Three versions of one family and one of another, beside the built-in base."""
    changes: list[dict[str, Any]] = [
        {"train_loss": 0.5, "eval_loss": 0.75, "steps": 10},
        {"train_loss": 0.25, "eval_loss": None, "steps": 30, "method": "full"},
        {"train_loss": 0.75, "eval_loss": 0.5, "steps": 20, "training_dataset_name": "orders-v2"},
        {"family": "replies", "goal": "Answer letters politely."},
    ]
    for change in changes:
        await registered(events, artifact.experiment(base_id, **change))
    return [await model(client, name) for name in ("commands-v1", "commands-v2", "commands-v3", "replies-v1")]


async def everything(client: httpx2.AsyncClient, **query: str) -> list[dict[str, Any]]:
    """Every item of a list, page by page of two."""
    items: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        page = await client.get("/api/models", params={"limit": 2, **query, **({"cursor": cursor} if cursor else {})})
        assert page.status_code == 200, page.text
        items += page.json()["items"]
        cursor = page.json()["next_cursor"]
    return items


@pytest.mark.parametrize("sort", SORTS)
async def test_pages_in_any_order_hold_every_model_once(
    client: httpx2.AsyncClient, family: list[dict[str, Any]], sort: str
) -> None:
    rising = [item["name"] for item in await everything(client, sort=sort)]
    falling = [item["name"] for item in await everything(client, sort=f"-{sort}")]
    assert sorted(rising) == ["commands-v1", "commands-v2", "commands-v3", "nano-v1", "replies-v1"]
    assert falling == rising[::-1]


async def test_sorts_put_what_is_missing_last(client: httpx2.AsyncClient, family: list[dict[str, Any]]) -> None:
    found = [item["eval_loss"] for item in await everything(client, sort="eval_loss")]
    assert found == [0.5, 0.75, 0.875, None, None]


async def test_filters_narrow_the_list(client: httpx2.AsyncClient, base_id: UUID, family: list[dict[str, Any]]) -> None:
    assert await names(client, base_model="nano-v1", dataset="orders-v2") == ["commands-v3"]
    assert await names(client, base_model=str(base_id), family="commands", latest="true") == ["commands-v3"]
    assert await names(client, dataset=family[0]["evaluation_dataset"]["id"]) == ["commands-v1"]
    assert await names(client, latest="false") == ["commands-v2", "commands-v1"]
    assert await names(client, alias="latest", kind="fine_tuned") == ["replies-v1", "commands-v3"]


async def test_models_are_found_by_words_said_of_them(client: httpx2.AsyncClient, family: list[dict[str, Any]]) -> None:
    assert await names(client, q="politely answer") == ["replies-v1"]
    changed = await edit(client, "commands-v2", {"description": "Understands kitchens", "tags": ["pilot", "pilot"]})
    assert changed.json()["tags"] == ["pilot"]
    assert await names(client, q="kitchens") == ["commands-v2"]
    assert await names(client, q="pilot") == ["commands-v2"]
    assert await names(client, tag="pilot") == ["commands-v2"]
    assert await names(client, tag="pil") == []


async def test_a_cursor_belongs_to_its_order(client: httpx2.AsyncClient, family: list[dict[str, Any]]) -> None:
    cursor = (await client.get("/api/models?limit=2&sort=name")).json()["next_cursor"]
    for query in ({"sort": "-name", "cursor": cursor}, {"sort": "color"}, {"sort": "name", "cursor": "e30="}):
        answer = await client.get("/api/models", params=query)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid"), query


async def edit(
    client: httpx2.AsyncClient, reference: str, changes: dict[str, Any], etag: str | None = None
) -> httpx2.Response:
    """Edit a model as it is now, or as it was at an ETag."""
    etag = etag or (await client.get(f"/api/models/{reference}")).headers["etag"]
    return await client.request("PATCH", f"/api/models/{reference}", json=changes, headers={"If-Match": etag})


async def test_an_edit_changes_what_it_names_only(client: httpx2.AsyncClient, family: list[dict[str, Any]]) -> None:
    first = await edit(client, "commands-v1", {"description": "One", "tags": ["a"]})
    second = await edit(client, "commands-v1", {"tags": []})
    assert (second.json()["description"], second.json()["tags"], second.json()["revision"]) == ("One", [], 3)
    assert first.headers["etag"] != second.headers["etag"]
    assert (await edit(client, "commands-v1", {"description": None})).json()["description"] is None
    assert (await edit(client, "commands-v1", {"name": "other"})).status_code == 422


async def test_an_edit_of_what_somebody_changed_is_refused(
    client: httpx2.AsyncClient, family: list[dict[str, Any]]
) -> None:
    etag = (await client.get("/api/models/commands-v1")).headers["etag"]
    answers = await asyncio.gather(*(edit(client, "commands-v1", {"tags": [str(n)]}, etag) for n in range(5)))
    assert sorted(answer.status_code for answer in answers) == [200, 412, 412, 412, 412]
    assert (await edit(client, "commands-v1", {"tags": []}, "nonsense")).status_code == 412
    assert (await client.request("PATCH", "/api/models/commands-v1", json={"tags": []})).status_code == 428


async def test_aliases_lead_to_models_and_keep_their_history(
    client: httpx2.AsyncClient, family: list[dict[str, Any]]
) -> None:
    assert (await model(client, "commands@latest"))["name"] == "commands-v3"
    for name in ("commands-v1", "commands-v2", "commands-v2"):
        assert (await client.put(f"/api/models/{name}/aliases/staging")).status_code == 200
    assert (await model(client, "commands@staging"))["name"] == "commands-v2"
    assert (await model(client, "commands-v3"))["aliases"] == ["latest"]
    assert (await client.delete("/api/models/commands-v2/aliases/staging")).status_code == 204
    shown = (await client.get("/api/models/commands/aliases")).json()
    assert [(each["name"], each["model"]) for each in shown["aliases"]] == [("latest", "commands-v3")]
    moves = [(each["model"], each["previous"]) for each in shown["history"] if each["alias"] == "staging"]
    assert moves == [(None, "commands-v2"), ("commands-v2", "commands-v1"), ("commands-v1", None)]
    latest = [each["model"] for each in shown["history"] if each["alias"] == "latest"]
    assert latest == ["commands-v3", "commands-v2", "commands-v1"]


async def test_aliases_that_nobody_may_move_by_hand(client: httpx2.AsyncClient, family: list[dict[str, Any]]) -> None:
    for alias, status in (("latest", 409), ("champion", 409), ("v7", 422), ("Pretty", 422), ("a" * 41, 422)):
        answer = await client.put(f"/api/models/commands-v1/aliases/{alias}")
        assert answer.status_code == status, alias
    assert (await client.delete("/api/models/commands-v1/aliases/none")).json()["code"] == "alias_not_found"
    assert (await client.get("/api/models/commands@none")).json()["code"] == "model_not_found"


async def test_a_model_that_something_refers_to_stays(client: httpx2.AsyncClient, family: list[dict[str, Any]]) -> None:
    answer = await client.delete("/api/models/nano-v1")
    assert (answer.status_code, answer.json()["code"]) == (409, "model_in_use")
    assert "commands-v1" in answer.json()["detail"]
    await client.put("/api/models/commands-v1/aliases/staging")
    answer = await client.delete("/api/models/commands-v1")
    assert (answer.status_code, "commands@staging" in answer.json()["detail"]) == (409, True)


async def test_a_deleted_model_leaves_a_tombstone(
    client: httpx2.AsyncClient, base_id: UUID, events: EventLog, family: list[dict[str, Any]], objects: ObjectStore
) -> None:
    prefix = family[2]["artifact_prefix"]
    assert (await client.delete("/api/models/commands-v3")).status_code == 204
    gone = await events.wait_for(ModelDeleted)
    assert (str(gone.model_id), gone.name, gone.version) == (family[2]["id"], "commands-v3", 3)
    assert await names(client, family="commands") == ["commands-v2", "commands-v1"]
    assert await names(client, family="commands", deleted="true") == ["commands-v3", "commands-v2", "commands-v1"]
    for reference in ("commands-v3", family[2]["id"]):
        assert (await client.get(f"/api/models/{reference}")).json()["code"] == "model_deleted"
    latest = await model(client, "commands@latest")
    assert (latest["name"], latest["is_latest"]) == ("commands-v2", True)
    lineage = (await client.get("/api/models/commands-v3/lineage")).json()
    assert {node["name"] for node in lineage["nodes"]} >= {"commands-v3", "nano-v1", "orders-v2"}
    # The other models of these tests have the very same files, so they must still be there.
    assert await objects.list(f"{prefix}/")


async def test_the_last_model_of_its_files_takes_them_along_and_versions_go_on(
    client: httpx2.AsyncClient, base_id: UUID, events: EventLog, artifact: Artifact, objects: ObjectStore
) -> None:
    await registered(events, artifact.experiment(base_id))
    assert (await client.delete("/api/models/commands-v1")).status_code == 204
    assert await objects.list(f"{artifact.prefix}/") == []
    assert (await registered(events, artifact.experiment(base_id))).name == "commands-v2"


async def test_uses_are_counted(
    client: httpx2.AsyncClient, base_id: UUID, events: EventLog, family: list[dict[str, Any]], settled: Settled
) -> None:
    await client.get("/api/models/commands-v1/files/config.json")
    for _ in range(2):
        await client.get("/api/models/commands-v1/download")
    await events.publish(scored(UUID(family[0]["id"]), "commands-v1", None, "orders-eval-v2", loss=0.5))
    await settled(EvaluationCompleted)
    uses = (await client.get("/api/models/commands-v1/usage")).json()["uses"]
    assert {each["kind"]: each["count"] for each in uses} == {"download": 2, "file": 1, "evaluation": 1}
    uses = (await client.get("/api/models/nano/usage")).json()["uses"]
    assert {each["kind"]: each["count"] for each in uses} == {"training": 4}


async def test_models_are_compared_side_by_side(
    client: httpx2.AsyncClient, events: EventLog, family: list[dict[str, Any]], settled: Settled
) -> None:
    for item, loss in zip(family[:2], (0.5, 0.25), strict=True):
        await events.publish(scored(UUID(item["id"]), item["name"], None, "held-out-v1", loss=loss))
    await settled(EvaluationCompleted)
    found = (await client.get("/api/models:compare?model=commands-v1&model=commands-v2")).json()
    assert [each["name"] for each in found["models"]] == ["commands-v1", "commands-v2"]
    facts = {each["name"]: (each["values"], each["same"]) for each in found["facts"]}
    assert facts["method"] == (["lora", "full"], False)
    assert facts["base_model"] == (["nano-v1", "nano-v1"], True)
    assert found["metrics"] == [{"name": "held-out-v1: loss", "values": [0.5, 0.25], "same": False}]
    assert {each["name"] for each in found["configuration"]} == {"learning_rate", "seed", "method"}
    assert (await client.get("/api/models:compare?model=commands-v1")).status_code == 422
    assert (await client.get("/api/models:compare?model=commands-v1&model=none")).status_code == 404
