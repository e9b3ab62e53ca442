"""What the registry tells of models and hands out."""

import random
import tarfile
from collections.abc import Callable
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from uuid import UUID

import httpx2
import pytest
import yaml

from slm_shared.events.catalogue import DatasetProcessed, EvaluationCompleted
from slm_shared.storage import manifest
from slm_shared.storage.ids import new_id
from slm_shared.storage.manifest import Manifest
from slm_shared.storage.objects import CHUNK_BYTES, ObjectStore
from slm_testing.events import EventLog
from tests.support.registry import (
    CONTENT,
    EVALUATION_SHA256,
    TRAINING_SHA256,
    Artifact,
    Settled,
    model,
    names,
    registered,
    scored,
)


async def test_a_model_is_found_by_id_name_and_family(
    client: httpx2.AsyncClient, base_id: UUID, events: EventLog, artifact: Artifact
) -> None:
    first = await registered(events, artifact.experiment(base_id))
    assert (await model(client, "commands-v1"))["is_latest"] is True
    await registered(events, artifact.experiment(base_id))
    assert (await model(client, str(first.model_id)))["name"] == "commands-v1"
    assert (await model(client, "commands-v1"))["is_latest"] is False
    latest = await model(client, "commands")
    assert (latest["name"], latest["is_latest"]) == ("commands-v2", True)
    assert (await model(client, "nano"))["name"] == "nano-v1"


async def test_an_unknown_model_is_a_404(client: httpx2.AsyncClient) -> None:
    for reference in ("nothing", "nano-v2", "01936a00-0000-7000-8000-000000000000"):
        for path in ("", "/card", "/lineage", "/download", "/files/config.json"):
            answer = await client.get(f"/api/models/{reference}{path}")
            assert (answer.status_code, answer.json()["code"]) == (404, "model_not_found")
            assert answer.headers["content-type"] == "application/problem+json"


async def test_lists_are_filtered_and_paged(
    client: httpx2.AsyncClient, base_id: UUID, events: EventLog, artifact: Artifact
) -> None:
    experiments = [artifact.experiment(base_id, family=family) for family in ("alpha", "beta", "alpha")]
    for experiment in experiments:
        await registered(events, experiment)
    everything = ["alpha-v2", "beta-v1", "alpha-v1", "nano-v1"]
    assert await names(client) == everything
    assert await names(client, kind="base") == ["nano-v1"]
    assert await names(client, kind="fine_tuned") == everything[:3]
    assert await names(client, family="alpha") == ["alpha-v2", "alpha-v1"]
    assert await names(client, experiment_id=str(experiments[1].experiment_id)) == ["beta-v1"]
    assert await names(client, q="A-V1") == ["beta-v1", "alpha-v1"]
    assert await names(client, q="%") == []
    assert await names(client, family="alpha", q="v2", kind="base") == []
    paged: list[str] = []
    query: dict[str, str | int] = {"limit": 3}
    while query:
        page = (await client.get("/api/models", params=query)).json()
        paged += [item["name"] for item in page["items"]]
        query = {"limit": 3, "cursor": page["next_cursor"]} if page["next_cursor"] else {}
    assert paged == everything


async def test_bad_queries_are_refused(client: httpx2.AsyncClient) -> None:
    for query in ("kind=big", "experiment_id=x", "limit=0", "limit=101", "cursor=x"):
        assert (await client.get(f"/api/models?{query}")).status_code == 422, query
    for path in ("card?format=pdf", "lineage?format=svg"):
        assert (await client.get(f"/api/models/nano/{path}")).status_code == 422, path


async def test_a_card_tells_the_facts(
    client: httpx2.AsyncClient, base_id: UUID, events: EventLog, artifact: Artifact, settled: Settled
) -> None:
    experiment = artifact.experiment(base_id)
    made = await registered(events, experiment)
    card = (await client.get("/api/models/commands/card")).json()
    assert card["model"] == await model(client, "commands-v1")
    assert (card["training_dataset"]["rows"], card["evaluations"], card["base_evaluations"]) == (None, [], [])
    assert card["files"] == [file.model_dump() for file in artifact.files.files]
    await events.publish(
        DatasetProcessed(
            dataset_id=experiment.training_dataset_id,
            name="orders-v1",
            family="orders",
            version=1,
            usage="training",
            data_type="text",
            row_format="prompt/completion",
            columns=["prompt", "completion"],
            rows=2400,
            size_bytes=10,
            sha256=TRAINING_SHA256,
            object_key="datasets/y/canonical.parquet",
        )
    )
    dataset_id = experiment.evaluation_dataset_id
    await events.publish(scored(made.model_id, "commands-v1", dataset_id, "orders-eval-v2", loss=0.5, exact_match=0.25))
    await events.publish(scored(base_id, "nano-v1", dataset_id, "orders-eval-v2", loss=4.25))
    await events.publish(scored(base_id, "nano-v1", None, "elsewhere-v1", loss=3.0))
    await settled(DatasetProcessed)
    await settled(EvaluationCompleted)
    card = (await client.get("/api/models/commands-v1/card")).json()
    assert card["training_dataset"]["rows"] == 2400
    (mine,), (bases,) = card["evaluations"], card["base_evaluations"]
    assert (mine["metrics"], mine["rows"], mine["dataset_name"]) == (
        {"loss": 0.5, "exact_match": 0.25},
        1200,
        "orders-eval-v2",
    )
    assert (bases["model_name"], bases["metrics"]) == ("nano-v1", {"loss": 4.25})


async def test_a_card_in_markdown_has_metadata_and_hashes(
    client: httpx2.AsyncClient, base_id: UUID, events: EventLog, artifact: Artifact, settled: Settled
) -> None:
    experiment = artifact.experiment(base_id)
    made = await registered(events, experiment)
    dataset_id = experiment.evaluation_dataset_id
    await events.publish(scored(made.model_id, "commands-v1", dataset_id, "orders-eval-v2", loss=0.5))
    await events.publish(scored(base_id, "nano-v1", dataset_id, "orders-eval-v2", loss=4.25))
    await settled(EvaluationCompleted)
    answer = await client.get("/api/models/commands-v1/card?format=markdown")
    assert answer.headers["content-type"].startswith("text/markdown")
    before, front, body = answer.text.split("---\n", 2)
    assert before == ""
    facts = yaml.safe_load(front)
    assert (facts["library_name"], facts["base_model"], facts["datasets"]) == ("transformers", "nano-v1", ["orders-v1"])
    (index,) = facts["model-index"]
    assert (index["name"], index["results"][0]["metrics"]) == ("commands-v1", [{"type": "loss", "value": 0.5}])
    assert "# commands-v1\n" in body
    assert "Turn commands into JSON." in body
    assert "| Loss | 0.5 | 4.25 |" in body
    hashes = [file.sha256 for file in artifact.files.files]
    for expected in ("nano-v1", "orders-v1", TRAINING_SHA256, EVALUATION_SHA256, artifact.files.sha256, *hashes):
        assert expected in body


async def test_the_card_of_a_base_model_tells_of_no_training(client: httpx2.AsyncClient) -> None:
    text = (await client.get("/api/models/nano-v1/card?format=markdown")).text
    facts = yaml.safe_load(text.split("---\n")[1])
    assert facts == {
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["slm-platform"],
    }
    assert "## Training" not in text
    assert "## Evaluation" not in text


async def test_a_lineage_leads_from_data_to_scores(
    client: httpx2.AsyncClient, base_id: UUID, events: EventLog, artifact: Artifact, settled: Settled
) -> None:
    experiment = artifact.experiment(base_id)
    made = await registered(events, experiment)
    score = scored(made.model_id, "commands-v1", experiment.evaluation_dataset_id, "orders-eval-v2", loss=0.5)
    await events.publish(score)
    await settled(EvaluationCompleted)
    graph = (await client.get("/api/models/commands-v1/lineage")).json()
    training, run = str(experiment.training_dataset_id), str(experiment.run_id)
    assert {(node["id"], node["type"], node["name"]) for node in graph["nodes"]} == {
        (training, "dataset", "orders-v1"),
        (str(base_id), "model", "nano-v1"),
        (run, "run", "Commands, small"),
        (str(experiment.experiment_id), "experiment", "Commands, small"),
        (str(made.model_id), "model", "commands-v1"),
        (str(score.evaluation_id), "evaluation", "commands-v1 on orders-eval-v2"),
        (str(score.dataset_id), "dataset", "orders-eval-v2"),
        (f"{experiment.experiment_id}:1", "attempt", "attempt 1"),
    }
    assert {(edge["source"], edge["relation"], edge["target"]) for edge in graph["edges"]} == {
        (training, "trains", run),
        (str(base_id), "starts", run),
        (run, "runs as", str(experiment.experiment_id)),
        (str(experiment.experiment_id), "makes", str(made.model_id)),
        (str(experiment.experiment_id), "tries", f"{experiment.experiment_id}:1"),
        (f"{experiment.experiment_id}:1", "writes", str(made.model_id)),
        (str(score.dataset_id), "validates", run),
        (str(made.model_id), "is measured by", str(score.evaluation_id)),
        (str(score.dataset_id), "measures", str(score.evaluation_id)),
    }
    assert len(graph["nodes"]) == 8
    lines = (await client.get("/api/models/commands-v1/lineage?format=mermaid")).text.splitlines()
    assert lines[0] == "flowchart LR"
    assert sum("-->" in line for line in lines) == 9
    assert any('["run<br>Commands#44; small"]' in line for line in lines)


async def test_the_lineage_of_a_base_model_is_itself(client: httpx2.AsyncClient, base_id: UUID) -> None:
    graph = (await client.get("/api/models/nano/lineage")).json()
    nodes = [{"id": str(base_id), "type": "model", "name": "nano-v1"}]
    assert graph == {"nodes": nodes, "edges": [], "truncated": False}


async def test_a_file_comes_as_it_was_stored(
    client: httpx2.AsyncClient, base_id: UUID, events: EventLog, artifact: Artifact
) -> None:
    await registered(events, artifact.experiment(base_id))
    for path, content in CONTENT.items():
        answer = await client.get(f"/api/models/commands/files/{path}")
        assert answer.content == content
        assert answer.headers["etag"] == f'"{sha256(content).hexdigest()}"'
        assert answer.headers["content-length"] == str(len(content))


async def test_a_file_that_the_model_does_not_have_is_a_404(client: httpx2.AsyncClient) -> None:
    outside = ("%2e%2e/config.json", "tokenizer/%2e%2e/config.json", "..%2F..%2Fx", "%2Fetc", ".%2Fconfig.json")
    for path in ("nothing.bin", "manifest.json", "", *outside):
        answer = await client.get(f"/api/models/nano-v1/files/{path}")
        assert (answer.status_code, answer.json()["code"]) == (404, "file_not_found"), path


async def test_a_download_is_an_archive_of_the_whole_model(
    client: httpx2.AsyncClient, base_id: UUID, events: EventLog, artifact: Artifact
) -> None:
    await registered(events, artifact.experiment(base_id))
    answer = await client.get("/api/models/commands/download")
    assert answer.headers["content-disposition"] == 'attachment; filename="commands-v1.tar"'
    with tarfile.open(fileobj=BytesIO(answer.content), mode="r:") as archive:
        found = {entry.name: sha256(archive.extractfile(entry).read()).hexdigest() for entry in archive}  # type: ignore[union-attr]
    assert found == {f"commands-v1/{file.path}": file.sha256 for file in artifact.files.files}


def flipped(content: bytes) -> bytes:
    return content[:-1] + bytes([content[-1] ^ 1])


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param(flipped, id="one bit"),
        pytest.param(lambda content: content[:-1], id="shorter"),
        pytest.param(lambda content: content + b"x", id="longer"),
        pytest.param(lambda content: b"", id="empty"),
        pytest.param(lambda content: None, id="removed"),
    ],
)
async def test_a_file_that_was_changed_in_the_store_never_comes_complete(
    client: httpx2.AsyncClient,
    base_id: UUID,
    events: EventLog,
    artifact: Artifact,
    objects: ObjectStore,
    changed: Callable[[bytes], bytes | None],
) -> None:
    await registered(events, artifact.experiment(base_id))
    for path in ("model.safetensors", "config.json"):
        content, key = changed(CONTENT[path]), f"{artifact.prefix}/{path}"
        if content is None:
            await objects.remove(key)
        else:
            await objects.put_bytes(key, content)
        received, complete = await fetch(client, f"/api/models/commands-v1/files/{path}")
        assert not complete
        assert len(received) < len(CONTENT[path])
        assert not (await fetch(client, "/api/models/commands-v1/download"))[1]
        await objects.put_bytes(key, CONTENT[path])
        assert await fetch(client, f"/api/models/commands-v1/files/{path}") == (CONTENT[path], True)


async def fetch(client: httpx2.AsyncClient, path: str) -> tuple[bytes, bool]:
    """What arrived, and whether the client had reason to believe that it is all."""
    received = b""
    try:
        async with client.stream("GET", path) as answer:
            async for chunk in answer.aiter_bytes():
                received += chunk
    except httpx2.TransportError:
        return received, False
    return received, answer.is_success


async def test_a_manifest_that_was_changed_in_the_store_is_not_believed(
    client: httpx2.AsyncClient, base_id: UUID, events: EventLog, artifact: Artifact, objects: ObjectStore
) -> None:
    await registered(events, artifact.experiment(base_id))
    await objects.put_bytes(f"{artifact.prefix}/manifest.json", Manifest(files=[]).to_bytes())
    for path in ("files/config.json", "download", "card"):
        answer = await client.get(f"/api/models/commands-v1/{path}")
        assert (answer.status_code, answer.json()["code"]) == (500, "artifact_mismatch")


async def test_a_longer_wrong_file_of_whole_chunks_never_comes_complete(
    client: httpx2.AsyncClient, base_id: UUID, events: EventLog, objects: ObjectStore, tmp_path: Path
) -> None:
    content, prefix = random.Random(2).randbytes(CHUNK_BYTES), f"artifacts/{new_id()}"
    (tmp_path / "model.safetensors").write_bytes(content)
    aligned = Artifact(prefix, await manifest.upload(objects, tmp_path, prefix))
    await registered(events, aligned.experiment(base_id))
    await objects.put_bytes(f"{prefix}/model.safetensors", flipped(content) + b"x")
    _, complete = await fetch(client, "/api/models/commands-v1/files/model.safetensors")
    assert not complete


async def test_a_nul_character_is_refused(client: httpx2.AsyncClient) -> None:
    for path in ("/%00", "?q=%00", "?family=%00", "/nano-v1/files/%00"):
        answer = await client.get(f"/api/models{path}")
        assert (answer.status_code, answer.json()["code"]) == (400, "malformed_request"), path
