"""What tests of the registry share: a small model in the object store, and questions to the service."""

import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx2
from nats.js import JetStreamContext
from nats.js.api import ConsumerInfo, SequenceInfo

from slm_shared.events.catalogue import EvaluationCompleted, Event, ExperimentCompleted, ModelRegistered
from slm_shared.events.topology import EVENTS, durable_name
from slm_shared.storage.ids import new_id
from slm_shared.storage.manifest import Manifest
from slm_shared.storage.objects import CHUNK_BYTES
from slm_testing.events import EventLog
from slm_testing.waiting import eventually

CONTENT = {
    "config.json": b'{"model_type": "llama"}\n',
    "model.safetensors": random.Random(1).randbytes(2 * CHUNK_BYTES + 1000),
    "tokenizer/tokenizer.json": b"{}\n",
}
TRAINING_SHA256, EVALUATION_SHA256 = "a" * 64, "b" * 64
DONE = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)

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
