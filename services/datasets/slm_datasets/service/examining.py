"""Asking for examinations of datasets, and what came of them."""

from typing import Any
from uuid import UUID

from sqlalchemy.ext.asyncio import AsyncSession

from slm_datasets.domain.rows import COLUMNS, IMAGES
from slm_datasets.domain.states import JobKind, JobStatus
from slm_datasets.errors import NotTrainableError, ReportNotFoundError
from slm_datasets.schemas import Comparison, Report, TokenReport
from slm_datasets.service import reading
from slm_datasets.store import jobs
from slm_datasets.tables import JobRow
from slm_shared.storage.database import PUBLISHES


async def request_token_report(
    session: AsyncSession, reference: str, model: dict[str, Any], *, max_length: int
) -> TokenReport:
    """Ask for the tokens of a dataset in front of a model; the same question has one report.

    Raises DatasetNotFoundError, DatasetNotReadyError and NotTrainableError.
    """
    dataset = await reading.get_processed(session, reference)
    if dataset.row_format in (COLUMNS, IMAGES):
        raise NotTrainableError(
            dataset.untrainable_because or "No language model can be trained on this.",
            hint="Upload it again with a mapping of its columns.",
        )
    key = f"{model['model_id']}:{max_length}"
    params = {**model, "max_length": max_length}
    job = await jobs.request(session, dataset.id, JobKind.TOKENS, key=key, params=params)
    session.info[PUBLISHES] = True
    return token_report_of(job)


async def request_comparison(session: AsyncSession, reference: str, other: str) -> Comparison:
    """Ask how two datasets differ and what they share. Raises DatasetNotFoundError and DatasetNotReadyError."""
    left, right = [await reading.get_processed(session, each) for each in (reference, other)]
    params = {"other_id": str(right.id), "other_name": right.name}
    job = await jobs.request(session, left.id, JobKind.COMPARISON, key=str(right.id), params=params)
    session.info[PUBLISHES] = True
    return comparison_of(job)


async def get_job(session: AsyncSession, reference: str, kind: JobKind, job_id: UUID) -> JobRow:
    """One examination of a dataset. Raises DatasetNotFoundError and ReportNotFoundError."""
    dataset = await reading.get_dataset(session, reference)
    job = await jobs.find(session, dataset.id, kind, job_id)
    if job is None:
        raise ReportNotFoundError("The dataset has no such report.")
    return job


async def get_report(session: AsyncSession, reference: str) -> Report:
    """Profile and quality of a processed dataset. Raises DatasetNotFoundError and DatasetNotReadyError."""
    dataset = await reading.get_processed(session, reference, with_details=True)
    job = await jobs.newest(session, dataset.id, JobKind.QUALITY)
    return Report(
        dataset_id=dataset.id,
        name=dataset.name,
        rows=dataset.rows or 0,
        profile=dataset.profile or [],
        quality_status=job.status if job else JobStatus.FAILED,
        quality=job.result if job else None,
    )


def token_report_of(job: JobRow) -> TokenReport:
    """The token report in a row."""
    return TokenReport.model_validate({**_facts(job), **job.params, "report": job.result})


def comparison_of(job: JobRow) -> Comparison:
    """The comparison in a row."""
    return Comparison.model_validate({**_facts(job), **job.params, "report": job.result})


def _facts(job: JobRow) -> dict[str, Any]:
    names = ("id", "dataset_id", "status", "progress", "error", "created_at", "finished_at")
    return {name: getattr(job, name) for name in names}
