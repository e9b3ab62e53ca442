"""What a job needs on this machine: the base model from a verified cache, the datasets from the object store."""

import asyncio
import shutil
from pathlib import Path

import structlog

from slm_shared.references import DatasetRef, ModelRef
from slm_shared.storage import manifest
from slm_shared.storage.ids import new_id
from slm_shared.storage.manifest import ArtifactMismatchError
from slm_shared.storage.objects import ObjectStore
from slm_training.schemas.leases import RunLease
from slm_training.worker.job import LocalDataset, TrainingJob
from slm_training.worker.settings import TrainerSettings
from slm_training.worker.supervisor.checkpoint_uploads import CheckpointUploads

log = structlog.get_logger()


class Inputs:
    """Fetches what a lease names; base models are kept by the hash of their manifest."""

    def __init__(self, store: ObjectStore, settings: TrainerSettings) -> None:
        self._store = store
        self._settings = settings
        self._cache = settings.work_dir.absolute() / "base-models"
        self._verified: set[str] = set()

    async def fetch(self, run: RunLease, folder: Path, checkpoints: CheckpointUploads) -> TrainingJob:
        """Download everything side by side into `folder` (absolute, exists) and describe the job.

        Raises UnavailableError, ObjectMissingError, and ArtifactMismatchError when something is not what was announced.
        """
        base, training, evaluation, resumable = await asyncio.gather(
            self._base_model(run.base_model),
            self._dataset(run.training_dataset, folder / "training.parquet"),
            self._dataset(run.evaluation_dataset, folder / "evaluation.parquet"),
            checkpoints.fetch_newest(folder),
        )
        assert training is not None
        return TrainingJob(
            run=run,
            base_folder=base,
            training=training,
            evaluation=evaluation,
            output_folder=folder / "result",
            scratch_folder=folder / "scratch",
            threads=self._settings.threads,
            checkpoint_s=self._settings.checkpoint_s,
            resume_folder=resumable.folder if resumable else None,
            resume_step=resumable.step if resumable else 0,
        )

    async def _base_model(self, base: ModelRef) -> Path:
        folder = self._cache / base.manifest_sha256
        if not await asyncio.to_thread(self._is_intact, folder, base.manifest_sha256):
            partial = folder.with_name(f"{base.manifest_sha256}.{new_id()}")
            shutil.rmtree(folder, ignore_errors=True)
            try:
                partial.mkdir(parents=True)
                await manifest.fetch(self._store, base.artifact_prefix, base.manifest_sha256, partial)
                # Only a complete model ever carries the final name.
                partial.rename(folder)
            finally:
                shutil.rmtree(partial, ignore_errors=True)
        self._verified.add(base.manifest_sha256)
        return folder

    def _is_intact(self, folder: Path, manifest_sha256: str) -> bool:
        """Whether the cached files still are what the manifest says; read once in the life of this process."""
        if not folder.is_dir():
            return False
        if manifest_sha256 in self._verified:
            return True
        found = manifest.build_manifest(folder)
        if found.sha256 != manifest_sha256:
            log.warning("trainer.cached_base_damaged", manifest_sha256=manifest_sha256)
        return found.sha256 == manifest_sha256

    async def _dataset(self, dataset: DatasetRef | None, path: Path) -> LocalDataset | None:
        if dataset is None:
            return None
        await self._store.download(dataset.object_key, path)
        if await asyncio.to_thread(manifest.file_sha256, path) != dataset.sha256:
            raise ArtifactMismatchError(f"The stored rows of {dataset.name} are not the ones that were processed.")
        return LocalDataset(source=dataset, path=path)
