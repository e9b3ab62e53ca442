"""The datasets service on real servers."""

import asyncio
import json
from pathlib import Path

import httpx2
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from slm_datasets.app import create_app
from slm_datasets.settings import DatasetsSettings
from slm_shared.events.catalogue import DatasetDeleted, DatasetFailed, DatasetProcessed, DatasetUploaded
from slm_shared.http.provided import given
from slm_shared.settings import PlatformSettings
from slm_shared.storage.database import Database
from slm_shared.storage.manifest import file_sha256
from slm_shared.storage.objects import ObjectStore
from slm_testing.apps import running
from slm_testing.events import EventLog
from slm_testing.waiting import eventually
from tests.support.datasets import JSONL, ROWS, ended, upload


async def test_an_upload_becomes_a_processed_version(client: httpx2.AsyncClient, events: EventLog) -> None:
    answer = await upload(client, usage="evaluation", description="Small.")
    assert answer.status_code == 202
    accepted = answer.json()
    assert (accepted["name"], accepted["status"], accepted["usage"]) == ("qa-v1", "in_progress", "evaluation")
    assert answer.headers["location"] == f"/api/datasets/{accepted['id']}"
    dataset = await ended(client, accepted["id"])
    assert (dataset["status"], dataset["rows"], dataset["row_format"]) == ("processed", 30, "prompt/completion")
    assert dataset["mapping"] == {"prompt": "question", "completion": "answer"}
    uploaded = await events.wait_for(DatasetUploaded)
    assert (uploaded.name, uploaded.size_bytes) == ("qa-v1", len(JSONL))
    processed = await events.wait_for(DatasetProcessed)
    assert (processed.rows, processed.sha256) == (30, dataset["canonical_sha256"])


async def test_what_was_uploaded_comes_back(
    client: httpx2.AsyncClient, platform_settings: PlatformSettings, tmp_path: Path
) -> None:
    dataset = await ended(client, (await upload(client)).json()["id"])
    raw = await client.get("/api/datasets/qa/download")
    assert raw.content == JSONL
    assert raw.headers["content-disposition"] == 'attachment; filename="qa-v1.jsonl"'
    lines = (await client.get("/api/datasets/qa-v1/download?format=jsonl")).text.splitlines()
    assert [json.loads(line) for line in lines] == ROWS
    csv_text = (await client.get("/api/datasets/qa-v1/download?format=csv")).text
    assert csv_text.splitlines()[:2] == ["question,answer", "q0,a0"]
    await ObjectStore(platform_settings).download(dataset["object_key"], tmp_path / "x")
    assert file_sha256(tmp_path / "x") == dataset["canonical_sha256"]
    preview = (await client.get("/api/datasets/qa-v1/preview?offset=28&limit=5")).json()
    assert (preview["items"], preview["total"]) == (ROWS[28:], 30)


async def test_formulas_are_defused_in_csv_only(client: httpx2.AsyncClient) -> None:
    content = b'{"prompt": "=1+1", "completion": "@x"}\n'
    await ended(client, (await upload(client, content, name="f.jsonl")).json()["id"])
    assert (await client.get("/api/datasets/f/download?format=csv")).text.splitlines()[1] == "'=1+1,'@x"
    assert "'=1+1" not in (await client.get("/api/datasets/f/download?format=jsonl")).text


async def test_a_broken_file_ends_as_an_error_with_its_line(client: httpx2.AsyncClient, events: EventLog) -> None:
    accepted = (await upload(client, JSONL + b'{"question": 1\n', name="broken.jsonl")).json()
    dataset = await ended(client, accepted["id"])
    assert dataset["status"] == "error"
    assert (dataset["error"]["code"], dataset["error"]["line"]) == ("malformed_json", 31)
    failed = await events.wait_for(DatasetFailed)
    assert (failed.code, failed.line) == ("malformed_json", 31)
    refused = await client.get("/api/datasets/broken/preview")
    assert (refused.status_code, refused.json()["code"]) == (409, "dataset_not_ready")
    assert (await client.get("/api/datasets/broken/download")).content.startswith(JSONL)


async def test_versions_are_gapless_under_concurrency(client: httpx2.AsyncClient) -> None:
    answers = await asyncio.gather(*(upload(client, JSONL + b"\n" * n, name="qa.jsonl") for n in range(8)))
    assert sorted(answer.json()["version"] for answer in answers) == list(range(1, 9))
    latest = (await client.get("/api/datasets/qa")).json()
    assert latest["name"] == "qa-v8"


async def test_a_repeated_upload_with_the_same_key_is_one_dataset(client: httpx2.AsyncClient) -> None:
    first, again = await upload(client, key="k"), await upload(client, key="k")
    assert first.json()["id"] == again.json()["id"]
    assert again.headers["idempotency-replayed"] == "true"
    other = await upload(client, JSONL[:-20], key="k")
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert len((await client.get("/api/datasets")).json()["items"]) == 1


@pytest.mark.parametrize(
    ("name", "content", "fields", "status", "code"),
    [
        ("e.jsonl", b"", {}, 422, "file_empty"),
        ("e.exe", b"MZ", {}, 415, "type_not_allowed"),
        ("e.csv", b"PK\x03\x04", {}, 415, "type_mismatch"),
        ("e.jsonl", JSONL, {"usage": "fun"}, 422, "field_invalid"),
        ("e.jsonl", JSONL, {"status": "processed"}, 422, "unknown_field"),
        ("e.jsonl", b"x" * (4 * 1024 * 1024), {}, 413, "too_large"),
    ],
)
async def test_uploads_that_are_refused(
    client: httpx2.AsyncClient, name: str, content: bytes, fields: dict[str, str], status: int, code: str
) -> None:
    answer = await upload(client, content, name=name, **fields)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert (await client.get("/api/datasets")).json()["items"] == []


async def test_a_form_that_is_none_is_refused(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/api/datasets", json={"file": "x"})
    assert (answer.status_code, answer.json()["code"]) == (400, "multipart_invalid")
    no_file = await client.post("/api/datasets", files={"other": ("x.csv", b"a\n1\n")})
    assert (no_file.status_code, no_file.json()["code"]) == (422, "file_missing")


async def test_a_path_in_a_file_name_goes_nowhere(client: httpx2.AsyncClient) -> None:
    dataset = (await upload(client, name="../../etc/passwd.jsonl")).json()
    assert (dataset["file_name"], dataset["family"]) == ("passwd.jsonl", "passwd")


async def test_deleting_takes_a_dataset_away(
    client: httpx2.AsyncClient, events: EventLog, platform_settings: PlatformSettings
) -> None:
    dataset = await ended(client, (await upload(client)).json()["id"])
    assert (await client.delete("/api/datasets/qa-v1")).status_code == 204
    assert (await events.wait_for(DatasetDeleted)).name == "qa-v1"
    assert (await client.get(f"/api/datasets/{dataset['id']}")).status_code == 404
    objects = ObjectStore(platform_settings)

    async def swept() -> bool | None:
        return await objects.list(f"datasets/{dataset['id']}/") == [] or None

    assert await eventually(swept)
    assert (await upload(client)).json()["name"] == "qa-v2"


async def test_lists_are_filtered_and_paged(client: httpx2.AsyncClient) -> None:
    for number in range(5):
        await upload(client, JSONL, name=f"set{number}.jsonl", usage="evaluation" if number % 2 else "training")
    page = (await client.get("/api/datasets?limit=2")).json()
    names = [item["name"] for item in page["items"]]
    while page["next_cursor"]:
        page = (await client.get("/api/datasets", params={"limit": 2, "cursor": page["next_cursor"]})).json()
        names += [item["name"] for item in page["items"]]
    assert names == [f"set{number}-v1" for number in (4, 3, 2, 1, 0)]
    found = (await client.get("/api/datasets?usage=evaluation&q=set3")).json()
    assert [item["name"] for item in found["items"]] == ["set3-v1"]


@pytest.mark.parametrize("query", ["limit=0", "limit=101", "limit=abc", "cursor=x", "status=fine", "usage=none"])
async def test_bad_queries_are_refused(client: httpx2.AsyncClient, query: str) -> None:
    assert (await client.get(f"/api/datasets?{query}")).status_code == 422


async def test_an_unknown_dataset_is_a_404(client: httpx2.AsyncClient) -> None:
    for path in ("nothing-v1", "01936a00-0000-7000-8000-000000000000", "%2e%2e", "nothing/preview"):
        answer = await client.get(f"/api/datasets/{path}")
        assert answer.status_code == 404


async def test_a_search_is_planned_for_its_own_words(datasets_settings: DatasetsSettings, principal_keys: Path) -> None:
    app = create_app(datasets_settings)
    async with running(app, principal_keys), given(app, Database).read() as session:
        mode = await session.scalar(text("SHOW plan_cache_mode"))
    # A plan for any words at all reads every name for a word that is in every name.
    assert mode == "force_custom_plan"


async def test_a_nul_that_json_may_escape_is_kept_in_the_rows(client: httpx2.AsyncClient) -> None:
    made = await upload(client, b'{"prompt": "a\\u0000b", "completion": "c"}\n' * 2)
    dataset = await ended(client, made.json()["id"])
    assert (dataset["status"], dataset["rows"]) == ("processed", 2), dataset["error"]
    rows = (await client.get(f"/api/datasets/{dataset['id']}/preview")).json()["items"]
    assert rows[0]["prompt"] == "a\0b"


async def test_what_nobody_thought_of_ends_all_the_same(
    client: httpx2.AsyncClient, datasets_settings: DatasetsSettings
) -> None:
    engine = create_async_engine(datasets_settings.database_url)
    async with engine.begin() as connection:
        await connection.execute(text("ALTER TABLE dataset ADD CONSTRAINT never CHECK (status <> 'processed')"))
    await engine.dispose()
    made = await upload(client, JSONL)
    dataset = await ended(client, made.json()["id"])
    assert (dataset["status"], dataset["error"]["code"]) == ("error", "internal_error")
    assert "never" not in json.dumps(dataset["error"])
