"""Cleanup: removes the files of deleted datasets, and ends uploads that were never completed."""

import asyncio
from collections.abc import Sequence

import structlog

from slm_datasets import store
from slm_datasets.domain.keys import raw_key
from slm_datasets.settings import DatasetsSettings
from slm_datasets.tables import DatasetRow, UploadRow
from slm_shared.errors import UnavailableError
from slm_shared.storage.database import Database
from slm_shared.storage.multipart import ObjectParts
from slm_shared.storage.objects import ObjectStore

log = structlog.get_logger()
BATCH = 50


class Cleanup:
    """The second phase of deleting. It waits a while after the first, so that a run that was launched in the same
    moment is known of: its dataset is kept until the run has ended."""

    name = "cleanup"

    def __init__(self, database: Database, objects: ObjectStore, settings: DatasetsSettings) -> None:
        self._database, self._objects, self._settings = database, objects, settings

    def problem(self) -> str | None:
        """Nothing depends on the cleanup at any one moment."""
        return None

    async def run(self) -> None:
        """Clean up until cancelled."""
        while True:
            try:
                await self.clean_up()
            except UnavailableError as error:
                log.warning("cleanup.unavailable", why=error.message)
            await asyncio.sleep(self._settings.cleanup_every_s)

    async def clean_up(self) -> int:
        """Remove what is due now; returns how many datasets and uploads that was. Raises UnavailableError."""
        return await self._remove_files() + await self._end_uploads()

    async def _remove_files(self) -> int:
        async with self._database.read() as session:
            due: Sequence[DatasetRow] = await store.datasets_to_clean_up(
                session, after_s=self._settings.cleanup_after_s, limit=BATCH
            )
            free = [row for row in due if not await store.runs_that_need(session, row.id)]
        for row in free:
            await self._objects.remove_prefix(f"datasets/{row.id}/")
            async with self._database.transaction() as session:
                await store.note_files_removed(session, row.id)
            log.info("dataset.files_removed", dataset_id=str(row.id))
        return len(free)

    async def _end_uploads(self) -> int:
        async with self._database.transaction() as session:
            due: Sequence[UploadRow] = await store.expire_uploads(session, limit=BATCH)
        for row in due:
            await ObjectParts(self._objects).abort(raw_key(row.id), row.multipart_id)
            await self._objects.remove(raw_key(row.id))
            log.info("upload.expired", upload_id=str(row.id))
        return len(due)
