"""The work queue: claims uploads by lease, processes each in a child, and commits what came of it."""

import asyncio
import sys
import tempfile
from pathlib import Path
from typing import Any
from uuid import UUID

import structlog

from slm_datasets import store
from slm_datasets.domain import MAX_ATTEMPTS, DatasetStatus
from slm_datasets.service import canonical_key, raw_key
from slm_datasets.settings import DatasetsSettings
from slm_datasets.tables import DatasetRow
from slm_shared import outbox
from slm_shared.child import Child, clean_environment
from slm_shared.database import Database
from slm_shared.errors import UnavailableError
from slm_shared.events import DatasetFailed, DatasetProcessed
from slm_shared.ids import new_id
from slm_shared.objects import ObjectStore

log = structlog.get_logger()

CHILD = (sys.executable, "-m", "slm_datasets.processing.child")


class ProcessingError(Exception):
    """The child ended without an answer, or took too long."""


class ProcessingQueue:
    """Processes what was uploaded; any number of services may do so side by side."""

    name = "processing"

    def __init__(self, database: Database, objects: ObjectStore, settings: DatasetsSettings) -> None:
        self._database = database
        self._objects = objects
        self._settings = settings
        self._wake = asyncio.Event()
        self._worker = f"datasets-{new_id()}"
        database.on_commit.append(self._wake.set)

    def problem(self) -> str | None:
        """Uploads are accepted whether or not anything is processed at the moment."""
        return None

    async def run(self) -> None:
        """Process until cancelled: at once when something was uploaded here, else every few seconds."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._settings.workers):
                group.create_task(self._work())

    async def _work(self) -> None:
        while True:
            try:
                dataset = await self._claim(new_id())
                if dataset is not None:
                    await self._serve(dataset)
                else:
                    await self._wait()
            except UnavailableError as error:
                log.warning("processing.unavailable", why=error.message)
                await asyncio.sleep(self._settings.poll_s)

    async def _wait(self) -> None:
        try:
            await asyncio.wait_for(self._wake.wait(), self._settings.poll_s)
        except TimeoutError:
            return
        finally:
            self._wake.clear()

    async def _claim(self, claim_id: UUID) -> DatasetRow | None:
        async with self._database.transaction() as session:
            return await store.claim(session, worker=self._worker, claim_id=claim_id, ttl_s=self._settings.lease_ttl_s)

    async def _serve(self, dataset: DatasetRow) -> None:
        """Process one dataset under its lease."""
        hold = asyncio.create_task(self._hold(dataset))
        try:
            with tempfile.TemporaryDirectory(prefix="slm-dataset-") as folder:
                await self._process(dataset, Path(folder))
        except ProcessingError as error:
            await self._retry_or_give_up(dataset, str(error))
        except asyncio.CancelledError:
            await self._release(dataset)
            raise
        finally:
            hold.cancel()

    async def _hold(self, dataset: DatasetRow) -> None:
        while True:
            await asyncio.sleep(self._settings.lease_ttl_s / 4)
            async with self._database.transaction() as session:
                await store.renew(session, dataset, ttl_s=self._settings.lease_ttl_s)

    async def _process(self, dataset: DatasetRow, folder: Path) -> None:
        source, target = folder / "raw", folder / "canonical.parquet"
        await self._objects.download(raw_key(dataset.id), source)
        answer = await self._run_child(dataset, source, target)
        if answer["kind"] == "problem":
            await self._fail(dataset, answer["problem"])
            return
        key = canonical_key(dataset.id, dataset.epoch)
        await self._objects.put_file(key, target)
        await self._succeed(dataset, key, answer["result"])

    async def _run_child(self, dataset: DatasetRow, source: Path, target: Path) -> dict[str, Any]:
        """What the child answers. Raises ProcessingError when it does not."""
        child = await Child.start(CHILD, env=clean_environment(), log_path=source.with_name("child.log"))
        try:
            job = {
                "source": str(source),
                "target": str(target),
                "format": dataset.format,
                "prompt_column": dataset.prompt_column,
                "completion_column": dataset.completion_column,
                "timeout_s": self._settings.processing_timeout_s,
            }
            await child.send(job)
            async with asyncio.timeout(self._settings.processing_timeout_s):
                answer = await child.receive()
        except TimeoutError:
            raise ProcessingError("Processing took too long and was stopped.") from None
        finally:
            code = await child.stop(grace_s=0.5)
        if answer is None:
            log.error("processing.child_died", dataset_id=str(dataset.id), code=code, tail=child.log_tail())
            raise ProcessingError("The process that read the file ended without an answer.")
        return answer

    async def _succeed(self, dataset: DatasetRow, key: str, found: dict[str, Any]) -> None:
        described = {name: found[name] for name in ("rows", "row_format", "mapping", "data_type")}
        values = {**described, "columns": found["columns"], "object_key": key, "canonical_sha256": found["sha256"]}
        async with self._database.transaction() as session:
            if not await store.finish(session, dataset, DatasetStatus.PROCESSED, values=values):
                return
            names = ("name", "family", "version", "usage")
            event = DatasetProcessed(
                dataset_id=dataset.id,
                columns=[column["name"] for column in found["columns"]],
                size_bytes=found["size_bytes"],
                sha256=found["sha256"],
                object_key=key,
                **{name: getattr(dataset, name) for name in names},
                **described,
            )
            await outbox.append(session, event)
        log.info("dataset.processed", dataset_id=str(dataset.id), rows=found["rows"])

    async def _fail(self, dataset: DatasetRow, problem: dict[str, Any]) -> None:
        async with self._database.transaction() as session:
            if not await store.finish(session, dataset, DatasetStatus.ERROR, values={"error": problem}):
                return
            told = {name: problem.get(name) for name in ("code", "message", "line")}
            event = DatasetFailed.model_validate({**told, "dataset_id": dataset.id, "name": dataset.name})
            await outbox.append(session, event)
        log.info("dataset.failed", dataset_id=str(dataset.id), code=problem["code"])

    async def _retry_or_give_up(self, dataset: DatasetRow, why: str) -> None:
        if dataset.attempt < MAX_ATTEMPTS:
            await self._release(dataset)
            return
        hint = "Upload it in smaller parts, or in another format."
        await self._fail(dataset, {"code": "processing_failed", "message": why, "hint": hint})

    async def _release(self, dataset: DatasetRow) -> None:
        async with self._database.transaction() as session:
            await store.release(session, dataset)
