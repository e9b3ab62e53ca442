"""Uploads of checkpoints: from a child's disk to the object store and the service, and back into the next attempt."""

import asyncio
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from slm_shared.errors import PlatformError, UnavailableError
from slm_shared.jobs.client import Lease, LeaseClient, LeaseLostError, NoContactError, persist
from slm_shared.storage import manifest
from slm_shared.storage.manifest import ArtifactMismatchError
from slm_shared.storage.objects import ObjectMissingError, ObjectStore
from slm_training.schemas.leases import Checkpoint, CheckpointAnswer, Resumption, RunLease

log = structlog.get_logger()


@dataclass(frozen=True)
class Resumable:
    """A checkpoint that was fetched and verified."""

    step: int
    folder: Path


class CheckpointUploads:
    """Uploads the checkpoints of one attempt, in the background so that the training never waits.

    While one is being stored only the newest of the others is kept; older ones are dropped.
    """

    def __init__(
        self, store: ObjectStore, leases: LeaseClient[RunLease], *, lease: Lease[RunLease], no_contact_s: float
    ) -> None:
        self._store = store
        self._leases = leases
        self._lease = lease
        self._run = lease.grant
        self._no_contact_s = no_contact_s
        self._waiting: tuple[int, Path, Mapping[str, Any]] | None = None
        self._storing: asyncio.Task[None] | None = None

    async def fetch_newest(self, folder: Path) -> Resumable | None:
        """The newest checkpoint that is what its manifest says, or None. Raises UnavailableError."""
        for checkpoint in self._run.checkpoints:
            target = folder / f"resume-{checkpoint.step:08d}"
            shutil.rmtree(target, ignore_errors=True)
            try:
                await manifest.fetch(self._store, checkpoint.prefix, checkpoint.manifest_sha256, target)
            except (ArtifactMismatchError, ObjectMissingError) as error:
                log.warning("checkpoint.damaged", key=self._lease.key, step=checkpoint.step, why=error.message)
                continue
            await self._leases.tell(self._lease, "resume", Resumption(epoch=self._lease.epoch, step=checkpoint.step))
            return Resumable(checkpoint.step, target)
        return None

    def offer(self, step: int, folder: Path, *, metrics: Mapping[str, Any]) -> None:
        """Take over a checkpoint in `folder`: upload it, then remove the folder."""
        if self._waiting is not None:
            shutil.rmtree(self._waiting[1], ignore_errors=True)
        self._waiting = (step, folder, metrics)
        if self._storing is None or self._storing.done():
            self._storing = asyncio.create_task(self._store_waiting())

    async def settle(self) -> None:
        """Wait until everything that was offered is stored, or could not be."""
        if self._storing is not None:
            await asyncio.wait([self._storing])

    async def close(self) -> None:
        """Store nothing more."""
        if self._storing is not None:
            self._storing.cancel()
            await asyncio.wait([self._storing])

    async def _store_waiting(self) -> None:
        while self._waiting is not None:
            (step, folder, metrics), self._waiting = self._waiting, None
            store = partial(self._store_one, step, folder, metrics)
            try:
                await persist(store, within_s=self._no_contact_s, what="checkpoint")
            except (LeaseLostError, NoContactError, PlatformError) as error:
                # The training goes on; at worst a later attempt repeats more steps.
                log.warning("checkpoint.not_stored", key=self._lease.key, step=step, error=type(error).__name__)
            finally:
                shutil.rmtree(folder, ignore_errors=True)

    async def _store_one(self, step: int, folder: Path, metrics: Mapping[str, Any]) -> None:
        prefix = f"{self._run.checkpoint_prefix}/{step:08d}"
        stored = await manifest.upload(self._store, folder, prefix)
        report = Checkpoint(
            epoch=self._lease.epoch,
            step=step,
            manifest_sha256=stored.sha256,
            size_bytes=stored.size_bytes,
            metrics=dict(metrics),
        )
        answer = await self._leases.tell(self._lease, "checkpoint", report)
        log.info("checkpoint.stored", key=self._lease.key, step=step, size_bytes=stored.size_bytes)
        for obsolete in CheckpointAnswer.model_validate(answer).obsolete if answer else []:
            try:
                await self._store.remove_prefix(obsolete)
            except UnavailableError:
                # The cleanup of the service finds it later.
                log.info("checkpoint.not_removed", prefix=obsolete)
