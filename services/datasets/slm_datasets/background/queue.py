"""The work queue: claims uploads by lease, processes each in a child, and commits what came of it."""

import asyncio
import tempfile
from pathlib import Path
from typing import Any

import structlog

from slm_datasets.background.work import ProcessingError, WorkLoop, holding, run_child
from slm_datasets.domain.keys import THUMBNAILS, canonical_key, raw_key, thumbnails_key
from slm_datasets.domain.states import MAX_ATTEMPTS, DatasetStatus, JobKind
from slm_datasets.settings import DatasetsSettings
from slm_datasets.store import datasets as store
from slm_datasets.store import jobs
from slm_datasets.tables import DatasetRow
from slm_shared.delivery import outbox
from slm_shared.errors import UnavailableError, is_disk_full
from slm_shared.events.catalogue import DatasetFailed, DatasetProcessed
from slm_shared.storage.database import Database
from slm_shared.storage.ids import new_id
from slm_shared.storage.objects import ObjectStore

log = structlog.get_logger()

PROCESS_CHILD = "slm_datasets.child.process"

DESCRIBED = (
    "rows",
    "skipped_rows",
    "problems",
    "profile",
    "columns",
    "row_format",
    "source_format",
    "mapping",
    "suggested_mapping",
    "untrainable_because",
    "data_type",
    "dialect",
)


class ProcessingQueue:
    """Processes what was uploaded; any number of services may do so side by side."""

    name = "processing"

    def __init__(self, database: Database, objects: ObjectStore, settings: DatasetsSettings) -> None:
        self._database, self._objects, self._settings = database, objects, settings
        self._worker = f"datasets-{new_id()}"
        self._loop = WorkLoop(self._claim, self._serve, poll_s=settings.poll_s)
        database.on_commit.append(self._loop.wake)

    def problem(self) -> str | None:
        """Uploads are accepted whether or not anything is processed at the moment."""
        return None

    async def run(self) -> None:
        """Process until cancelled."""
        await self._loop.run(workers=self._settings.workers)

    async def _claim(self) -> DatasetRow | None:
        async with self._database.transaction() as session:
            ttl_s = self._settings.lease_ttl_s
            return await store.claim(session, worker=self._worker, claim_id=new_id(), ttl_s=ttl_s)

    async def _serve(self, dataset: DatasetRow) -> None:
        """Process one dataset under its lease."""
        hold = asyncio.create_task(holding(lambda: self._renew(dataset), every_s=self._settings.lease_ttl_s / 4))
        try:
            with tempfile.TemporaryDirectory(prefix="slm-dataset-") as folder:
                await self._process(dataset, Path(folder))
        except ProcessingError as error:
            hint = "Upload it in smaller parts, or in another format."
            await self._retry_or_give_up(dataset, "processing_failed", str(error), hint=hint)
        except OSError as error:
            if not is_disk_full(error):
                raise
            hint = "Make room there, then retry it: the upload is kept."
            await self._retry_or_give_up(dataset, "disk_full", "The disk of the datasets service is full.", hint=hint)
        except asyncio.CancelledError:
            await self._release(dataset)
            raise
        except UnavailableError:
            raise
        except Exception:
            # Nobody may wait for ever for what fails in a way that nobody thought of.
            log.exception("dataset.processing_failed", dataset_id=str(dataset.id))
            hint = "Try it again; if it ends like this again, the log of the datasets service says why."
            await self._retry_or_give_up(dataset, "internal_error", "Processing failed unexpectedly.", hint=hint)
        finally:
            hold.cancel()

    async def _renew(self, dataset: DatasetRow) -> None:
        async with self._database.transaction() as session:
            await store.renew(session, dataset, ttl_s=self._settings.lease_ttl_s)

    async def _note(self, dataset: DatasetRow, progress: dict[str, Any]) -> None:
        async with self._database.transaction() as session:
            await store.note_progress(session, dataset, progress)

    async def _process(self, dataset: DatasetRow, folder: Path) -> None:
        source, target = folder / "raw", folder / "canonical.parquet"
        derived = dataset.derived
        await self._objects.download(raw_key(dataset.id) if derived is None else derived["object_key"], source)
        reading = {"format": dataset.format, "compression": dataset.compression, **dataset.reading}
        reading["max_expanded_bytes"] = self._settings.max_expanded_bytes
        job = {"task": "process", "source": str(source), "target": str(target), "reading": reading}
        if derived is not None:
            job |= {"task": "derive", "derived": derived, "reading": {"mapping": dataset.reading.get("mapping", {})}}
        answer = await run_child(
            job, folder, self._settings, on_progress=lambda told: self._note(dataset, told), module=PROCESS_CHILD
        )
        if answer["kind"] == "problem":
            await self._fail(dataset, answer["problem"], problems=answer.get("problems"))
            return
        key = canonical_key(dataset.id, dataset.epoch)
        if (folder / THUMBNAILS).exists():
            await self._objects.put_file(thumbnails_key(key), folder / THUMBNAILS)
        await self._objects.put_file(key, target)
        await self._succeed(dataset, key, answer["result"])

    async def _succeed(self, dataset: DatasetRow, key: str, found: dict[str, Any]) -> None:
        values = {name: found[name] for name in DESCRIBED}
        values |= {"object_key": key, "canonical_sha256": found["sha256"], "canonical_size_bytes": found["size_bytes"]}
        if dataset.derived is not None:
            # Nobody uploaded it: what was made is all there is.
            values |= {"sha256": found["sha256"], "size_bytes": found["size_bytes"]}
        async with self._database.transaction() as session:
            if not await store.finish(session, dataset, DatasetStatus.PROCESSED, values=values):
                return
            await outbox.append(session, _processed(dataset, key, found))
            await jobs.request(session, dataset.id, JobKind.QUALITY, key="", params={})
        log.info("dataset.processed", dataset_id=str(dataset.id), rows=found["rows"])

    async def _fail(
        self, dataset: DatasetRow, problem: dict[str, Any], *, problems: dict[str, Any] | None = None
    ) -> None:
        values = {"error": problem, "problems": problems}
        async with self._database.transaction() as session:
            if not await store.finish(session, dataset, DatasetStatus.ERROR, values=values):
                return
            told = {name: problem.get(name) for name in ("code", "message", "line")}
            event = DatasetFailed.model_validate({**told, "dataset_id": dataset.id, "name": dataset.name})
            await outbox.append(session, event)
        log.info("dataset.failed", dataset_id=str(dataset.id), code=problem["code"])

    async def _retry_or_give_up(self, dataset: DatasetRow, code: str, why: str, *, hint: str) -> None:
        if dataset.attempt < MAX_ATTEMPTS:
            await self._release(dataset)
            return
        await self._fail(dataset, {"code": code, "message": why, "hint": hint})

    async def _release(self, dataset: DatasetRow) -> None:
        async with self._database.transaction() as session:
            await store.release(session, dataset)


def _processed(dataset: DatasetRow, key: str, found: dict[str, Any]) -> DatasetProcessed:
    return DatasetProcessed(
        dataset_id=dataset.id,
        columns=[column["name"] for column in found["columns"]],
        object_key=key,
        **{name: getattr(dataset, name) for name in ("name", "family", "version", "usage")},
        **{name: found[name] for name in ("rows", "row_format", "mapping", "data_type", "size_bytes", "sha256")},
    )
