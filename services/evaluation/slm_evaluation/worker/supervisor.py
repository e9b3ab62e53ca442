"""The supervisor: does an evaluation's input and output, and watches over the child that measures."""

import asyncio
import contextlib
import shutil
from pathlib import Path
from typing import Any

from slm_evaluation.schemas.leases import Completion, EvaluationLease
from slm_evaluation.worker.job import EvaluationJob
from slm_evaluation.worker.settings import EvaluatorSettings
from slm_shared.jobs.child import RUN_MODULE, Child, model_environment
from slm_shared.jobs.client import JobFailedError, Lease
from slm_shared.jobs.supervisor import Transfers, Watch, hear, report_of
from slm_shared.storage import manifest
from slm_shared.storage.ids import new_id
from slm_shared.storage.manifest import ArtifactMismatchError
from slm_shared.storage.objects import ObjectStore
from slm_shared.storage.signing import verifier_for

CHILD = (*RUN_MODULE, "slm_evaluation.worker.child")


class EvaluatorWork:
    """What an evaluation worker does with a lease. Its child starts with the first job and ends when idle."""

    def __init__(self, settings: EvaluatorSettings, *, store: ObjectStore) -> None:
        self._settings = settings
        self._store = store
        self._transfers = Transfers(store, within_s=settings.no_contact_s)
        self._watch = Watch("evaluation", settings.stall_timeout_s)
        self._verifier = verifier_for(settings.platform.principal_keys)
        self._folder = settings.work_dir.absolute()
        self._child: Child | None = None
        self._idle: asyncio.Task[None] | None = None

    async def ready(self) -> None:
        """Return at once: the child starts with the first job."""

    async def drain(self) -> None:
        """Return at once: an evaluation is short, so the next attempt starts over."""

    async def close(self) -> None:
        """Stop the child."""
        if self._idle is not None:
            self._idle.cancel()
        await self._end_child()

    async def run(self, lease: Lease[EvaluationLease]) -> Completion:
        """Measure one model on one dataset. Raises JobFailedError."""
        task = lease.grant
        folder = self._folder / "jobs" / f"{task.evaluation_id}-e{task.epoch}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            job = await self._transfers.fetch(lambda: self._fetch(task, folder))
            measured = {"epoch": task.epoch, **await self._measure(job, lease)}
            if task.settings.suite is None:
                measured["predictions_key"] = await self._store_predictions(job)
            return report_of(Completion, measured)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    async def _store_predictions(self, job: EvaluationJob) -> str:
        """Store the predictions and, before them, their index; the key of the predictions."""
        prefix = job.lease.predictions_prefix
        key, index = f"{prefix}/predictions.jsonl", f"{prefix}/index.json"
        await self._transfers.persist(lambda: self._store.put_file(index, job.index), what="predictions")
        await self._transfers.persist(lambda: self._store.put_file(key, job.predictions), what="predictions")
        return key

    async def _fetch(self, task: EvaluationLease, folder: Path) -> EvaluationJob:
        if self._verifier is not None and task.model.signature is not None:
            facts = (task.model.id, task.model.name, task.model.manifest_sha256)
            self._verifier.verify(task.model.signature, *facts)
        model, rows = folder / "model", folder / "rows.parquet"
        await manifest.fetch(self._store, task.model.artifact_prefix, task.model.manifest_sha256, model)
        await self._store.download(task.dataset.object_key, rows)
        if await asyncio.to_thread(manifest.file_sha256, rows) != task.dataset.sha256:
            raise ArtifactMismatchError(f"The stored rows of {task.dataset.name} are not the processed ones.")
        written = {"predictions": folder / "predictions.jsonl", "index": folder / "index.json"}
        return EvaluationJob(lease=task, model_folder=model, rows=rows, **written)

    async def _measure(self, job: EvaluationJob, lease: Lease[EvaluationLease]) -> dict[str, Any]:
        child = await self._take_child()
        usable = False
        try:
            await child.send({"job": job.model_dump(mode="json")})
            result = await self._follow(child, lease)
            usable = True
            return result
        except JobFailedError as error:
            # It said so itself, and waits for the next job.
            usable = error.blame == "user"
            raise
        finally:
            if not usable:
                await child.stop(grace_s=0)
                self._child = None
            self._idle = asyncio.create_task(self._end_when_idle())

    async def _follow(self, child: Child, lease: Lease[EvaluationLease]) -> dict[str, Any]:
        """Note the progress until the child has its result. Raises JobFailedError for every other end."""
        while True:
            message = await hear(child, self._watch)
            if message["kind"] == "result":
                result: dict[str, Any] = message["result"]
                return result
            if message["kind"] == "progress":
                lease.step, lease.total = message["rows"], message["total"]

    async def _take_child(self) -> Child:
        if self._idle is not None:
            self._idle.cancel()
        if self._child is not None and self._child.exit_code is None:
            return self._child
        environment = model_environment(self._folder)
        logs = self._folder / "logs"
        shutil.rmtree(logs, ignore_errors=True)
        self._child = await Child.start(CHILD, env=environment, log_path=logs / f"{new_id()}.log")
        return self._child

    async def _end_when_idle(self) -> None:
        await asyncio.sleep(self._settings.idle_s)
        await self._end_child()

    async def _end_child(self) -> None:
        child, self._child = self._child, None
        if child is not None:
            with contextlib.suppress(ProcessLookupError):
                await child.stop(grace_s=0)
