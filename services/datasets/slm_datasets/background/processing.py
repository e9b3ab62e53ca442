"""Processing what was uploaded, or split off another dataset: to canonical Parquet, in a child process."""

from functools import partial
from pathlib import Path
from typing import Any

from slm_datasets.background.children import run_child
from slm_datasets.background.queue import note_progress
from slm_datasets.domain.keys import THUMBNAILS, canonical_key, raw_key, thumbnails_key
from slm_datasets.schemas import Problem, ProblemLog
from slm_datasets.service import processing
from slm_datasets.settings import DatasetsSettings
from slm_datasets.tables import DatasetRow
from slm_shared.storage.database import Database
from slm_shared.storage.objects import ObjectStore

PROCESS_CHILD = "slm_datasets.child.process"


class Processing:
    """The work of the queue of new datasets."""

    name, kind = "processing", DatasetRow

    def __init__(self, database: Database, objects: ObjectStore, settings: DatasetsSettings) -> None:
        self._database, self._objects, self._settings = database, objects, settings

    async def do(self, row: DatasetRow, folder: Path) -> None:
        """Make the canonical Parquet of one dataset and store it. Raises TaskFailedError."""
        source, target = folder / "raw", folder / "canonical.parquet"
        await self._objects.download(raw_key(row.id) if row.derived is None else row.derived["object_key"], source)
        task = {"source": str(source), "target": str(target), **self._task(row)}
        tell = partial(note_progress, self._database, row)
        result = await run_child(PROCESS_CHILD, task, folder, self._settings, on_progress=tell)
        key = canonical_key(row.id, row.epoch)
        if (folder / THUMBNAILS).exists():
            await self._objects.put_file(thumbnails_key(key), folder / THUMBNAILS)
        await self._objects.put_file(key, target)
        async with self._database.transaction() as session:
            await processing.succeed(session, row, key, processing.Canonical.model_validate(result))

    def _task(self, row: DatasetRow) -> dict[str, Any]:
        if row.derived is not None:
            return {"task": "split", "derived": row.derived, "mapping": row.reading.get("mapping", {})}
        kind = {"format": row.format, "compression": row.compression}
        return {
            "task": "process",
            "reading": {**kind, **row.reading, "max_expanded_bytes": self._settings.max_expanded_bytes},
        }

    async def fail(self, row: DatasetRow, problem: Problem, problems: ProblemLog | None) -> None:
        """Commit what is wrong with a dataset."""
        async with self._database.transaction() as session:
            await processing.fail(session, row, problem, problems)
