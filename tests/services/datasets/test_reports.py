"""What is known of a dataset: quality, tokens in front of a base model, comparisons, card."""

import io
import json
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from PIL import Image

from slm_datasets.analysis.personal import best_detector
from slm_datasets.app import create_app
from slm_datasets.settings import DatasetsSettings
from slm_registry.app import create_app as create_registry
from slm_registry.settings import RegistrySettings
from slm_shared.settings import PlatformSettings
from slm_testing.apps import running, serving
from slm_testing.databases import MakeDatabase
from slm_testing.waiting import eventually
from tests.support.datasets import JSONL, processed


@pytest.fixture
async def with_registry(
    datasets_settings: DatasetsSettings,
    platform_settings: PlatformSettings,
    service_database: MakeDatabase,
    principal_keys: Path,
) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of a service beside a registry that has the built-in model."""
    registry = RegistrySettings(port=0, database_name=await service_database("registry"), platform=platform_settings)
    async with serving(create_registry(registry)) as address:
        platform = platform_settings.model_copy(update={"registry_url": address})
        settings = datasets_settings.model_copy(update={"platform": platform})
        async with running(create_app(settings), principal_keys) as client:
            yield client


async def done(client: httpx2.AsyncClient, address: str) -> dict[str, Any]:
    async def check() -> dict[str, Any] | None:
        found: dict[str, Any] = (await client.get(address)).json()
        return found if found["status"] in ("done", "failed") else None

    return await eventually(check, timeout_s=90)


async def quality(client: httpx2.AsyncClient, reference: str) -> dict[str, Any]:
    async def check() -> dict[str, Any] | None:
        found: dict[str, Any] = (await client.get(f"/api/datasets/{reference}/report")).json()
        return found if found.get("quality_status") in ("done", "failed") else None

    return await eventually(check, timeout_s=60)


async def test_a_token_report_is_made_once_for_each_question(with_registry: httpx2.AsyncClient) -> None:
    client = with_registry

    async def registered() -> httpx2.Response | None:
        await processed(client) if not (await client.get("/api/datasets")).json()["items"] else None
        answer = await client.post("/api/datasets/qa/token_reports", json={"model": "nano-v1", "max_length": 64})
        return answer if answer.status_code == 202 else None

    asked = (await eventually(registered, timeout_s=60)).json()
    assert (asked["model_name"], asked["max_length"], asked["status"]) == ("nano-v1", 64, "queued")
    report = await done(client, f"/api/datasets/qa-v1/token_reports/{asked['id']}")
    assert report["status"] == "done", report["error"]
    counts = report["report"]
    assert (counts["rows"], counts["kept_rows"], counts["dropped_rows"]) == (30, 30, 0)
    assert counts["stop_token_trained"] is True
    sample = counts["samples"][0]
    assert sample["sequences"][0][-1] == {"text": f"a{sample['row'] - 1}<|end|>", "trained": True}
    again = await client.post("/api/datasets/qa/token_reports", json={"model": "nano", "max_length": 64})
    assert (again.json()["id"], again.json()["status"]) == (asked["id"], "done")
    listed = (await client.get("/api/datasets/qa/token_reports")).json()["items"]
    assert [each["id"] for each in listed] == [asked["id"]]
    unknown = await client.post("/api/datasets/qa/token_reports", json={"model": "nothing-v9"})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "model_not_found")


async def test_the_quality_of_rows_is_told(client: httpx2.AsyncClient) -> None:
    story = "the quick brown fox jumps over the lazy dog and runs into the deep dark forest number "
    rows = [
        {"prompt": story + "one", "completion": "yes"},
        {"prompt": story + "one", "completion": "yes"},
        {"prompt": story + "two", "completion": "yes"},
        {"prompt": "Écrivez à jean.dupont@example.org pour le reste de cette histoire", "completion": ""},
    ]
    await processed(client, "\n".join(map(json.dumps, rows)).encode(), name="mixed.jsonl")
    report = await quality(client, "mixed")
    found = report["quality"]
    assert found["duplicates"] == {"rows": 1, "examples": [{"row": 1, "same_as": 0}]}
    assert found["near_duplicates"]["examples"] == [{"row": 2, "near": 0}]
    assert (found["empty_rows"], found["empty_answers"]) == (0, 1)
    assert found["personal_data"] == {"email": {"rows": 1, "examples": [3]}}
    assert found["personal_data_scan"]["detector"] == best_detector(max_rows=1).name
    assert found["personal_data_scan"]["rows"] == 4
    assert {each["language"] for each in found["languages"]} >= {"en", "fr"}
    assert [column["name"] for column in report["profile"]] == ["prompt", "completion"]


async def test_two_versions_are_compared(client: httpx2.AsyncClient) -> None:
    text = "a sentence that is long enough to be compared with others of its kind, number "
    first = [{"prompt": f"{text} {n}", "completion": "c"} for n in range(10)]
    second = [
        *first[2:],
        {"prompt": "something entirely different, about ships and sails and winds", "completion": "d"},
    ]
    second[0] = {"prompt": first[0]["prompt"] + " indeed", "completion": "c"}
    for rows in (first, second):
        await processed(client, "\n".join(map(json.dumps, rows)).encode(), name="v.jsonl")
    asked = (await client.post("/api/datasets/v-v1/comparisons", json={"other": "v-v2"})).json()
    report = (await done(client, f"/api/datasets/v-v1/comparisons/{asked['id']}"))["report"]
    assert (report["rows"], report["common_rows"]) == ({"left": 10, "right": 9}, 7)
    assert (report["added_rows"], report["removed_rows"], report["exact"]["rows"]) == (2, 3, 7)
    assert report["schema"] == {"added": [], "removed": [], "changed": []}
    assert report["near"]["rows"] >= 1


async def test_leakage_is_found_across_columns(client: httpx2.AsyncClient) -> None:
    await processed(client, b'{"question": "What is  2+2?", "answer": "4"}\n', name="train.jsonl")
    await processed(client, b'{"prompt": "what is 2+2?", "note": "easy", "completion": "4"}\n', name="eval.jsonl")
    asked = (await client.post("/api/datasets/eval/comparisons", json={"other": "train"})).json()
    report = (await done(client, f"/api/datasets/eval/comparisons/{asked['id']}"))["report"]
    assert report["exact"] == {"rows": 1, "examples": [{"left": 0, "right": 0}]}
    assert report["schema"]["removed"] == ["prompt", "note", "completion"]


async def test_card_and_croissant_tell_facts_only(client: httpx2.AsyncClient) -> None:
    dataset = await processed(client, description="Evil | `x` <script>alert(1)</script>\n---\n# no")
    card = (await client.get("/api/datasets/qa/card")).text
    assert card.startswith('---\npretty_name: "qa-v1"\n')
    assert "<script>" not in card
    assert dataset["canonical_sha256"] in card
    croissant = (await client.get("/api/datasets/qa/croissant")).json()
    assert croissant["conformsTo"] == "http://mlcommons.org/croissant/1.0"
    assert croissant["distribution"][0]["sha256"] == dataset["canonical_sha256"]
    assert [field["name"] for field in croissant["recordSet"][0]["field"]] == ["question", "answer"]


async def test_images_are_shown_as_thumbnails(client: httpx2.AsyncClient) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, colour in (("cat/a.png", "red"), ("dog/b.png", "blue")):
            image = io.BytesIO()
            Image.new("RGB", (400, 200), colour).save(image, "PNG")
            archive.writestr(name, image.getvalue())
    dataset = await processed(client, out.getvalue(), name="pets.zip")
    assert (dataset["data_type"], dataset["rows"], dataset["format"]) == ("images", 2, "imagefolder")
    assert "Images" in dataset["untrainable_because"]
    rows = (await client.get("/api/datasets/pets/preview")).json()["items"]
    assert [row["label"] for row in rows] == ["cat", "dog"]
    shown = await client.get(rows[1]["image"]["thumbnail"])
    small = Image.open(io.BytesIO(shown.content))
    assert (shown.headers["content-type"], small.size, small.getpixel((0, 0))) == ("image/png", (128, 64), (0, 0, 255))
    assert (await client.get(f"/api/datasets/{dataset['id']}/thumbnails/2")).status_code == 404
    assert (await client.get("/api/datasets/pets/download")).content == out.getvalue()
    refused = await client.post("/api/datasets/pets:split", json={})
    assert refused.status_code == 202


async def test_reports_need_a_processed_dataset(client: httpx2.AsyncClient) -> None:
    await processed(client, JSONL)
    nothing = await client.get("/api/datasets/qa/token_reports/01936a00-0000-7000-8000-000000000000")
    assert (nothing.status_code, nothing.json()["code"]) == (404, "report_not_found")
    assert (await client.get("/api/datasets/nothing/report")).status_code == 404
    short = await client.post("/api/datasets/qa/token_reports", json={"model": "nano", "max_length": 1})
    assert short.status_code == 422
