"""A training service with its neighbours, as its tests use it."""

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
from fastapi import FastAPI

from slm_shared.settings import PlatformSettings
from slm_shared.storage import manifest
from slm_shared.storage.ids import new_id
from slm_shared.storage.objects import ObjectStore
from slm_testing.waiting import eventually


@dataclass
class TrainingPlatform:
    """The services a run needs, each with a client that may do everything a user may."""

    settings: PlatformSettings
    app: FastAPI
    training: httpx2.AsyncClient
    datasets: httpx2.AsyncClient
    worker: httpx2.AsyncClient
    objects: ObjectStore

    async def dataset(self, name: str, *, rows: int = 8, wait: bool = True) -> dict[str, Any]:
        """Upload rows; give the dataset once it is processed."""
        text = io.StringIO()
        table = csv.writer(text)
        table.writerow(["prompt", "completion"])
        table.writerows([f"p{n}", f"c{n}"] for n in range(rows))
        answer = await self.datasets.post("/api/datasets", files={"file": (f"{name}.csv", text.getvalue().encode())})
        made: dict[str, Any] = answer.json()
        assert answer.status_code == 202, made
        return await self.processed(made["id"]) if wait else made

    async def processed(self, dataset_id: str) -> dict[str, Any]:
        """The dataset once it has ended processing."""

        async def check() -> dict[str, Any] | None:
            found: dict[str, Any] = (await self.datasets.get(f"/api/datasets/{dataset_id}")).json()
            return found if found["status"] != "in_progress" else None

        return await eventually(check)

    async def launch(self, *, key: str | None = None, **settings: Any) -> dict[str, Any]:
        """Launch a run on the dataset `rows-v1`."""
        body = {"name": "Commands", "training_dataset": "rows-v1", **settings}
        headers = {"Idempotency-Key": key} if key else {}
        answer = await self.training.post("/api/runs", json=body, headers=headers)
        assert answer.status_code == 202, answer.text
        run: dict[str, Any] = answer.json()
        return run

    async def claim(self, worker: str = "trainer-1", *, claim_id: str | None = None) -> dict[str, Any]:
        """Claim the next run."""
        body = {"worker": worker, "claim_id": claim_id or str(new_id())}
        answer = await self.worker.post("/api/leases:claim", json=body)
        assert answer.status_code == 200, answer.text
        lease: dict[str, Any] = answer.json()
        return lease

    async def tell(self, lease: dict[str, Any], verb: str, **body: Any) -> httpx2.Response:
        """Say something about a lease."""
        path = f"/api/leases/{lease['run_id']}:{verb}"
        return await self.worker.post(path, json={"epoch": lease["epoch"], **body})

    async def started(self, worker: str = "trainer-1") -> dict[str, Any]:
        """Claim the next run and begin it."""
        lease = await self.claim(worker)
        assert (await self.tell(lease, "start")).status_code == 204
        return lease

    async def stored(self, lease: dict[str, Any], folder: Path) -> dict[str, Any]:
        """Store an artifact under a lease; what `:complete` says about it."""
        write_artifact(folder, content=lease["run_id"])
        files = await manifest.upload(self.objects, folder, lease["artifact_prefix"])
        return {
            "manifest_key": f"{lease['artifact_prefix']}/manifest.json",
            "manifest_sha256": files.sha256,
            "size_bytes": files.size_bytes,
            "parameter_count": 10,
            "steps": 4,
            "train_loss": 1.5,
            "eval_loss": None,
            "duration_s": 2.0,
            "versions": {"torch": "2.13"},
        }

    async def run(self, run_id: str) -> dict[str, Any]:
        """A run as a user sees it."""
        found: dict[str, Any] = (await self.training.get(f"/api/runs/{run_id}")).json()
        return found

    async def experiment(self, run: dict[str, Any]) -> dict[str, Any]:
        """The experiment of a run as a user sees it."""
        found: dict[str, Any] = (await self.training.get(f"/api/experiments/{run['experiment_id']}")).json()
        return found


def write_artifact(folder: Path, *, content: str) -> None:
    """Files such as a training leaves."""
    folder.mkdir(exist_ok=True)
    (folder / "model.safetensors").write_text(content)
    (folder / "config.json").write_text("{}")
