"""The registry on real servers: what is registered, what is told of it, and what is handed out."""

import asyncio
import random
import shutil
import tarfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx2
import pytest
import yaml
from nats.js import JetStreamContext
from nats.js.api import ConsumerInfo, SequenceInfo

from slm_registry.app import create_app
from slm_registry.settings import RegistrySettings, packaged_models
from slm_shared import manifest
from slm_shared.broker import Broker
from slm_shared.events import DatasetProcessed, EvaluationCompleted, Event, ExperimentCompleted, ModelRegistered
from slm_shared.ids import new_id
from slm_shared.manifest import Manifest, build_manifest
from slm_shared.objects import CHUNK_BYTES, ObjectStore
from slm_shared.settings import PlatformSettings
from slm_shared.testing import EventLog, eventually, running
from slm_shared.topology import EVENTS, durable_name

CONTENT = {
    "config.json": b'{"model_type": "llama"}\n',
    "model.safetensors": random.Random(1).randbytes(2 * CHUNK_BYTES + 1000),
    "tokenizer/tokenizer.json": b"{}\n",
}
TRAINING_SHA256, EVALUATION_SHA256 = "a" * 64, "b" * 64
DONE = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

Databases = Callable[[str], Awaitable[str]]
Settled = Callable[[type[Event]], Awaitable[None]]


class Artifact:
    """A small model in the object store, and the experiments that could have made it."""

    def __init__(self, prefix: str, files: Manifest) -> None:
        self.prefix, self.files = prefix, files

    def experiment(self, base_id: UUID, **changes: Any) -> ExperimentCompleted:
        facts: dict[str, Any] = {
            "experiment_id": new_id(),
            "run_id": new_id(),
            "run_name": "Commands, small",
            "goal": "Turn commands into JSON.",
            "attempt": 1,
            "family": "commands",
            "method": "lora",
            "base_model_id": base_id,
            "base_model_name": "nano-v1",
            "training_dataset_id": new_id(),
            "training_dataset_name": "orders-v1",
            "training_dataset_sha256": TRAINING_SHA256,
            "evaluation_dataset_id": new_id(),
            "evaluation_dataset_name": "orders-eval-v2",
            "evaluation_dataset_sha256": EVALUATION_SHA256,
            "evaluation_dataset_key": "datasets/x/canonical.parquet",
            "evaluation_row_format": "prompt/completion",
            "evaluation_mapping": {"prompt": "question"},
            "manifest_key": f"{self.prefix}/manifest.json",
            "manifest_sha256": self.files.sha256,
            "artifact_prefix": self.prefix,
            "size_bytes": self.files.size_bytes,
            "parameter_count": 1234,
            "steps": 60,
            "train_loss": 0.75,
            "eval_loss": 0.875,
            "duration_s": 12.5,
            "started_at": DONE - timedelta(seconds=12.5),
            "completed_at": DONE,
            "config": {"learning_rate": 0.001, "seed": 42, "method": "lora"},
        }
        return ExperimentCompleted.model_validate(facts | changes)


@pytest.fixture
def objects(platform_settings: PlatformSettings) -> ObjectStore:
    return ObjectStore(platform_settings)


@pytest.fixture
async def artifact(objects: ObjectStore, tmp_path: Path) -> Artifact:
    folder, prefix = tmp_path / "artifact", f"artifacts/{new_id()}"
    for path, content in CONTENT.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return Artifact(prefix, await manifest.upload(objects, folder, prefix))


@pytest.fixture
async def settings(platform_settings: PlatformSettings, service_database: Databases) -> RegistrySettings:
    return RegistrySettings(port=0, database_name=await service_database("registry"), platform=platform_settings)


@pytest.fixture
async def client(settings: RegistrySettings, principal_keys: Path) -> AsyncIterator[httpx2.AsyncClient]:
    async with running(create_app(settings), principal_keys) as client:
        await ready(client)
        yield client


@pytest.fixture
async def base_id(client: httpx2.AsyncClient) -> UUID:
    return UUID((await model(client, "nano-v1"))["id"])


@pytest.fixture
async def jetstream(platform_settings: PlatformSettings) -> AsyncIterator[JetStreamContext]:
    broker = Broker(platform_settings.nats_url, name="tests")
    yield await broker.jetstream()
    await broker.close()


@pytest.fixture
def delivered(jetstream: JetStreamContext) -> Settled:
    """`await delivered(SomeEvent)`: wait until a registry was given every event of a class, whatever it made of it."""
    return partial(reached, jetstream, lambda info: info.delivered)


@pytest.fixture
def settled(jetstream: JetStreamContext) -> Settled:
    """`await settled(SomeEvent)`: wait until registries have acknowledged every event of a class."""
    return partial(reached, jetstream, lambda info: info.ack_floor)


async def reached(
    jetstream: JetStreamContext, place: Callable[[ConsumerInfo], SequenceInfo | None], event: type[Event]
) -> None:
    last = (await jetstream.get_last_msg(EVENTS, event.subject)).seq
    assert last is not None

    async def check() -> bool:
        found = place(await jetstream.consumer_info(EVENTS, durable_name("registry", event)))
        return found is not None and found.stream_seq >= last

    await eventually(check)


async def ready(client: httpx2.AsyncClient) -> None:
    async def check() -> bool:
        return (await client.get("/readyz")).status_code == 200

    await eventually(check)


async def model(client: httpx2.AsyncClient, reference: str) -> dict[str, Any]:
    answer = await client.get(f"/api/models/{reference}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def models(client: httpx2.AsyncClient, **query: str | int) -> list[dict[str, Any]]:
    answer = await client.get("/api/models", params=query)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["items"]
    return found


async def names(client: httpx2.AsyncClient, **query: str | int) -> list[str]:
    return [item["name"] for item in await models(client, **query)]


async def registered(events: EventLog, experiment: ExperimentCompleted) -> ModelRegistered:
    """Publish an experiment and wait for its model."""
    await events.publish(experiment)
    return await events.wait_for(ModelRegistered, lambda event: event.experiment_id == experiment.experiment_id)


def scored(
    model_id: UUID, model_name: str, dataset_id: UUID | None, dataset_name: str, **metrics: float
) -> EvaluationCompleted:
    return EvaluationCompleted(
        evaluation_id=new_id(),
        model_id=model_id,
        model_name=model_name,
        dataset_id=dataset_id or new_id(),
        dataset_name=dataset_name,
        rows=1200,
        metrics=metrics,
    )


async def test_the_builtin_model_is_registered_once(
    client: httpx2.AsyncClient, events: EventLog, objects: ObjectStore
) -> None:
    nano = await model(client, "nano-v1")
    assert (nano["kind"], nano["version"], nano["is_latest"], nano["base_model"]) == ("base", 1, True, None)
    assert nano["architecture"]["architectures"] == ["LlamaForCausalLM"]
    assert nano["architecture"]["num_hidden_layers"] == 5
    announced = await events.wait_for(ModelRegistered)
    assert (str(announced.model_id), announced.name, announced.kind) == (nano["id"], "nano-v1", "base")
    files = await manifest.verify(objects, announced.artifact_prefix, announced.manifest_sha256)
    assert files == build_manifest(packaged_models() / "nano-v1")
    assert files.size_bytes == announced.size_bytes == nano["size_bytes"]


async def test_registries_that_start_together_register_the_builtin_model_once(
    settings: RegistrySettings, principal_keys: Path, events: EventLog, artifact: Artifact
) -> None:
    async with AsyncExitStack() as stack:
        apps = [running(create_app(settings), principal_keys) for _ in range(3)]
        clients = await asyncio.gather(*(stack.enter_async_context(app) for app in apps))
        await asyncio.gather(*(ready(client) for client in clients))
        listed = [await models(client) for client in clients]
        assert [[item["name"] for item in items] for items in listed] == [["nano-v1"]] * 3
        # Outboxes are published in order, so a second announcement would lie before this one.
        await registered(events, artifact.experiment(UUID(listed[0][0]["id"])))
    assert [event.name for event in await events.all(ModelRegistered)] == ["nano-v1", "commands-v1"]


async def test_a_restarted_registry_registers_nothing_again(
    settings: RegistrySettings, principal_keys: Path, events: EventLog, artifact: Artifact
) -> None:
    async with running(create_app(settings), principal_keys) as client:
        await ready(client)
        before = await models(client)
        await events.wait_for(ModelRegistered)
    async with running(create_app(settings), principal_keys) as client:
        await ready(client)
        assert await models(client) == before
        await registered(events, artifact.experiment(UUID(before[0]["id"])))
    assert [event.name for event in await events.all(ModelRegistered)] == ["nano-v1", "commands-v1"]


async def test_the_registry_is_not_ready_before_the_builtin_models_are_registered(
    settings: RegistrySettings, principal_keys: Path, tmp_path: Path
) -> None:
    later = tmp_path / "later"
    async with running(create_app(settings.model_copy(update={"builtin_dir": later})), principal_keys) as client:
        answer = await client.get("/readyz")
        assert (answer.status_code, "builtins" in answer.json()["problems"]) == (503, True)
        assert await models(client) == []
        shutil.copytree(packaged_models(), tmp_path / "copy")
        (tmp_path / "copy").rename(later)
        await ready(client)
        assert await names(client) == ["nano-v1"]


async def test_a_completed_experiment_becomes_a_model(
    client: httpx2.AsyncClient, base_id: UUID, events: EventLog, artifact: Artifact
) -> None:
    experiment = artifact.experiment(base_id)
    announced = await registered(events, experiment)
    made = await model(client, "commands-v1")
    assert (made["id"], made["kind"], made["version"]) == (str(announced.model_id), "fine_tuned", 1)
    assert made["base_model"] == {"id": str(base_id), "name": "nano-v1", "sha256": None}
    assert made["training_dataset"] == {
        "id": str(experiment.training_dataset_id),
        "name": "orders-v1",
        "sha256": TRAINING_SHA256,
    }
    assert (made["experiment_id"], made["run_id"]) == (str(experiment.experiment_id), str(experiment.run_id))
    assert (made["run_name"], made["goal"], made["method"]) == ("Commands, small", "Turn commands into JSON.", "lora")
    assert (made["train_loss"], made["eval_loss"], made["steps"], made["duration_s"]) == (0.75, 0.875, 60, 12.5)
    assert made["config"] == experiment.config
    assert made["architecture"] == (await model(client, "nano-v1"))["architecture"]
    told = experiment.model_dump(
        include={
            "experiment_id",
            "run_id",
            "base_model_id",
            "training_dataset_id",
            "evaluation_dataset_id",
            "evaluation_dataset_name",
            "evaluation_dataset_key",
            "evaluation_dataset_sha256",
            "evaluation_row_format",
            "evaluation_mapping",
            "artifact_prefix",
            "manifest_key",
            "manifest_sha256",
            "size_bytes",
            "parameter_count",
        }
    )
    assert announced.model_dump(include=set(told)) == told
    assert (announced.name, announced.family, announced.version) == ("commands-v1", "commands", 1)


@pytest.mark.parametrize("same_id", [True, False])
async def test_an_event_that_comes_twice_makes_one_model(
    client: httpx2.AsyncClient, base_id: UUID, events: EventLog, artifact: Artifact, settled: Settled, same_id: bool
) -> None:
    experiment, event_id = artifact.experiment(base_id), new_id()
    await events.publish(experiment, event_id=event_id)
    await events.publish(experiment, event_id=event_id if same_id else new_id())
    await settled(ExperimentCompleted)
    assert await names(client, kind="fine_tuned") == ["commands-v1"]
    await registered(events, artifact.experiment(base_id))
    assert [event.name for event in await events.all(ModelRegistered)] == ["nano-v1", "commands-v1", "commands-v2"]


async def test_versions_are_gapless_under_concurrency(
    client: httpx2.AsyncClient,
    settings: RegistrySettings,
    principal_keys: Path,
    base_id: UUID,
    events: EventLog,
    artifact: Artifact,
    settled: Settled,
) -> None:
    experiments = [artifact.experiment(base_id) for _ in range(20)]
    async with running(create_app(settings), principal_keys) as second:
        await ready(second)
        # Five of them are told twice, under different event ids.
        await asyncio.gather(*(events.publish(experiment) for experiment in experiments + experiments[:5]))
        await settled(ExperimentCompleted)
        made = await models(second, family="commands")
        assert sorted(item["version"] for item in made) == list(range(1, 21))
        assert {item["name"] for item in made} == {f"commands-v{version}" for version in range(1, 21)}
        assert {item["experiment_id"] for item in made} == {str(each.experiment_id) for each in experiments}
        assert [item["version"] for item in made if item["is_latest"]] == [20]
        await events.wait_for(ModelRegistered, lambda event: event.version == 20)

        async def announced() -> bool:
            return len(await events.all(ModelRegistered)) >= 21

        await eventually(announced)
    told = [event.version for event in await events.all(ModelRegistered) if event.kind == "fine_tuned"]
    assert sorted(told) == list(range(1, 21))
    assert (await client.get("/api/models/commands")).json()["name"] == "commands-v20"


async def test_a_model_waits_for_its_base_model(
    settings: RegistrySettings,
    service_database: Databases,
    principal_keys: Path,
    events: EventLog,
    artifact: Artifact,
    settled: Settled,
    delivered: Settled,
    tmp_path: Path,
) -> None:
    elsewhere = settings.model_copy(update={"database_name": await service_database("registry")})
    async with running(create_app(elsewhere), principal_keys) as client:
        await ready(client)
        nano = await model(client, "nano-v1")
    (tmp_path / "none").mkdir()
    bare = settings.model_copy(update={"builtin_dir": tmp_path / "none"})
    async with running(create_app(bare), principal_keys) as client:
        await ready(client)
        child = artifact.experiment(UUID(nano["id"]))
        await events.publish(child)
        await delivered(ExperimentCompleted)
        assert await models(client) == []
        async with running(create_app(settings), principal_keys):
            await settled(ExperimentCompleted)
        base, made = await model(client, "nano-v1"), await model(client, "commands-v1")
        assert (base["id"], base["artifact_prefix"]) == (nano["id"], nano["artifact_prefix"])
        assert (made["experiment_id"], made["base_model"]["id"]) == (str(child.experiment_id), nano["id"])
        assert await names(client) == ["commands-v1", "nano-v1"]


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
    }
    assert {(edge["source"], edge["relation"], edge["target"]) for edge in graph["edges"]} == {
        (training, "trains", run),
        (str(base_id), "starts", run),
        (run, "runs as", str(experiment.experiment_id)),
        (str(experiment.experiment_id), "makes", str(made.model_id)),
        (str(made.model_id), "is measured by", str(score.evaluation_id)),
        (str(score.dataset_id), "measures", str(score.evaluation_id)),
    }
    assert len(graph["nodes"]) == 7
    lines = (await client.get("/api/models/commands-v1/lineage?format=mermaid")).text.splitlines()
    assert lines[0] == "flowchart LR"
    assert sum("-->" in line for line in lines) == 6
    assert any('["run<br>Commands#44; small"]' in line for line in lines)


async def test_the_lineage_of_a_base_model_is_itself(client: httpx2.AsyncClient, base_id: UUID) -> None:
    graph = (await client.get("/api/models/nano/lineage")).json()
    assert graph == {"nodes": [{"id": str(base_id), "type": "model", "name": "nano-v1"}], "edges": []}


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
