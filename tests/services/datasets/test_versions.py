"""Versions of datasets: metadata, identical content, retries, splits, and when one may be deleted."""

import asyncio
import base64
import json
from typing import Any

import httpx2
import pytest

from slm_shared.events.catalogue import ExperimentCancelled, RunLaunched
from slm_shared.settings import PlatformSettings
from slm_shared.storage.ids import new_id
from slm_shared.storage.objects import ObjectStore
from slm_testing.events import EventLog
from slm_testing.waiting import eventually
from tests.support.datasets import JSONL, ROWS, ended, processed, upload


async def rows_of(client: httpx2.AsyncClient, reference: str) -> list[dict[str, Any]]:
    answer = await client.get(f"/api/datasets/{reference}/download?format=jsonl")
    return [json.loads(line) for line in answer.text.splitlines()]


async def test_metadata_is_kept(client: httpx2.AsyncClient) -> None:
    parent = await processed(client)
    child = await processed(
        client, JSONL + JSONL, name="more.jsonl", usage="corpus", origin="distilled", parents="qa-v1", description="d"
    )
    assert child["parents"] == [{"id": parent["id"], "name": "qa-v1"}]
    assert (child["usage"], child["origin"], child["description"]) == ("corpus", "distilled", "d")
    assert (parent["origin"], parent["parents"], parent["untrainable_because"]) == ("uploaded", [], None)
    unknown = await upload(client, name="x.jsonl", parents="nothing-v3")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "dataset_not_found")


async def test_identical_content_is_refused_by_name(client: httpx2.AsyncClient) -> None:
    await processed(client)
    again = await upload(client)
    assert (again.status_code, again.json()["code"]) == (409, "identical_content")
    assert "qa-v1" in again.json()["detail"]
    assert (await upload(client, JSONL[:-20] + b"\n")).json()["version"] == 2
    assert (await upload(client, name="other.jsonl")).json()["name"] == "other-v1"
    mapped = await upload(client, mapping='{"prompt": "answer", "completion": "question"}')
    assert mapped.json()["name"] == "qa-v3"


async def test_of_many_identical_uploads_at_once_one_becomes_a_version(client: httpx2.AsyncClient) -> None:
    answers = await asyncio.gather(*(upload(client) for _ in range(6)))
    assert sorted(answer.status_code for answer in answers) == [202] + [409] * 5
    assert [item["name"] for item in (await client.get("/api/datasets")).json()["items"]] == ["qa-v1"]


async def test_a_dataset_in_error_is_retried_without_uploading_again(client: httpx2.AsyncClient) -> None:
    broken = JSONL + b'{"question": 1\n' + b"[1]\n"
    failed = await ended(client, (await upload(client, broken)).json()["id"])
    problems = (await client.get(f"/api/datasets/{failed['id']}/problems")).json()
    assert (problems["total"], problems["counts"]) == (2, {"malformed_json": 1, "not_an_object": 1})
    assert [each["line"] for each in problems["items"]] == [31, 32]
    assert problems["items"][0]["sample"] == '{"question": 1'
    retried = await client.post(f"/api/datasets/{failed['id']}:retry", json={"on_bad_rows": "skip"})
    assert (retried.status_code, retried.json()["status"], retried.json()["error"]) == (202, "in_progress", None)
    dataset = await ended(client, failed["id"])
    assert (dataset["status"], dataset["rows"], dataset["skipped_rows"]) == ("processed", 30, 2)
    assert await rows_of(client, "qa-v1") == ROWS
    left = (await client.get("/api/datasets/qa-v1/problems")).json()
    assert (left["skipped_rows"], [each["line"] for each in left["items"]]) == (2, [31, 32])
    again = await client.post("/api/datasets/qa-v1:retry", json={})
    assert (again.status_code, again.json()["code"]) == (409, "not_retriable")


async def test_a_mapping_can_be_given_with_a_retry(client: httpx2.AsyncClient) -> None:
    accepted = await upload(client, mapping='{"prompt": "frage", "completion": "answer"}')
    failed = await ended(client, accepted.json()["id"])
    assert (failed["error"]["code"], failed["error"]["column"]) == ("unknown_column", "frage")
    body = {"mapping": {"prompt": "question", "completion": "answer"}}
    await client.post(f"/api/datasets/{failed['id']}:retry", json=body)
    dataset = await ended(client, failed["id"])
    assert (dataset["status"], dataset["mapping"]) == ("processed", body["mapping"])


async def test_a_split_is_disjoint_and_always_the_same(client: httpx2.AsyncClient) -> None:
    lines = "".join(json.dumps({"prompt": f"p{n % 40}", "completion": f"c{n % 40}"}) + "\n" for n in range(60))
    await processed(client, lines.encode(), name="big.jsonl")
    parts = (await client.post("/api/datasets/big:split", json={"validation_fraction": 0.25, "seed": 7})).json()
    train, validation = [await ended(client, parts[name]["id"]) for name in ("train", "validation")]
    assert (train["name"], validation["name"]) == ("big-train-v1", "big-validation-v1")
    assert (train["usage"], validation["usage"]) == ("training", "evaluation")
    assert train["parents"][0]["name"] == "big-v1"
    kept, held = [{json.dumps(row) for row in await rows_of(client, name)} for name in ("big-train", "big-validation")]
    assert (len(held), len(kept), kept & held) == (10, 30, set())
    assert train["rows"] + validation["rows"] == 60
    again = (await client.post("/api/datasets/big:split", json={"validation_fraction": 0.25, "seed": 7})).json()
    repeated = await ended(client, again["validation"]["id"])
    assert repeated["canonical_sha256"] == validation["canonical_sha256"]
    assert repeated["sha256"] == repeated["canonical_sha256"]
    raw = await client.get("/api/datasets/big-train-v1/download")
    assert (raw.status_code, len(raw.content)) == (200, train["size_bytes"])


async def test_a_dataset_with_equal_rows_only_has_no_split(client: httpx2.AsyncClient) -> None:
    await processed(client, b'{"text": "a"}\n' * 5, name="same.jsonl")
    parts = (await client.post("/api/datasets/same:split", json={})).json()
    assert (await ended(client, parts["validation"]["id"]))["error"]["code"] == "no_rows"


@pytest.mark.parametrize("body", [{"validation_fraction": 0}, {"validation_fraction": 1.5}, {"seed": -1}, {"x": 1}])
async def test_absurd_splits_are_refused(client: httpx2.AsyncClient, body: dict[str, Any]) -> None:
    await processed(client)
    assert (await client.post("/api/datasets/qa:split", json=body)).status_code == 422


async def test_a_dataset_that_a_run_needs_is_not_deleted(client: httpx2.AsyncClient, events: EventLog) -> None:
    dataset = await processed(client)
    run_id, experiment_id = new_id(), new_id()
    launched = RunLaunched(
        run_id=run_id,
        experiment_id=experiment_id,
        name="my-run",
        base_model_id=new_id(),
        base_model_name="nano-v1",
        method="full",
        training_dataset_id=dataset["id"],
    )
    event_id = await events.publish(launched)

    async def handled() -> bool | None:
        question = {"consumer": "datasets-run-launched", "event_ids": [str(event_id)]}
        answer = await client.post("/api/operations/datasets/inbox:missing", json=question)
        return answer.json()["missing"] == [] or None

    assert await eventually(handled)
    answer = await client.delete("/api/datasets/qa-v1")
    assert (answer.status_code, answer.json()["code"]) == (409, "dataset_in_use")
    assert "my-run" in answer.json()["detail"]
    await events.publish(ExperimentCancelled(experiment_id=experiment_id, run_id=run_id))

    async def deleted() -> bool | None:
        return (await client.delete("/api/datasets/qa-v1")).status_code == 204 or None

    assert await eventually(deleted)


async def test_lineage_keeps_a_deleted_parent(client: httpx2.AsyncClient, platform_settings: PlatformSettings) -> None:
    parent = await processed(client)
    await processed(client, JSONL + JSONL, name="child.jsonl", parents="qa-v1")
    assert (await client.delete("/api/datasets/qa-v1")).status_code == 204
    assert (await client.get("/api/datasets/qa")).status_code == 404
    child = (await client.get("/api/datasets/child")).json()
    assert child["parents"] == [{"id": parent["id"], "name": "qa-v1"}]
    objects = ObjectStore(platform_settings)

    async def swept() -> bool | None:
        return await objects.list(f"datasets/{parent['id']}/") == [] or None

    assert await eventually(swept)


async def test_lists_are_sorted_and_paged_without_gaps(client: httpx2.AsyncClient) -> None:
    for number in range(5):
        await processed(client, JSONL * (1 + number % 3) + b"\n" * number, name=f"set{number}.jsonl")
    for field in ("name", "rows", "size_bytes", "created_at"):
        for sort in (field, f"-{field}"):
            seen = await all_pages(client, sort)
            assert len({item["id"] for item in seen}) == 5
            keys = [(item[field], item["id"]) for item in seen]
            assert keys == sorted(keys, reverse=sort.startswith("-"))


async def all_pages(client: httpx2.AsyncClient, sort: str) -> list[dict[str, Any]]:
    seen: list[dict[str, Any]] = []
    cursor = ""
    while True:
        params: dict[str, str | int] = {"limit": 2, "sort": sort, **({"cursor": cursor} if cursor else {})}
        page = (await client.get("/api/datasets", params=params)).json()
        seen += page["items"]
        if not (cursor := page["next_cursor"] or ""):
            return seen


async def test_a_cursor_of_another_order_is_refused(client: httpx2.AsyncClient) -> None:
    for number in range(2):
        await upload(client, name=f"set{number}.jsonl")
    cursor = (await client.get("/api/datasets?limit=1&sort=name")).json()["next_cursor"]
    wrong = await client.get("/api/datasets", params={"sort": "-rows", "cursor": cursor})
    assert (wrong.status_code, wrong.json()["errors"][0]["field"]) == (422, "cursor")


@pytest.mark.parametrize(
    ("sort", "place"), [("rows", "1" * 30), ("name", "a\0"), ("name", "\ud800"), ("created_at", "x")]
)
async def test_a_cursor_that_nobody_was_given_is_refused(client: httpx2.AsyncClient, sort: str, place: str) -> None:
    forged = json.dumps([sort, place, "01936a00-0000-7000-8000-000000000000"]).encode()
    params = {"sort": sort, "cursor": base64.urlsafe_b64encode(forged).decode()}
    answer = await client.get("/api/datasets", params=params)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "cursor")


async def test_lists_are_filtered(client: httpx2.AsyncClient) -> None:
    await processed(client, name="alpha.jsonl")
    await processed(client, b'{"text": "hello"}\n', name="beta.jsonl", origin="synthetic")
    for query, names in {
        "q=lph": ["alpha-v1"],
        "q=a-v": ["beta-v1", "alpha-v1"],
        "q=%25": [],
        "origin=synthetic": ["beta-v1"],
        "row_format=text": ["beta-v1"],
        "data_type=tabular": [],
        "family=alpha": ["alpha-v1"],
        "status=processed&usage=training": ["beta-v1", "alpha-v1"],
    }.items():
        found = (await client.get(f"/api/datasets?{query}")).json()["items"]
        assert [item["name"] for item in found] == names, query
