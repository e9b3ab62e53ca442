"""What is registered: built-in models and what experiments made, once each."""

import asyncio
import shutil
from contextlib import AsyncExitStack
from pathlib import Path
from uuid import UUID

import httpx2
import pytest
from sqlalchemy import text

from slm_registry.app import create_app
from slm_registry.settings import RegistrySettings, packaged_models
from slm_shared.events.catalogue import ExperimentCompleted, ModelRegistered
from slm_shared.storage import manifest
from slm_shared.storage.database import Database
from slm_shared.storage.ids import new_id
from slm_shared.storage.manifest import build_manifest
from slm_shared.storage.objects import ObjectStore
from slm_testing.apps import running
from slm_testing.databases import MakeDatabase
from slm_testing.events import EventLog
from slm_testing.waiting import eventually
from tests.support.registry import (
    TRAINING_SHA256,
    Artifact,
    Settled,
    model,
    models,
    names,
    ready,
    registered,
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
    service_database: MakeDatabase,
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


async def test_references_stand_in_the_database_as_before_they_were_typed(
    client: httpx2.AsyncClient, base_id: UUID, events: EventLog, artifact: Artifact, settings: RegistrySettings
) -> None:
    experiment = artifact.experiment(base_id)
    made = await registered(events, experiment)
    database = Database(settings.database_url, answer_within_s=settings.platform.answer_within_s)
    async with database.read() as session:
        kept = text("SELECT base_model, training_dataset, evaluation_dataset FROM model WHERE id = :id")
        base, training, _ = (await session.execute(kept, {"id": made.model_id})).one()
    assert {"id": str(base_id), "name": "nano-v1"}.items() <= base.items()
    identity, sha256 = str(experiment.training_dataset_id), experiment.training_dataset_sha256
    assert training == {"id": identity, "name": "orders-v1", "sha256": sha256}
    async with database.transaction() as session:
        older = "UPDATE model SET base_model = base_model - 'sha256', evaluation_dataset = 'null' WHERE id = :id"
        await session.execute(text(older), {"id": made.model_id})
    found = await model(client, made.name)
    assert (found["base_model"]["sha256"], found["evaluation_dataset"]) == (None, None)
    await database.close()
