"""Uploads in parts: through the service or straight into the object store, resumed, completed, aborted, expired."""

import asyncio
import hashlib
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest

from slm_datasets.app import create_app
from slm_datasets.domain.states import UploadStatus
from slm_datasets.service.upload_parts import PartedUploads
from slm_datasets.settings import DatasetsSettings
from slm_datasets.tables import UploadRow
from slm_shared.settings import PlatformSettings
from slm_shared.storage.ids import new_id
from slm_shared.storage.objects import ObjectStore
from slm_testing.apps import running
from slm_testing.waiting import eventually
from tests.support.datasets import ended, patiently, upload

PART_BYTES = 5 * 1024 * 1024
LINE = b'{"prompt": "' + b"p" * 500 + b'", "completion": "c"}\n'
BIG = LINE * (12 * 1024 * 1024 // len(LINE))
SHA256 = hashlib.sha256(BIG).hexdigest()


async def begin(client: httpx2.AsyncClient, **more: Any) -> httpx2.Response:
    body = {"file_name": "big.jsonl", "size_bytes": len(BIG), **more}
    return await client.post("/api/datasets/uploads", json=body)


async def put(
    client: httpx2.AsyncClient, state: dict[str, Any], part: dict[str, Any], **headers: str
) -> httpx2.Response:
    data = BIG[part["offset"] : part["offset"] + part["size_bytes"]]
    address = f"/api/datasets/uploads/{state['id']}/parts/{part['number']}"
    return await client.put(address, content=data, headers=headers)


async def complete(client: httpx2.AsyncClient, state: dict[str, Any], sha256: str = SHA256) -> httpx2.Response:
    address = f"/api/datasets/uploads/{state['id']}:complete"
    return await patiently(lambda: client.post(address, json={"sha256": sha256}))


@pytest.mark.containers
async def test_parts_in_any_order_become_one_dataset(parted: httpx2.AsyncClient) -> None:
    state = (await begin(parted, usage="corpus")).json()
    assert [part["size_bytes"] for part in state["parts"]] == [PART_BYTES, PART_BYTES, len(BIG) - 2 * PART_BYTES]
    for part in reversed(state["parts"]):
        assert (await put(parted, state, part)).json()["is_stored"] is True
    assert (await parted.get("/api/datasets")).json()["items"] == []
    done = await complete(parted, state)
    assert (done.status_code, done.json()["name"], done.json()["usage"]) == (202, "big-v1", "corpus")
    dataset = await ended(parted, done.json()["id"])
    assert (dataset["rows"], dataset["sha256"], dataset["size_bytes"]) == (len(BIG) // len(LINE), SHA256, len(BIG))
    assert (await parted.get("/api/datasets/big/download")).content == BIG
    assert (await complete(parted, state)).json()["id"] == dataset["id"]


@pytest.mark.containers
async def test_completed_by_several_at_once_it_is_one_dataset_with_its_file(parted: httpx2.AsyncClient) -> None:
    state = (await begin(parted)).json()
    for part in state["parts"]:
        await put(parted, state, part)
    answers = await asyncio.gather(*(complete(parted, state) for _ in range(4)))
    assert {(answer.status_code, answer.json().get("name")) for answer in answers} == {(202, "big-v1")}
    await ended(parted, answers[0].json()["id"])
    assert (await parted.get("/api/datasets/big/download")).content == BIG


@pytest.fixture
def uploads(platform_settings: PlatformSettings) -> PartedUploads:
    """The use cases themselves, without the service around them."""
    return PartedUploads(ObjectStore(platform_settings), DatasetsSettings())


async def one_part(uploads: PartedUploads) -> UploadRow:
    """An upload whose only part is stored."""
    upload = UploadRow(id=new_id(), file_name="small.jsonl", size_bytes=len(LINE), part_bytes=PART_BYTES)
    upload.status, upload.expires_at = UploadStatus.OPEN, datetime.now(UTC)
    upload.multipart_id = await uploads.begin_object(upload.id)
    await uploads.put(upload, 1, LINE, sha256=None)
    return upload


async def test_nobody_who_completes_is_told_of_parts_that_another_has_just_put_together(uploads: PartedUploads) -> None:
    """For a moment the store knows the upload but none of its parts; many small uploads make a look then likely."""
    sha256 = hashlib.sha256(LINE).hexdigest()
    for _ in range(40):
        upload = await one_part(uploads)
        found = await asyncio.gather(*(uploads.assemble(upload, sha256) for _ in range(8)))
        assert {file.sha256 for file in found} == {sha256}


async def test_an_upload_put_together_has_all_its_parts_before_that_is_noted(uploads: PartedUploads) -> None:
    """As while its file is read, or when the service died meanwhile: whoever asks must not send them again."""
    upload = await one_part(uploads)
    await uploads.assemble(upload, hashlib.sha256(LINE).hexdigest())
    assert [part.is_stored for part in (await uploads.state(upload)).parts] == [True]


async def test_only_what_is_missing_is_sent_again(parted: httpx2.AsyncClient) -> None:
    state = (await begin(parted)).json()
    await put(parted, state, state["parts"][0])
    early = await complete(parted, state)
    assert (early.status_code, early.json()["code"]) == (409, "offset_mismatch")
    assert "2, 3" in early.json()["detail"]
    seen = (await parted.get(f"/api/datasets/uploads/{state['id']}")).json()
    assert [part["is_stored"] for part in seen["parts"]] == [True, False, False]
    for part in seen["parts"][1:]:
        await put(parted, seen, part)
    assert (await complete(parted, state)).status_code == 202


async def test_a_part_with_a_wrong_place_size_or_hash_is_refused(parted: httpx2.AsyncClient) -> None:
    state = (await begin(parted)).json()
    short = await parted.put(f"/api/datasets/uploads/{state['id']}/parts/1", content=b"x")
    assert (short.status_code, short.json()["code"]) == (409, "offset_mismatch")
    beyond = await parted.put(f"/api/datasets/uploads/{state['id']}/parts/9", content=b"x")
    assert (beyond.status_code, beyond.json()["code"]) == (409, "offset_mismatch")
    large = await parted.put(f"/api/datasets/uploads/{state['id']}/parts/1", content=b"x" * (PART_BYTES + 1))
    assert (large.status_code, large.json()["code"]) == (413, "too_large")
    wrong = await put(parted, state, state["parts"][0], **{"X-Content-SHA256": "0" * 64})
    assert (wrong.status_code, wrong.json()["code"]) == (422, "checksum_mismatch")
    good = hashlib.sha256(BIG[:PART_BYTES]).hexdigest()
    assert (await put(parted, state, state["parts"][0], **{"X-Content-SHA256": good})).status_code == 200


async def test_a_file_that_is_not_the_announced_one_ends_the_upload(
    parted: httpx2.AsyncClient, platform_settings: PlatformSettings
) -> None:
    state = (await begin(parted)).json()
    for part in state["parts"]:
        await put(parted, state, part)
    wrong = await complete(parted, state, "0" * 64)
    assert (wrong.status_code, wrong.json()["code"]) == (422, "checksum_mismatch")
    assert (await complete(parted, state)).json()["code"] == "upload_not_found"
    assert await ObjectStore(platform_settings).list(f"datasets/{state['id']}/") == []


async def test_an_aborted_upload_is_gone(parted: httpx2.AsyncClient) -> None:
    state = (await begin(parted)).json()
    await put(parted, state, state["parts"][0])
    assert (await parted.delete(f"/api/datasets/uploads/{state['id']}")).status_code == 204
    assert (await put(parted, state, state["parts"][1])).json()["code"] == "upload_not_found"
    assert (await parted.delete(f"/api/datasets/uploads/{state['id']}")).status_code == 404


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"file_name": "a.exe"}, 415, "type_not_allowed"),
        ({"size_bytes": 0}, 422, "field_invalid"),
        ({"size_bytes": 10**15}, 413, "too_large"),
        ({"sha256": "x"}, 422, "field_invalid"),
        ({"status": "processed"}, 422, "unknown_field"),
    ],
)
async def test_absurd_uploads_are_refused(
    parted: httpx2.AsyncClient, body: dict[str, Any], status: int, code: str
) -> None:
    answer = await begin(parted, **body)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_uploads_under_way_are_counted(parted: httpx2.AsyncClient) -> None:
    made = [(await begin(parted)).json() for _ in range(3)]
    refused = await begin(parted)
    assert (refused.status_code, refused.json()["code"]) == (409, "quota_exceeded")
    await parted.delete(f"/api/datasets/uploads/{made[0]['id']}")
    assert (await begin(parted)).status_code == 201


async def test_parts_may_go_straight_into_the_object_store(
    datasets_settings: DatasetsSettings, platform_settings: PlatformSettings, principal_keys: Any
) -> None:
    settings = datasets_settings.model_copy(
        update={"public_s3_endpoint": platform_settings.s3_endpoint, "upload_part_bytes": PART_BYTES}
    )
    async with running(create_app(settings), principal_keys) as client, httpx2.AsyncClient() as outside:
        state = (await begin(client)).json()
        for part in state["parts"]:
            data = BIG[part["offset"] : part["offset"] + part["size_bytes"]]
            assert (await outside.put(part["url"], content=data)).status_code == 200
        other_key = state["parts"][0]["url"].replace(state["id"], "other")
        assert (await outside.put(other_key, content=b"x")).status_code == 403
        dataset = await ended(client, (await complete(client, state)).json()["id"])
        assert (dataset["status"], dataset["sha256"]) == ("processed", SHA256)


async def test_an_upload_that_nobody_completes_ends_by_itself(
    datasets_settings: DatasetsSettings, platform_settings: PlatformSettings, principal_keys: Any
) -> None:
    settings = datasets_settings.model_copy(update={"upload_lifetime_s": 0.01})
    async with running(create_app(settings), principal_keys) as client:
        state = (await begin(client)).json()
        # As after a completion that died between its file and its dataset.
        objects = ObjectStore(platform_settings)
        await objects.put_bytes(f"datasets/{state['id']}/raw", b"left behind")

        async def expired() -> bool | None:
            found = (await client.get(f"/api/datasets/uploads/{state['id']}")).json()
            left = await objects.list(f"datasets/{state['id']}/")
            return (found["status"] == "expired" and not left) or None

        assert await eventually(expired)
        assert (await complete(client, state)).json()["code"] == "upload_not_found"


async def test_a_foreign_upload_is_not_found(parted: httpx2.AsyncClient) -> None:
    assert (await parted.get("/api/datasets/uploads/01936a00-0000-7000-8000-000000000000")).status_code == 404
    assert (await upload(parted, name="uploads.jsonl")).json()["name"] == "uploads-v1"
    assert (await parted.get("/api/datasets/uploads")).json()["name"] == "uploads-v1"
