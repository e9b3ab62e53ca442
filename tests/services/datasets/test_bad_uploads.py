"""Uploads that are cut, oversized, disguised or malformed, down to the bytes of the form."""

import asyncio
from collections.abc import AsyncIterator

import httpx2
import pytest

from slm_shared.settings import PlatformSettings
from slm_shared.storage.objects import ObjectStore
from tests.support.datasets import JSONL, ended, processed, upload

BOUNDARY = "b0undary"
HEAD = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n'.encode()
TAIL = f"\r\n--{BOUNDARY}--\r\n".encode()


async def send(
    client: httpx2.AsyncClient, body: bytes | AsyncIterator[bytes], kind: str | None = None
) -> httpx2.Response:
    headers = {"Content-Type": kind or f"multipart/form-data; boundary={BOUNDARY}"}
    return await client.post("/api/datasets", content=body, headers=headers)


def part(name: str, value: bytes, *, more: str = "") -> bytes:
    return f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'.encode() + value + b"\r\n"


@pytest.mark.parametrize(
    ("body", "kind", "status", "code"),
    [
        (HEAD + JSONL + TAIL, "multipart/form-data", 400, "multipart_invalid"),
        (HEAD + JSONL + TAIL, "multipart/form-data; boundary=" + "x" * 100, 400, "multipart_invalid"),
        (HEAD + JSONL + TAIL, "text/plain", 400, "multipart_invalid"),
        (HEAD + JSONL, None, 400, "multipart_invalid"),
        (b"no form at all", None, 400, "multipart_invalid"),
        (b"", None, 400, "multipart_invalid"),
        (part("usage", b"training") + TAIL, None, 422, "file_missing"),
        (part("file", JSONL) + TAIL, None, 422, "file_missing"),
        (b"".join(part(f"f{n}", b"x") for n in range(1001)) + TAIL, None, 400, "multipart_invalid"),
        (part("usage", b"x", more="; x=" + "y" * 1_000_000) + TAIL, None, 400, "multipart_invalid"),
        (part("description", b"x" * 100_000) + HEAD + JSONL + TAIL, None, 400, "multipart_invalid"),
        (part("description", b"\xff") + HEAD + JSONL + TAIL, None, 400, "multipart_invalid"),
        (part("description", b"a\0b") + HEAD + JSONL + TAIL, None, 400, "multipart_invalid"),
        (HEAD + JSONL + b"\r\n" + HEAD + JSONL + TAIL, None, 400, "multipart_invalid"),
        (HEAD + JSONL + b"\r\n" + part("usage", b"fun") + TAIL, None, 422, "field_invalid"),
        (part("mapping", b"{") + HEAD + JSONL + TAIL, None, 422, "field_invalid"),
        (part("mapping", b'{"answer": "x"}') + HEAD + JSONL + TAIL, None, 422, "field_invalid"),
    ],
)
async def test_forms_that_cannot_be_read_are_refused(
    client: httpx2.AsyncClient,
    platform_settings: PlatformSettings,
    body: bytes,
    kind: str | None,
    status: int,
    code: str,
) -> None:
    answer = await send(client, body, kind)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert (await client.get("/api/datasets")).json()["items"] == []


async def test_fields_may_stand_behind_the_file(client: httpx2.AsyncClient) -> None:
    body = HEAD + JSONL + b"\r\n" + part("usage", b"evaluation") + f"--{BOUNDARY}--\r\n".encode()
    answer = await send(client, body)
    assert (answer.status_code, answer.json()["usage"]) == (202, "evaluation")


async def test_an_endless_upload_is_stopped_and_leaves_nothing(
    client: httpx2.AsyncClient, platform_settings: PlatformSettings
) -> None:
    before = await ObjectStore(platform_settings).list("datasets/")
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        yield HEAD
        while sent < 100 * 1024 * 1024:
            sent += 64 * 1024
            yield b"x" * 64 * 1024

    answer = await send(client, endless())
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert await ObjectStore(platform_settings).list("datasets/") == before


async def test_a_client_that_leaves_half_way_leaves_nothing(
    client: httpx2.AsyncClient, platform_settings: PlatformSettings
) -> None:
    before = await ObjectStore(platform_settings).list("datasets/")
    reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
    token = client.build_request("GET", "/")
    flow = client.auth.auth_flow(token) if client.auth else iter([token])
    signed = next(flow)
    head = "POST /api/datasets HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n"
    head += f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in signed.headers.items() if name.startswith("slm-"))
    writer.write(head.encode() + b"\r\n" + HEAD + JSONL)
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    assert reader is not None
    assert (await client.get("/api/datasets")).json()["items"] == []
    assert await ObjectStore(platform_settings).list("datasets/") == before


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("data.csv.exe", 415),
        ("a.csv%00.png", 415),
        ("noextension", 415),
        ("model.pkl", 415),
        ("model.pt", 415),
        ("array.npy", 415),
        ("a.jsonl", 202),
        ("../../a.jsonl", 202),
        ("..%2fa.jsonl", 202),
        ("C:\\x\\a.jsonl", 202),
        (";/../a.jsonl", 202),
    ],
)
async def test_names_decide_nothing_but_the_kind(client: httpx2.AsyncClient, name: str, status: int) -> None:
    answer = await upload(client, name=name)
    assert answer.status_code == status
    if status == 202:
        assert "/" not in answer.json()["file_name"]
        assert "\\" not in answer.json()["file_name"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", b"PK\x03\x04zip"),
        ("a.parquet", b"MZ executable"),
        ("a.jsonl", b"\x89PNG\r\n"),
        ("a.zip", b"no zip"),
        ("a.txt", b"\x7fELF"),
        ("a.jsonl.gz", JSONL),
    ],
)
async def test_content_that_is_not_what_the_name_says_is_refused(
    client: httpx2.AsyncClient, name: str, content: bytes
) -> None:
    answer = await upload(client, content, name=name)
    assert (answer.status_code, answer.json()["code"]) == (415, "type_mismatch")


async def test_absurd_nesting_is_one_problem(client: httpx2.AsyncClient) -> None:
    nested = b'{"a": ' + b"[" * 50_000 + b"]" * 50_000 + b"}\n"
    dataset = await ended(client, (await upload(client, nested, name="deep.jsonl")).json()["id"])
    assert dataset["error"]["code"] == "too_deep"


async def test_formulas_in_column_names_are_defused_too(client: httpx2.AsyncClient) -> None:
    await processed(client, b'{"=cmd()": "+1", "b": -1}\n', name="f.jsonl")
    assert (await client.get("/api/datasets/f/download?format=csv")).text.splitlines() == ["'=cmd(),b", "'+1,-1"]
