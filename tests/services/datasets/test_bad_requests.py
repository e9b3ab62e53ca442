"""Requests that are wrong in themselves: bodies, lengths, names, and what belongs to somebody else."""

import asyncio
import io
import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import polars as pl
import pytest

from slm_datasets.app import create_app
from slm_datasets.settings import DatasetsSettings
from slm_shared.identity.principal import Role
from slm_testing.apps import client_of, running
from tests.support.datasets import JSONL, processed, upload

BIG = {"file_name": "big.jsonl", "size_bytes": 100}


JSON = {"Content-Type": "application/json"}


async def test_bodies_that_are_no_clean_json_are_refused(client: httpx2.AsyncClient) -> None:
    for path in ("/api/datasets/uploads", "/api/datasets/qa:retry", "/api/datasets/qa:split"):
        for body in (b"{", b"[" * 100_000, b'{"a": 1, "a": 2}', b'{"a": "\\ud800"}', b"\xff"):
            answer = await client.post(path, content=body, headers=JSON)
            assert (answer.status_code, answer.json()["code"]) == (400, "malformed_request"), (path, body[:20])
        assert (await client.post(path, content=b"", headers=JSON)).status_code == 422


async def test_a_size_that_is_none_is_named(client: httpx2.AsyncClient) -> None:
    for size in ("9" * 5000, "NaN", "1e999", "-1", '"12"', "true", "null", "1.5"):
        body = f'{{"file_name": "big.jsonl", "size_bytes": {size}}}'.encode()
        answer = await client.post("/api/datasets/uploads", content=body, headers=JSON)
        assert (answer.status_code, answer.json()["code"]) == (422, "field_invalid"), size[:20]
        assert [each["field"] for each in answer.json()["errors"]] == ["size_bytes"]


async def raw(client: httpx2.AsyncClient, head: str, body: bytes) -> tuple[int, dict[str, Any]]:
    """What a service answers to bytes on the wire."""
    assert client.auth is not None
    signed = next(client.auth.auth_flow(client.build_request("GET", "/")))
    head += "".join(f"{name}: {value}\r\n" for name, value in signed.headers.items() if name.startswith("slm-"))
    reader, writer = await asyncio.open_connection(client.base_url.host, client.base_url.port)
    writer.write(f"{head}Connection: close\r\n\r\n".encode() + body)
    await writer.drain()
    answer = await reader.read()
    writer.close()
    told, _, content = answer.partition(b"\r\n\r\n")
    return int(told.split()[1]), json.loads(content)


FORM = "POST /api/datasets HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\n"
WHOLE = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n' + JSONL + b"\r\n--b--\r\n"


@pytest.mark.parametrize(
    ("length", "status", "code"),
    [(str(len(WHOLE) - 40), 400, "multipart_invalid"), (str(10**12), 413, "too_large")],
)
async def test_a_length_that_lies_makes_no_dataset(
    client: httpx2.AsyncClient, length: str, status: int, code: str
) -> None:
    found, problem = await raw(client, f"{FORM}Content-Length: {length}\r\n", WHOLE)
    assert (found, problem["code"]) == (status, code)
    assert (await client.get("/api/datasets")).json()["items"] == []


async def test_a_form_in_chunks_needs_no_length(client: httpx2.AsyncClient) -> None:
    chunked = b"".join(b"%x\r\n%s\r\n" % (1, WHOLE[place : place + 1]) for place in range(len(WHOLE))) + b"0\r\n\r\n"
    status, made = await raw(client, f"{FORM}Transfer-Encoding: chunked\r\n", chunked)
    assert (status, made["name"], made["size_bytes"]) == (202, "a-v1", len(JSONL))


async def test_names_that_lead_elsewhere_are_not_found(client: httpx2.AsyncClient) -> None:
    await upload(client)
    names = (
        "../../etc/passwd",
        "..%2f",
        "%252e%252e",
        "C:\\x",
        ";/../",
        "#/../",
        "x" * 5000,
        "'",
        "%",
        "../qa",
        "qa/.",
    )
    for name in names:
        for address in (f"/api/datasets/{quote(name, safe='')}", f"/api/datasets/{quote(name, safe='')}/download"):
            answer = await client.get(address)
            assert answer.status_code == 404, address
            assert answer.headers["content-type"] == "application/problem+json"
    assert (await client.get("/api/datasets/qa%00")).status_code == 400


async def test_an_upload_of_somebody_else_is_not_found(
    datasets_settings: DatasetsSettings, principal_keys: Path
) -> None:
    async with running(create_app(datasets_settings), principal_keys, subject="ann") as ann:
        state = (await ann.post("/api/datasets/uploads", json=BIG)).json()
        address = f"/api/datasets/uploads/{state['id']}"
        async with client_of(str(ann.base_url), "datasets", principal_keys, role=Role.ADMIN, subject="ben") as ben:
            missing = await ben.get("/api/datasets/uploads/01936a00-0000-7000-8000-000000000000")
            for answer in (
                await ben.get(address),
                await ben.put(f"{address}/parts/1", content=b"x" * 100),
                await ben.post(f"{address}:complete", json={"sha256": "0" * 64}),
                await ben.delete(address),
            ):
                assert (answer.status_code, answer.json()["code"]) == (404, "upload_not_found")
                assert answer.json()["detail"] == missing.json()["detail"]
        assert (await ann.get(address)).json()["status"] == "open"


async def test_of_a_deleted_dataset_nothing_is_shown(client: httpx2.AsyncClient) -> None:
    dataset = await processed(client)
    await client.delete("/api/datasets/qa-v1")
    for action in ("", "/download", "/preview", "/report", "/problems", "/card", "/croissant"):
        for reference in (dataset["id"], "qa-v1", "qa"):
            answer = await client.get(f"/api/datasets/{reference}{action}")
            assert (answer.status_code, answer.json()["code"]) == (404, "dataset_not_found"), action


async def test_what_a_spreadsheet_would_run_is_quoted_in_csv_and_nowhere_else(client: httpx2.AsyncClient) -> None:
    cells = ["=cmd()", "+1", "-1", "@x", "\tx", "plain", "a=b"]
    content = "".join(json.dumps({"cell": cell, "n": -1}) + "\n" for cell in cells).encode()
    await processed(client, content, name="f.jsonl")
    exported = (await client.get("/api/datasets/f/download?format=csv")).text.splitlines()[1:]
    assert exported == [f"'{cell},-1" for cell in cells[:5]] + [f"{cell},-1" for cell in cells[5:]]
    lines = (await client.get("/api/datasets/f/download?format=jsonl")).text.splitlines()
    assert [json.loads(line)["cell"] for line in lines] == cells
    frame = pl.read_parquet(io.BytesIO((await client.get("/api/datasets/f/download?format=parquet")).content))
    assert frame["cell"].to_list() == cells
    assert (await client.get("/api/datasets/f/download")).content == content


async def test_numbers_that_json_has_not_are_null_in_it(client: httpx2.AsyncClient) -> None:
    out = io.BytesIO()
    pl.DataFrame({"text": ["a", "b", "c"], "score": [float("nan"), float("inf"), 0.5]}).write_parquet(out)
    await processed(client, out.getvalue(), name="scores.parquet")
    expected = [{"text": "a", "score": None}, {"text": "b", "score": None}, {"text": "c", "score": 0.5}]
    shown = await client.get("/api/datasets/scores/preview")
    assert (shown.status_code, shown.json()["items"]) == (200, expected)
    lines = (await client.get("/api/datasets/scores/download?format=jsonl")).text.splitlines()
    assert [json.loads(line, parse_constant=pytest.fail) for line in lines] == expected
    assert (await client.get("/api/datasets/scores/report")).status_code == 200
    assert (await client.get("/api/datasets/scores/download")).content == out.getvalue()
