"""The file of an upload is kept exactly as long as a dataset may refer to it."""

import asyncio
import json
import secrets
from pathlib import Path

import httpx2
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from slm_datasets.app import create_app
from slm_datasets.settings import DatasetsSettings
from slm_shared.settings import PlatformSettings
from slm_shared.storage.objects import ObjectStore
from slm_testing.apps import running
from tests.support.datasets import ended, upload


def unmistakable() -> bytes:
    """Rows of a length that no other test's file has."""
    row = json.dumps({"text": "x" * (10_000 + secrets.randbelow(1_000_000))})
    return f"{row}\n".encode()


async def files_like(platform: PlatformSettings, content: bytes) -> list[str]:
    """The keys of all uploaded files of this length."""
    found = await ObjectStore(platform).list("datasets/")
    return [each.key for each in found if each.size_bytes == len(content) and each.key.endswith("/raw")]


async def test_the_same_upload_twice_at_once_leaves_one_file(
    client: httpx2.AsyncClient, platform_settings: PlatformSettings
) -> None:
    content, key = unmistakable(), secrets.token_hex()
    answers = await asyncio.gather(*(upload(client, content, key=key) for _ in range(3)))
    assert {answer.status_code for answer in answers} <= {202, 409}
    (made,) = {answer.json()["id"] for answer in answers if answer.status_code == 202}
    assert await files_like(platform_settings, content) == [f"datasets/{made}/raw"]


async def test_a_refused_upload_leaves_none(client: httpx2.AsyncClient, platform_settings: PlatformSettings) -> None:
    content = unmistakable()
    assert (await upload(client, content, key="once")).status_code == 202
    other = unmistakable()
    assert (await upload(client, other, key="once")).json()["code"] == "idempotency_key_reused"
    assert await files_like(platform_settings, other) == []


async def test_a_database_that_falls_silent_costs_no_file(
    datasets_settings: DatasetsSettings, principal_keys: Path
) -> None:
    impatient = datasets_settings.platform.model_copy(update={"answer_within_s": 1.0})
    settings = datasets_settings.model_copy(update={"platform": impatient})
    engine = create_async_engine(settings.database_url)
    content, headers = unmistakable(), {"Idempotency-Key": secrets.token_hex()}
    async with running(create_app(settings), principal_keys) as client:
        async with engine.begin() as connection:
            await connection.execute(text("LOCK TABLE family"))
            silent = await client.post("/api/datasets", files={"file": ("rows.jsonl", content)}, headers=headers)
        assert silent.status_code == 503
        # It may have been the answer of the database that got lost, and not the dataset.
        assert len(await files_like(impatient, content)) == 1
        again = await client.post("/api/datasets", files={"file": ("rows.jsonl", content)}, headers=headers)
        assert again.status_code == 202
        assert (await ended(client, again.json()["id"]))["status"] == "processed"
    await engine.dispose()
