"""The supervisor: does a trainer's input and output, and watches over the child that trains."""

import asyncio
import shutil
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog
from pydantic import ValidationError

from slm_shared.delivery.broker import Broker
from slm_shared.errors import UnavailableError
from slm_shared.jobs.child import Child
from slm_shared.jobs.client import JobFailedError, Lease, LeaseClient, LeaseLostError
from slm_shared.jobs.supervisor import Transfers, Watch, hear, report_of
from slm_shared.storage.manifest import MANIFEST_NAME
from slm_shared.storage.objects import ObjectStore
from slm_training.schemas.leases import Choices, Completion, PlanReport, RunLease
from slm_training.worker.job import TrainingJob, TrainingResult
from slm_training.worker.settings import TrainerSettings
from slm_training.worker.supervisor.checkpoint_uploads import CheckpointUploads
from slm_training.worker.supervisor.inputs import Inputs
from slm_training.worker.supervisor.process_group import start_group
from slm_training.worker.supervisor.telemetry import SPOOL, Telemetry, prune, replay
from slm_training.worker.supervisor.warm_child import WarmChild

log = structlog.get_logger()

PROGRESS_SERIES = ("total_steps", "eta_s")
MEMORY_HINT = "Try a smaller batch_size or max_length."


class TrainerWork:
    """What a trainer does with a lease: fetch, train, store, read back."""

    def __init__(
        self, settings: TrainerSettings, *, store: ObjectStore, broker: Broker, leases: LeaseClient[RunLease]
    ) -> None:
        self._settings = settings
        self._store = store
        self._broker = broker
        self._leases = leases
        self._transfers = Transfers(store, within_s=settings.no_contact_s)
        self._watch = Watch("training", settings.stall_timeout_s, MEMORY_HINT, "system")
        self._child: Child | None = None
        self._drained = asyncio.Event()
        self._replaying: asyncio.Task[None] | None = None
        self._inputs = Inputs(store, settings)
        self._warm = WarmChild(settings.work_dir, timeout_s=settings.warm_timeout_s, cluster=settings.cluster)
        self._jobs = settings.work_dir.absolute() / "jobs"

    async def ready(self) -> None:
        """Return once a child has its imports behind it."""
        if self._replaying is None:
            self._replaying = asyncio.create_task(replay(self._broker, self._jobs))
        await self._warm.ready()
        self._leases.claim_facts = {"capabilities": self._warm.facts} if self._warm.facts else {}

    async def drain(self) -> None:
        """Have the training stop at a checkpoint; returns when that is stored and known to the service."""
        if self._child is not None:
            await self._child.send({"drain": True})
            await self._drained.wait()

    async def close(self) -> None:
        """Stop the warm child."""
        if self._replaying is not None:
            self._replaying.cancel()
            await asyncio.wait([self._replaying])
        await self._warm.close()

    async def run(self, lease: Lease[RunLease]) -> Completion | PlanReport:
        """Train one run and store its artifact. Raises JobFailedError."""
        run = lease.grant
        folder = self._jobs / f"{run.run_id}-e{run.epoch}"
        if run.purpose == "plan":
            return await self._plan(run, folder, lease)
        begun = asyncio.get_running_loop().time()
        prune(self._jobs, keep=self._settings.kept_jobs)
        spool = folder / SPOOL
        checkpoints = CheckpointUploads(
            self._store, self._leases, lease=lease, no_contact_s=self._settings.no_contact_s
        )
        async with Telemetry(self._broker, experiment_id=run.experiment_id, epoch=run.epoch, spool=spool) as telemetry:
            try:
                job = await self._transfers.fetch(lambda: self._inputs.fetch(run, folder, checkpoints))
                result = await self._train(job, lease, Outputs(telemetry, checkpoints))
                stored = await self._transfers.upload(job.output_folder, run.artifact_prefix)
            except JobFailedError:
                await telemetry.publish_remaining()
                raise
            finally:
                await checkpoints.close()
            await telemetry.publish_remaining()
        facts = {
            "epoch": run.epoch,
            "manifest_key": f"{run.artifact_prefix}/{MANIFEST_NAME}",
            "manifest_sha256": stored.sha256,
            "size_bytes": stored.size_bytes,
            "duration_s": round(asyncio.get_running_loop().time() - begun, 3),
        }
        return report_of(Completion, facts | result.model_dump())

    async def _plan(self, run: RunLease, folder: Path, lease: Lease[RunLease]) -> PlanReport:
        """Measure what a training would take. Raises JobFailedError for one that could not work."""
        checkpoints = CheckpointUploads(self._store, self._leases, lease=lease, no_contact_s=0)
        await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
        child = await self._warm.take()
        try:
            job = await self._transfers.fetch(lambda: self._inputs.fetch(run, folder, checkpoints))
            await child.send({"job": job.model_dump(mode="json")})
            message = await hear(child, self._watch)
        except BaseException:
            await child.stop(grace_s=0)
            self._warm.start()
            raise
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        await self._warm.give_back(child)
        return report_of(PlanReport, {"epoch": run.epoch, "report": message["report"]})

    async def _train(self, job: TrainingJob, lease: Lease[RunLease], outputs: "Outputs") -> TrainingResult:
        child = await self._start(job)
        self._drained.clear()
        try:
            self._child = child
            return await self._follow(child, lease, outputs)
        finally:
            self._child = None
            # Whatever it still does, nobody wants to have it.
            await child.stop(grace_s=0)
            self._warm.start()

    async def _start(self, job: TrainingJob) -> Child:
        """The child that does a job: the warm one, or a group of fresh ones on this machine."""
        if job.run.config.num_processes > 1 and self._settings.cluster is None:
            log_path = job.output_folder.with_name("processes.log")
            return await start_group(job, self._settings.work_dir.absolute(), log_path=log_path)
        child = await self._warm.take()
        await child.send({"job": job.model_dump(mode="json")})
        return child

    async def _follow(self, child: Child, lease: Lease[RunLease], outputs: "Outputs") -> TrainingResult:
        """Pass on what the child says until its result. Raises JobFailedError for every other end."""
        while True:
            message = await hear(child, self._watch)
            if message["kind"] == "result":
                return TrainingResult.model_validate(message["result"])
            if message["kind"] == "drained":
                await self._wait_to_be_cancelled(outputs)
            elif message["kind"] == "checkpoint":
                outputs.checkpoints.offer(message["step"], Path(message["folder"]), metrics=message["metrics"])
            elif message["kind"] == "chosen":
                await self._tell_choices(lease, message["choices"])
            else:
                _pass_on(message, lease, outputs.telemetry)

    async def _tell_choices(self, lease: Lease[RunLease], choices: dict[str, Any]) -> None:
        """Have the service keep what the trainer settled; a run does not fail for want of it."""
        try:
            await self._leases.tell(lease, "choose", Choices(epoch=lease.epoch, choices=choices))
        except (LeaseLostError, UnavailableError, ValidationError) as error:
            log.warning("choices.not_kept", key=lease.key, error=type(error).__name__)

    async def _wait_to_be_cancelled(self, outputs: "Outputs") -> None:
        """The child stopped because we asked: once its checkpoint is stored, whoever asked may cancel the job."""
        await outputs.checkpoints.settle()
        await outputs.telemetry.publish_remaining()
        self._drained.set()
        await asyncio.get_running_loop().create_future()


@dataclass(frozen=True)
class Outputs:
    """What receives the messages of the child."""

    telemetry: Telemetry
    checkpoints: CheckpointUploads


def _pass_on(message: dict[str, Any], lease: Lease[RunLease], telemetry: Telemetry) -> None:
    time = datetime.fromisoformat(message["time"])
    if message["kind"] == "log":
        telemetry.line(message["message"], level=message["level"], time=time)
        return
    lease.step = message["step"]
    if message["kind"] == "metric":
        telemetry.points(message["step"], message["values"], time=time)
    else:
        telemetry.points(message["step"], {name: message[name] for name in PROGRESS_SERIES}, time=time)
