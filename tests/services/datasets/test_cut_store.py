"""An object store that goes away in the middle of an upload: told as such, nothing half-written, and a retry works."""

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from urllib.parse import urlsplit

import httpx2
import pytest

from slm_datasets.app import create_app
from slm_datasets.settings import DatasetsSettings
from slm_local.ports import free_port
from slm_shared.settings import PlatformSettings
from slm_shared.storage.objects import PART_BYTES, ObjectStore
from slm_testing.apps import running
from tests.support.datasets import JSONL, ROWS, ended, patiently, processed
from tests.support.proxy import Proxy

LINE = b'{"prompt": "' + b"p" * 500 + b'", "completion": "c"}\n'
# Three parts of the object: the store is cut while the first ones are already there.
BIG = LINE * ((2 * PART_BYTES + PART_BYTES // 2) // len(LINE))
HEAD = b'--b\r\nContent-Disposition: form-data; name="file"; filename="big.jsonl"\r\n\r\n'
FORM = {"Content-Type": "multipart/form-data; boundary=b"}


@pytest.fixture
async def wire(platform_settings: PlatformSettings) -> AsyncIterator[Proxy]:
    """What stands between the service and its object store."""
    proxy = Proxy(free_port(), urlsplit(platform_settings.s3_endpoint).port or 0)
    await proxy.start()
    yield proxy
    await proxy.close()


@pytest.fixture
async def behind(
    wire: Proxy, datasets_settings: DatasetsSettings, principal_keys: object
) -> AsyncIterator[httpx2.AsyncClient]:
    """A client of a service that reaches its object store over the wire."""
    platform = datasets_settings.platform.model_copy(update={"s3_endpoint": f"http://127.0.0.1:{wire.port}"})
    limits = {"max_upload_bytes": 64 * 1024**2, "upload_part_bytes": 5 * 1024**2}
    settings = datasets_settings.model_copy(update={"platform": platform, **limits})
    async with running(create_app(settings), principal_keys) as client:  # type: ignore[arg-type]  # a path
        yield client


async def form(lose: Callable[[], Awaitable[None]]) -> AsyncIterator[bytes]:
    """The big file as a form; half of it is sent when `lose` is called."""
    yield HEAD
    pieces = [BIG[start : start + 256 * 1024] for start in range(0, len(BIG), 256 * 1024)]
    for number, piece in enumerate(pieces):
        if number == len(pieces) // 2:
            await lose()
        yield piece
    yield b"\r\n--b--\r\n"


async def nothing() -> None:
    """Lose nothing."""


async def test_a_store_that_is_gone_is_told_and_the_upload_works_later(
    behind: httpx2.AsyncClient, wire: Proxy, platform_settings: PlatformSettings
) -> None:
    before = await ObjectStore(platform_settings).list("datasets/")
    refused = await behind.post("/api/datasets", content=form(wire.close), headers=FORM)
    assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
    assert int(refused.headers["retry-after"]) > 0
    assert (await behind.get("/api/datasets")).json()["items"] == []
    assert await ObjectStore(platform_settings).list("datasets/") == before
    await wire.start()
    again = await patiently(lambda: behind.post("/api/datasets", content=form(nothing), headers=FORM))
    dataset = await ended(behind, again.json()["id"])
    assert (dataset["name"], dataset["status"], dataset["rows"]) == ("big-v1", "processed", len(BIG) // len(LINE))
    assert dataset["sha256"] == hashlib.sha256(BIG).hexdigest()


async def test_connections_that_break_once_are_made_anew(behind: httpx2.AsyncClient, wire: Proxy) -> None:
    async def cut() -> None:
        wire.cut()

    answer = await behind.post("/api/datasets", content=form(cut), headers=FORM)
    assert answer.status_code in (202, 503)
    if answer.status_code == 503:
        answer = await patiently(lambda: behind.post("/api/datasets", content=form(nothing), headers=FORM))
    dataset = await ended(behind, answer.json()["id"])
    assert (dataset["name"], dataset["sha256"]) == ("big-v1", hashlib.sha256(BIG).hexdigest())
    assert [item["name"] for item in (await behind.get("/api/datasets")).json()["items"]] == ["big-v1"]


async def test_an_upload_in_parts_goes_on_where_the_store_was_lost(behind: httpx2.AsyncClient, wire: Proxy) -> None:
    body = {"file_name": "big.jsonl", "size_bytes": len(BIG)}
    state = (await behind.post("/api/datasets/uploads", json=body)).json()
    address = f"/api/datasets/uploads/{state['id']}"

    async def put(part: dict[str, int]) -> httpx2.Response:
        data = BIG[part["offset"] : part["offset"] + part["size_bytes"]]
        return await behind.put(f"{address}/parts/{part['number']}", content=data)

    assert (await put(state["parts"][0])).status_code == 200
    await wire.close()
    refused = await put(state["parts"][1])
    assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
    early = await behind.post(f"{address}:complete", json={"sha256": hashlib.sha256(BIG).hexdigest()})
    assert early.status_code == 503
    await wire.start()
    seen = (await patiently(lambda: behind.get(address))).json()
    assert [part["is_stored"] for part in seen["parts"]][:2] == [True, False]
    for part in seen["parts"][1:]:
        assert (await put(part)).status_code == 200
    complete = await patiently(
        lambda: behind.post(f"{address}:complete", json={"sha256": hashlib.sha256(BIG).hexdigest()})
    )
    assert (await ended(behind, complete.json()["id"]))["rows"] == len(BIG) // len(LINE)


async def test_a_download_without_a_store_is_told(behind: httpx2.AsyncClient, wire: Proxy) -> None:
    await processed(behind, JSONL)
    await wire.close()
    for query in ("", "?format=jsonl", "?format=parquet"):
        refused = await behind.get(f"/api/datasets/qa/download{query}")
        assert (refused.status_code, refused.json()["code"]) == (503, "unavailable"), query
    await wire.start()
    rows = await patiently(lambda: behind.get("/api/datasets/qa/preview?limit=3"))
    assert rows.json()["items"] == ROWS[:3]
