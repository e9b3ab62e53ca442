"""The work queue of examinations: quality, tokens, comparisons. Each runs in a child, under a lease."""

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import structlog

from slm_datasets.background.work import ProcessingError, WorkLoop, holding, run_child
from slm_datasets.domain.states import MAX_ATTEMPTS, DatasetStatus, JobKind, JobStatus
from slm_datasets.service.tokenizers import fetch_tokenizer
from slm_datasets.settings import DatasetsSettings
from slm_datasets.store import datasets, jobs
from slm_datasets.tables import DatasetRow, JobRow
from slm_shared.errors import UnavailableError
from slm_shared.peers import Peer
from slm_shared.storage.database import Database
from slm_shared.storage.ids import new_id
from slm_shared.storage.objects import ObjectMissingError, ObjectStore

log = structlog.get_logger()

EXAMINE_CHILD = "slm_datasets.child.examine"
TOKENS_CHILD = "slm_datasets.child.tokens"


class GoneError(Exception):
    """What was to be examined is not there any more."""


class JobQueue:
    """Examines datasets, one job at a time per worker; any number of services may do so side by side."""

    name = "examining"

    def __init__(self, database: Database, objects: ObjectStore, registry: Peer, settings: DatasetsSettings) -> None:
        self._database, self._objects, self._registry, self._settings = database, objects, registry, settings
        self._worker = f"datasets-{new_id()}"
        self._loop = WorkLoop(self._claim, self._serve, poll_s=settings.poll_s)
        database.on_commit.append(self._loop.wake)

    def problem(self) -> str | None:
        """Nothing depends on a report at any one moment."""
        return None

    async def run(self) -> None:
        """Examine until cancelled."""
        await self._loop.run(workers=self._settings.examiners)

    async def _claim(self) -> JobRow | None:
        async with self._database.transaction() as session:
            return await jobs.claim(session, worker=self._worker, claim_id=new_id(), ttl_s=self._settings.lease_ttl_s)

    async def _serve(self, job: JobRow) -> None:
        hold = asyncio.create_task(holding(lambda: self._renew(job), every_s=self._settings.lease_ttl_s / 4))
        try:
            with tempfile.TemporaryDirectory(prefix="slm-examine-") as folder:
                await self._examine(job, Path(folder))
        except (GoneError, ObjectMissingError):
            await self._finish(job, JobStatus.FAILED, error={"code": "dataset_gone", "message": "It was deleted."})
        except ProcessingError as error:
            await self._retry_or_give_up(job, str(error))
        except asyncio.CancelledError:
            await self._release(job)
            raise
        except UnavailableError:
            raise
        except Exception:
            log.exception("dataset.examination_failed", job_id=str(job.id))
            await self._retry_or_give_up(job, "The examination failed unexpectedly.")
        finally:
            hold.cancel()

    async def _renew(self, job: JobRow) -> None:
        async with self._database.transaction() as session:
            await jobs.renew(session, job, ttl_s=self._settings.lease_ttl_s)

    async def _examine(self, job: JobRow, folder: Path) -> None:
        dataset = await self._dataset(job.dataset_id)
        source = folder / "rows.parquet"
        await self._objects.download(dataset.object_key or "", source)
        prepare: dict[str, Callable[[JobRow, DatasetRow, Path], Awaitable[dict[str, Any]]]] = {
            JobKind.QUALITY: self._quality,
            JobKind.TOKENS: self._tokens,
            JobKind.COMPARISON: self._comparison,
        }
        wanted = await prepare[job.kind](job, dataset, folder)
        shared = {"source": str(source), "row_format": dataset.row_format, "mapping": dataset.mapping}
        module = TOKENS_CHILD if job.kind == JobKind.TOKENS else EXAMINE_CHILD
        answer = await run_child(
            {"task": job.kind, **shared, **wanted},
            folder,
            self._settings,
            on_progress=lambda told: self._note(job, told),
            module=module,
        )
        if answer["kind"] == "problem":
            await self._finish(job, JobStatus.FAILED, error=answer["problem"])
        else:
            await self._finish(job, JobStatus.DONE, result=answer["result"])

    async def _dataset(self, dataset_id: UUID) -> DatasetRow:
        async with self._database.read() as session:
            dataset = await datasets.find(session, str(dataset_id))
        if dataset is None or dataset.status != DatasetStatus.PROCESSED:
            raise GoneError
        return dataset

    async def _quality(self, _job: JobRow, _dataset: DatasetRow, _folder: Path) -> dict[str, Any]:
        return {"personal_data_rows": self._settings.personal_data_rows}

    async def _tokens(self, job: JobRow, _dataset: DatasetRow, folder: Path) -> dict[str, Any]:
        tokenizer = Path(tempfile.mkdtemp(dir=folder))
        await fetch_tokenizer(self._registry, job.params["model_id"], tokenizer)
        max_rows = self._settings.token_report_rows
        return {"tokenizer": str(tokenizer), "max_length": job.params["max_length"], "max_rows": max_rows}

    async def _comparison(self, job: JobRow, _dataset: DatasetRow, folder: Path) -> dict[str, Any]:
        other = await self._dataset(UUID(job.params["other_id"]))
        path = folder / "other.parquet"
        await self._objects.download(other.object_key or "", path)
        return {"other": str(path), "other_mapping": other.mapping}

    async def _note(self, job: JobRow, progress: dict[str, Any]) -> None:
        async with self._database.transaction() as session:
            await jobs.note_progress(session, job, progress)

    async def _finish(
        self, job: JobRow, status: JobStatus, *, result: dict[str, Any] | None = None, error: Any = None
    ) -> None:
        async with self._database.transaction() as session:
            await jobs.finish(session, job, status, values={"result": result, "error": error})
        log.info("dataset.examined", job_id=str(job.id), kind=job.kind, status=status)

    async def _retry_or_give_up(self, job: JobRow, why: str) -> None:
        if job.attempt < MAX_ATTEMPTS:
            await self._release(job)
        else:
            await self._finish(job, JobStatus.FAILED, error={"code": "processing_failed", "message": why})

    async def _release(self, job: JobRow) -> None:
        async with self._database.transaction() as session:
            await jobs.release(session, job)
