"""A lease service that tests steer, and a trainer's inputs in the real object store."""

import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from hashlib import sha256
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from typing import Any

import polars
import pytest

from slm_shared.settings import PlatformSettings
from slm_shared.storage import manifest
from slm_shared.storage.ids import new_id
from slm_shared.storage.objects import ObjectStore
from slm_testing.apps import serving
from tests.support.lease_service import LeaseService

NANO = Path(str(files("slm_ml"))) / "builtin" / "nano-v1"
CONFIG: dict[str, Any] = {
    "method": "full",
    "epochs": 1,
    "learning_rate": 2e-3,
    "batch_size": 8,
    "max_length": 128,
    "seed": 42,
    "warmup_ratio": 0.05,
    "weight_decay": 0.0,
    "lora_rank": 4,
    "lora_alpha": 8,
}


def command_rows(count: int, *, seed: int = 1) -> list[dict[str, str]]:
    """Plain-language commands and their JSON."""
    chance = random.Random(seed)
    rows = []
    for _ in range(count):
        device, room = chance.choice(["light", "fan", "heater"]), chance.choice(["kitchen", "hall", "office"])
        completion = json.dumps({"device": device, "room": room})
        rows.append({"prompt": f"turn on the {device} in the {room}", "completion": completion})
    return rows


@pytest.fixture
async def lease_service(platform_settings: PlatformSettings) -> AsyncIterator[tuple[LeaseService, PlatformSettings]]:
    """The service, and platform settings that lead to it with a worker's key."""
    service = LeaseService()
    async with serving(service.app()) as url:
        assert platform_settings.principal_keys is not None
        key = platform_settings.principal_keys.parent / "worker.json"
        yield service, platform_settings.model_copy(update={"training_url": url, "signing_key": key})


@pytest.fixture
async def store(platform_settings: PlatformSettings) -> ObjectStore:
    """The real object store."""
    return ObjectStore(platform_settings)


@pytest.fixture
async def make_lease(store: ObjectStore) -> Callable[..., Awaitable[dict[str, Any]]]:
    """`await make_lease(rows=64, epochs=2)`: a lease whose base model and datasets lie in the store."""

    async def make(*, rows: int = 64, heartbeat_s: float = 0.3, **config: Any) -> dict[str, Any]:
        run_id, base_prefix = new_id(), f"models/{new_id()}"
        base = await manifest.upload(store, NANO, base_prefix)
        return {
            "run_id": str(run_id),
            "experiment_id": str(new_id()),
            "epoch": 1,
            "attempt": 1,
            "name": "commands",
            "family": "commands",
            "config": {**CONFIG, **config},
            "base_model": {
                "id": str(new_id()),
                "name": "nano-v1",
                "artifact_prefix": base_prefix,
                "manifest_key": f"{base_prefix}/manifest.json",
                "manifest_sha256": base.sha256,
            },
            "training_dataset": await _stored_dataset(store, command_rows(rows)),
            "evaluation_dataset": await _stored_dataset(store, command_rows(8, seed=2)),
            "artifact_prefix": f"runs/{run_id}/e1",
            "checkpoint_prefix": f"runs/{run_id}/checkpoints/e1",
            "checkpoints": [],
            "lease_ttl_s": 90,
            "heartbeat_s": heartbeat_s,
        }

    return make


async def _stored_dataset(store: ObjectStore, rows: list[dict[str, str]]) -> dict[str, Any]:
    dataset_id = new_id()
    buffer = BytesIO()
    polars.DataFrame(rows).write_parquet(buffer)
    key = f"datasets/{dataset_id}/canonical.parquet"
    await store.put_bytes(key, buffer.getvalue())
    return {
        "id": str(dataset_id),
        "name": "commands-v1",
        "object_key": key,
        "sha256": sha256(buffer.getvalue()).hexdigest(),
        "row_format": "prompt/completion",
        "mapping": {},
        "rows": len(rows),
    }
