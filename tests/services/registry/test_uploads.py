"""Models that somebody brings along: taken when they can be loaded safely, refused by name otherwise."""

import gzip
import json
import struct
import tarfile
from io import BytesIO
from typing import Any

import httpx2
import pytest

from slm_registry.settings import packaged_models
from slm_shared.events.catalogue import ModelRegistered
from slm_testing.events import EventLog

NANO = packaged_models() / "nano-v1"
CONFIG = (NANO / "config.json").read_bytes()
TOKENIZER = b"{}"


def weights(shape: tuple[int, ...] = (2, 3), *, end: int | None = None) -> bytes:
    """A safetensors file of one tensor of zeros."""
    size = 4 * shape[0] * shape[1]
    header = json.dumps({"w": {"dtype": "F32", "shape": shape, "data_offsets": [0, end or size]}}).encode()
    return struct.pack("<Q", len(header)) + header + b"\0" * size


def archive(files: dict[str, bytes], *, folder: str = "mine/", entry: tarfile.TarInfo | None = None) -> bytes:
    """A tar archive."""
    out = BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(folder + name)
            info.size = len(content)
            tar.addfile(info, BytesIO(content))
        if entry is not None:
            tar.addfile(entry)
    return out.getvalue()


GOOD = {"config.json": CONFIG, "model.safetensors": weights(), "tokenizer.json": TOKENIZER}


async def upload(client: httpx2.AsyncClient, content: bytes, key: str | None = None, **fields: Any) -> httpx2.Response:
    """Send an archive."""
    data = {"family": "mine", **fields}
    headers = {"Idempotency-Key": key} if key else {}
    return await client.post("/api/models", data=data, files={"file": ("model.tar", content)}, headers=headers)


@pytest.mark.parametrize("folder", ["mine/", "./", ""])
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
async def test_a_model_is_registered_from_its_files(
    client: httpx2.AsyncClient, events: EventLog, folder: str, pack: Any
) -> None:
    answer = await upload(client, pack(archive(GOOD, folder=folder)), description="Mine", tag=["a", "b"])
    assert answer.status_code == 201, answer.text
    made = answer.json()
    assert (made["name"], made["kind"], made["parameter_count"], made["owner"]) == ("mine-v1", "base", 6, "tester")
    assert (made["description"], made["tags"], made["is_latest"]) == ("Mine", ["a", "b"], True)
    assert made["architecture"]["architectures"] == ["LlamaForCausalLM"]
    told = await events.wait_for(ModelRegistered, lambda event: event.name == "mine-v1")
    assert (str(told.model_id), told.signature) == (made["id"], made["signature"])
    assert (await client.get("/api/models/mine-v1/files/config.json")).content == CONFIG
    assert (await client.get("/api/models/mine-v1/verification")).json()["intact"] is True


async def test_what_was_tuned_elsewhere_keeps_its_base(client: httpx2.AsyncClient) -> None:
    await upload(client, archive(GOOD))
    made = (await upload(client, archive(GOOD), base_model="nano")).json()
    assert (made["name"], made["kind"], made["base_model"]["name"]) == ("mine-v2", "fine_tuned", "nano-v1")
    graph = (await client.get("/api/models/mine-v2/lineage")).json()
    assert {(edge["relation"], edge["target"]) for edge in graph["edges"]} == {("is the base of", made["id"])}
    assert (await upload(client, archive(GOOD), base_model="none")).status_code == 404


async def test_where_a_model_came_from_is_kept(client: httpx2.AsyncClient) -> None:
    source = f"hf:owner/name@{'0' * 40}"
    made = (await upload(client, archive(GOOD), source=source)).json()
    assert made["config"] == {"source": source}
    assert source in (await client.get("/api/models/mine-v1/card", headers={"Accept": "text/markdown"})).text
    refused = await upload(client, archive(GOOD), source="no prefix")
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "source")


async def test_a_repeated_upload_is_one_model(client: httpx2.AsyncClient) -> None:
    first, again = [await upload(client, archive(GOOD), key="k1") for _ in range(2)]
    assert (first.json(), again.headers["idempotency-replayed"]) == (again.json(), "true")
    other = await upload(client, archive(GOOD), key="k1", family="other")
    assert other.json()["code"] == "idempotency_key_reused"


def without(name: str) -> dict[str, bytes]:
    return {path: content for path, content in GOOD.items() if path != name}


def link(kind: bytes, name: str = "mine/link.json") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, "/etc/passwd"
    return info


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"no tar at all", "as tar"),
        (archive(GOOD)[:700], "as tar"),
        (archive(without("model.safetensors")), "no weights"),
        (archive(without("tokenizer.json")), "no tokenizer"),
        (archive(without("config.json")), "config.json"),
        (archive(GOOD | {"config.json": b"[]"}), "config.json"),
        (archive(GOOD | {"config.json": b'{"architectures": ["BertModel"]}'}), "causal"),
        (archive(GOOD | {"config.json": b'{"architectures": ["XCausalLM"], "auto_map": {}}'}), "code of its own"),
        (archive(GOOD | {"model.safetensors": b"\xff" * 20}), "model.safetensors"),
        (archive(GOOD | {"model.safetensors": weights(end=10**6)}), "model.safetensors"),
        (archive(GOOD | {"pytorch_model.bin": b"x"}), "pytorch_model.bin"),
        (archive(GOOD | {"modeling.py": b"x"}), "modeling.py"),
        (archive(GOOD | {"../../evil.json": b"x"}), "plain file"),
        (archive(GOOD, entry=link(tarfile.SYMTYPE)), "plain file"),
        (archive(GOOD, entry=link(tarfile.LNKTYPE)), "plain file"),
        (archive(GOOD, entry=link(tarfile.CHRTYPE)), "plain file"),
        (archive(GOOD, entry=tarfile.TarInfo("elsewhere/a.json")), "one folder"),
        (archive(GOOD, entry=tarfile.TarInfo("mine/deep/er/a.json")), "not accepted"),
        (archive(GOOD, entry=tarfile.TarInfo("mine/config.json")), "twice"),
    ],
)
async def test_what_cannot_be_loaded_safely_is_refused_by_name(
    client: httpx2.AsyncClient, content: bytes, says: str
) -> None:
    answer = await upload(client, content)
    assert (answer.status_code, answer.json()["code"]) == (422, "archive_invalid"), answer.text
    assert says in answer.json()["detail"]
    assert (await client.get("/api/models?family=mine")).json()["items"] == []


@pytest.mark.parametrize("fields", [{"family": "Mine"}, {"family": "mine-v2"}, {"kind": "base"}, {"tag": "x" * 61}])
async def test_wrong_fields_are_refused(client: httpx2.AsyncClient, fields: dict[str, str]) -> None:
    assert (await upload(client, archive(GOOD), **fields)).status_code == 422


async def test_a_form_without_an_archive_is_refused(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/api/models", data={"family": "mine"}, files={"other": ("x", b"x")})
    assert (answer.status_code, answer.json()["code"]) == (422, "file_missing")
    assert (await client.post("/api/models", json={"family": "mine"})).json()["code"] == "multipart_invalid"
