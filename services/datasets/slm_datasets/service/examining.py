"""Requesting examinations of datasets, and reading their reports."""

from typing import Any
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from slm_datasets import store
from slm_datasets.domain.rows import COLUMNS, IMAGES
from slm_datasets.domain.states import JobKind, JobStatus
from slm_datasets.errors import NotTrainableError, ReportNotFoundError
from slm_datasets.schemas import Comparison, Report, TokenReport
from slm_datasets.service import reading
from slm_datasets.service.tokenizers import Model
from slm_datasets.tables import JobRow
from slm_shared.http.paging import Page, PageRequest
from slm_shared.http.sorting import page_of_sorted
from slm_shared.storage.database import PUBLISHES


class TokenParams(BaseModel):
    """What a token report is made for."""

    model_id: str
    model_name: str
    max_length: int


async def request_token_report(session: AsyncSession, reference: str, model: Model, *, max_length: int) -> TokenReport:
    """Ask for the tokens of a dataset in front of a model; the same question has one report.

    Raises DatasetNotFoundError, DatasetNotReadyError and NotTrainableError.
    """
    dataset = await reading.get_processed(session, reference)
    if dataset.row_format in (COLUMNS, IMAGES):
        raise NotTrainableError(
            dataset.untrainable_because or "No language model can be trained on this.",
            hint="Upload it again with a mapping of its columns.",
        )
    key = f"{model.id}:{max_length}"
    params = TokenParams(model_id=str(model.id), model_name=model.name, max_length=max_length).model_dump()
    job = await store.request_job(session, dataset.id, JobKind.TOKENS, key=key, params=params)
    session.info[PUBLISHES] = True
    return _token_report(job)


async def request_comparison(session: AsyncSession, reference: str, other: str) -> Comparison:
    """Ask how two datasets differ and what they share. Raises DatasetNotFoundError and DatasetNotReadyError."""
    left, right = [await reading.get_processed(session, each) for each in (reference, other)]
    params = {"other_id": str(right.id), "other_name": right.name}
    job = await store.request_job(session, left.id, JobKind.COMPARISON, key=str(right.id), params=params)
    session.info[PUBLISHES] = True
    return _comparison(job)


async def list_token_reports(session: AsyncSession, reference: str, query: PageRequest) -> Page[TokenReport]:
    """Token reports of a dataset, newest first. Raises DatasetNotFoundError."""
    dataset = await reading.get_dataset(session, reference)
    found = await store.list_jobs(session, query, dataset.id, JobKind.TOKENS)
    return page_of_sorted(found, query, store.NEWEST_JOBS_FIRST, key=lambda row: row.id, show=_token_report)


async def get_token_report(session: AsyncSession, reference: str, report_id: UUID) -> TokenReport:
    """One token report. Raises DatasetNotFoundError and ReportNotFoundError."""
    return _token_report(await _get_job(session, reference, JobKind.TOKENS, report_id))


async def list_comparisons(session: AsyncSession, reference: str, query: PageRequest) -> Page[Comparison]:
    """Comparisons of a dataset with others, newest first. Raises DatasetNotFoundError."""
    dataset = await reading.get_dataset(session, reference)
    found = await store.list_jobs(session, query, dataset.id, JobKind.COMPARISON)
    return page_of_sorted(found, query, store.NEWEST_JOBS_FIRST, key=lambda row: row.id, show=_comparison)


async def get_comparison(session: AsyncSession, reference: str, comparison_id: UUID) -> Comparison:
    """One comparison. Raises DatasetNotFoundError and ReportNotFoundError."""
    return _comparison(await _get_job(session, reference, JobKind.COMPARISON, comparison_id))


async def _get_job(session: AsyncSession, reference: str, kind: JobKind, job_id: UUID) -> JobRow:
    dataset = await reading.get_dataset(session, reference)
    job = await store.find_job(session, dataset.id, kind, job_id)
    if job is None:
        raise ReportNotFoundError("The dataset has no such report.")
    return job


async def get_report(session: AsyncSession, reference: str) -> Report:
    """Profile and quality of a processed dataset. Raises DatasetNotFoundError and DatasetNotReadyError."""
    dataset = await reading.get_processed(session, reference, with_details=True)
    job = await store.newest_job(session, dataset.id, JobKind.QUALITY)
    return Report(
        dataset_id=dataset.id,
        name=dataset.name,
        rows=dataset.rows or 0,
        profile=dataset.profile or [],
        quality_status=job.status if job else JobStatus.FAILED,
        quality=job.result if job else None,
    )


def _token_report(job: JobRow) -> TokenReport:
    return TokenReport.model_validate({**_facts(job), **job.params, "report": job.result})


def _comparison(job: JobRow) -> Comparison:
    return Comparison.model_validate({**_facts(job), **job.params, "report": job.result})


def _facts(job: JobRow) -> dict[str, Any]:
    names = ("id", "dataset_id", "status", "progress", "error", "created_at", "finished_at")
    return {name: getattr(job, name) for name in names}
