"""Examining processed datasets: quality, tokens, comparisons. Each in a child process."""

from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import structlog

from slm_datasets import store
from slm_datasets.background.children import TaskFailedError, run_child
from slm_datasets.background.queue import note_progress
from slm_datasets.domain.states import DatasetStatus, JobKind, JobStatus
from slm_datasets.schemas import Problem, ProblemLog
from slm_datasets.service.examining import TokenParams
from slm_datasets.service.tokenizers import fetch_tokenizer
from slm_datasets.settings import DatasetsSettings
from slm_datasets.tables import DatasetRow, JobRow
from slm_shared.peers import Peer
from slm_shared.storage.database import Database
from slm_shared.storage.objects import ObjectMissingError, ObjectStore

log = structlog.get_logger()

EXAMINE_CHILD = "slm_datasets.child.examine"
TOKENS_CHILD = "slm_datasets.child.tokens"
GONE = Problem(code="dataset_gone", message="The dataset was deleted.")


class Examining:
    """The work of the queue of examinations."""

    name, kind = "examining", JobRow

    def __init__(self, database: Database, objects: ObjectStore, registry: Peer, settings: DatasetsSettings) -> None:
        self._database, self._objects, self._registry, self._settings = database, objects, registry, settings

    async def do(self, row: JobRow, folder: Path) -> None:
        """Do one examination and store its report. Raises TaskFailedError."""
        try:
            task = await self._task(row, folder)
        except ObjectMissingError:
            raise TaskFailedError(GONE) from None
        module = TOKENS_CHILD if row.kind == JobKind.TOKENS else EXAMINE_CHILD
        tell = partial(note_progress, self._database, row)
        report = await run_child(module, task, folder, self._settings, on_progress=tell)
        async with self._database.transaction() as session:
            await store.finish(session, row, JobStatus.DONE, values={"result": report, "error": None})
        log.info("dataset.examined", job_id=str(row.id), kind=row.kind)

    async def fail(self, row: JobRow, problem: Problem, problems: ProblemLog | None) -> None:
        """Commit why there is no report; problems of single rows are not kept."""
        async with self._database.transaction() as session:
            values = {"result": None, "error": problem.model_dump()}
            await store.finish(session, row, JobStatus.FAILED, values=values)
        log.info("dataset.not_examined", job_id=str(row.id), kind=row.kind, code=problem.code)

    async def _task(self, job: JobRow, folder: Path) -> dict[str, Any]:
        dataset = await self._download(job.dataset_id, folder / "rows.parquet")
        task: dict[str, Any] = {
            "task": job.kind,
            "source": str(folder / "rows.parquet"),
            "row_format": dataset.row_format,
        }
        task["mapping"] = dataset.mapping
        match job.kind:
            case JobKind.TOKENS:
                params, tokenizer = TokenParams.model_validate(job.params), folder / "tokenizer"
                tokenizer.mkdir()
                await fetch_tokenizer(self._registry, params.model_id, tokenizer)
                task |= {"tokenizer": str(tokenizer), "max_length": params.max_length}
                task["max_rows"] = self._settings.token_report_rows
            case JobKind.COMPARISON:
                other = await self._download(UUID(job.params["other_id"]), folder / "other.parquet")
                task |= {"other": str(folder / "other.parquet"), "other_mapping": other.mapping}
            case _:
                task["personal_data_rows"] = self._settings.personal_data_rows
        return task

    async def _download(self, dataset_id: UUID, path: Path) -> DatasetRow:
        async with self._database.read() as session:
            dataset = await store.find_dataset(session, str(dataset_id))
        if dataset is None or dataset.status != DatasetStatus.PROCESSED:
            raise TaskFailedError(GONE)
        await self._objects.download(dataset.object_key or "", path)
        return dataset
