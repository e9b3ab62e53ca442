"""Talking to a datasets service in a test."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

import httpx2

from slm_testing.waiting import eventually

ROWS = [{"question": f"q{n}", "answer": f"a{n}"} for n in range(30)]
JSONL = "".join(json.dumps(row) + "\n" for row in ROWS).encode()


async def patiently(send: Callable[[], Awaitable[httpx2.Response]]) -> httpx2.Response:
    """Send a request, again as any client would while a crowded machine answers 503."""

    async def answered() -> httpx2.Response | None:
        answer = await send()
        return answer if answer.status_code != 503 else None

    return await eventually(answered)


async def upload(
    client: httpx2.AsyncClient, content: bytes = JSONL, *, name: str = "qa.jsonl", key: str | None = None, **fields: str
) -> httpx2.Response:
    headers = {"Idempotency-Key": key} if key else {}
    return await patiently(
        lambda: client.post("/api/datasets", files={"file": (name, content)}, data=fields, headers=headers)
    )


async def ended(client: httpx2.AsyncClient, reference: str) -> dict[str, Any]:
    async def check() -> dict[str, Any] | None:
        found: dict[str, Any] = (await client.get(f"/api/datasets/{reference}")).json()
        return found if found["status"] in ("processed", "error") else None

    return await eventually(check)


async def processed(client: httpx2.AsyncClient, content: bytes = JSONL, **fields: str) -> dict[str, Any]:
    """Upload a file and wait for its rows."""
    dataset = await ended(client, (await upload(client, content, **fields)).json()["id"])
    assert dataset["status"] == "processed", dataset["error"]
    return dataset
