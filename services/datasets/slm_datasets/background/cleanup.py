"""Removes what nobody can reach any more: files of deleted datasets, and uploads that were never completed."""

import asyncio
from collections.abc import Sequence

import structlog

from slm_datasets.settings import DatasetsSettings
from slm_datasets.store import datasets, uploads, uses
from slm_datasets.tables import DatasetRow, UploadRow
from slm_shared.errors import UnavailableError
from slm_shared.storage.database import Database
from slm_shared.storage.multipart import ObjectParts
from slm_shared.storage.objects import ObjectStore

log = structlog.get_logger()
BATCH = 50


class Sweeper:
    """The second phase of deleting. It waits a while after the first, so that a run that was launched in the same
    moment is known of: its dataset is kept until the run has ended."""

    name = "sweeper"

    def __init__(self, database: Database, objects: ObjectStore, settings: DatasetsSettings) -> None:
        self._database, self._objects, self._settings = database, objects, settings

    def problem(self) -> str | None:
        """Nothing depends on the sweeper at any one moment."""
        return None

    async def run(self) -> None:
        """Sweep until cancelled."""
        while True:
            try:
                await self.sweep()
            except UnavailableError as error:
                log.warning("sweeper.unavailable", why=error.message)
            await asyncio.sleep(self._settings.sweep_every_s)

    async def sweep(self) -> int:
        """Remove what is due now; returns how many datasets and uploads that was. Raises UnavailableError."""
        return await self._sweep_datasets() + await self._sweep_uploads()

    async def _sweep_datasets(self) -> int:
        async with self._database.read() as session:
            due: Sequence[DatasetRow] = await datasets.to_sweep(
                session, after_s=self._settings.sweep_after_s, limit=BATCH
            )
            free = [row for row in due if not await uses.runs_that_need(session, row.id)]
        for row in free:
            await self._objects.remove_prefix(f"datasets/{row.id}/")
            async with self._database.transaction() as session:
                await datasets.mark_swept(session, row.id)
            log.info("dataset.swept", dataset_id=str(row.id))
        return len(free)

    async def _sweep_uploads(self) -> int:
        async with self._database.transaction() as session:
            due: Sequence[UploadRow] = await uploads.expire(session, limit=BATCH)
        for row in due:
            await ObjectParts(self._objects).abort(uploads.key_of(row), row.multipart_id)
            await self._objects.remove(uploads.key_of(row))
            log.info("upload.expired", upload_id=str(row.id))
        return len(due)
