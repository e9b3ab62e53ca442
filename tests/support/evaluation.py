"""The evaluation service with the stores around it, and a worker that really measures."""

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx2
import polars

from slm_evaluation.schemas.leases import EvaluationLease
from slm_evaluation.worker.settings import EvaluatorSettings
from slm_evaluation.worker.supervisor import EvaluatorWork
from slm_shared.events.catalogue import DatasetProcessed, ModelRegistered
from slm_shared.identity.principal import Principal, Role
from slm_shared.jobs.client import LeaseClient
from slm_shared.jobs.worker import Polling, Worker
from slm_shared.peers import Peer
from slm_shared.settings import PlatformSettings
from slm_shared.storage import manifest
from slm_shared.storage.ids import new_id
from slm_shared.storage.objects import ObjectStore
from slm_testing.events import EventLog
from slm_testing.waiting import eventually

NANO = Path(str(files("slm_ml"))) / "builtin" / "nano-v1"
WHOLE_S = 100.0

Rows = list[dict[str, str]]
Make = Callable[..., ModelRegistered]


@dataclass
class Site:
    """The running service, the stores around it, and where its workers keep their files."""

    user: httpx2.AsyncClient
    store: ObjectStore
    events: EventLog
    platform: PlatformSettings
    folder: Path
    base_model: Make
    tuned_model: Make
    handled: Callable[[], Awaitable[None]]

    async def store_model(self, folder: Path) -> dict[str, str]:
        """Store a model as an artifact of its own; the fields of its registration."""
        prefix = f"models/{new_id()}"
        stored = await manifest.upload(self.store, folder, prefix)
        return {
            "artifact_prefix": prefix,
            "manifest_key": f"{prefix}/{manifest.MANIFEST_NAME}",
            "manifest_sha256": stored.sha256,
        }

    async def queue(
        self, *datasets: Rows, row_format: str = "prompt/completion", folder: Path = NANO
    ) -> list[ModelRegistered]:
        """Register a base and one tuned model per dataset; two evaluations are queued for each. Gives the tuned."""
        base = self.base_model(**await self.store_model(folder))
        await self.events.publish(base)
        await self.handled()
        tuned = []
        for rows in datasets:
            buffer = BytesIO()
            polars.DataFrame(rows).write_parquet(buffer)
            model = self.tuned_model(
                base,
                **await self.store_model(folder),
                evaluation_dataset_sha256=sha256(buffer.getvalue()).hexdigest(),
                evaluation_row_format=row_format,
                evaluation_mapping={},
            )
            assert model.evaluation_dataset_key is not None
            await self.store.put_bytes(model.evaluation_dataset_key, buffer.getvalue())
            await self.events.publish(model)
            await self.handled()
            tuned.append(model)
        return tuned

    async def know_dataset(self, model: ModelRegistered) -> None:
        """Let the service hear of the rows that a tuned model is measured on, so that anything may be asked of them."""
        assert model.evaluation_dataset_id is not None
        dataset = DatasetProcessed(
            dataset_id=model.evaluation_dataset_id,
            name=f"rows-{model.evaluation_dataset_id}",
            family="rows",
            version=1,
            usage="evaluation",
            data_type="text",
            row_format=model.evaluation_row_format or "",
            columns=["prompt", "completion"],
            rows=1,
            size_bytes=10,
            sha256=model.evaluation_dataset_sha256 or "",
            object_key=model.evaluation_dataset_key or "",
        )
        await self.events.publish(dataset)
        body = {"model": model.name, "dataset": str(dataset.dataset_id), "suite": "unknown"}

        async def is_known() -> bool:
            # The suite is looked for once model and dataset are known.
            answer = await self.user.post("/api/evaluations", json=body)
            return bool(answer.json()["code"] == "suite_not_found")

        await eventually(is_known)

    async def evaluations(self) -> list[dict[str, Any]]:
        """Every evaluation, oldest first."""
        items: list[dict[str, Any]] = (await self.user.get("/api/evaluations?limit=100")).json()["items"]
        return items[::-1]

    async def ended(self) -> list[dict[str, Any]]:
        """Every evaluation, once all have come to their end."""

        async def check() -> list[dict[str, Any]] | None:
            found = await self.evaluations()
            return found if all(item["status"] in ("completed", "failed") for item in found) else None

        return await eventually(check, timeout_s=WHOLE_S)


class WarmWork(EvaluatorWork):
    """Keeps its child, which takes seconds to start, from one worker to the next; `end` ends it."""

    async def close(self) -> None:
        """Leave the child to the next worker."""

    async def end(self) -> None:
        """Stop the child."""
        await super().close()


def command_rows(count: int) -> Rows:
    """Plain-language commands and their JSON."""
    chance = random.Random(1)
    rows = []
    for number in range(count):
        device, room = chance.choice(["light", "fan", "heater"]), chance.choice(["kitchen", "hall", "office"])
        completion = json.dumps({"device": device, "room": room})
        rows.append({"prompt": f"{number}: turn on the {device} in the {room}", "completion": completion})
    return rows


@contextlib.asynccontextmanager
async def evaluator(
    site: Site, *, work: EvaluatorWork | None = None, **settings: Any
) -> AsyncIterator[tuple[Worker[EvaluationLease], asyncio.Task[None]]]:
    """A running worker, with a child of its own unless it is given some `work`."""
    chosen = EvaluatorSettings(work_dir=site.folder / "work", platform=site.platform, poll_s=0.2, **settings)
    peer = Peer(site.platform, service="evaluation", principal=Principal(chosen.name, Role.WORKER))
    leases = LeaseClient(
        peer, path="/api/evaluation-leases", grant=EvaluationLease, worker=chosen.name, pool=chosen.pool
    )
    work = work or EvaluatorWork(chosen, store=ObjectStore(site.platform))
    worker = Worker(chosen, leases=leases, work=work, wakeups=Polling(chosen.poll_s))
    task = asyncio.create_task(worker.run())
    try:
        yield worker, task
    finally:
        worker.stop()
        await task
        await peer.close()
