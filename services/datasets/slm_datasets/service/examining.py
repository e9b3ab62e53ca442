"""Requesting examinations of datasets, and reading their reports."""

from functools import partial
from typing import TypeVar
from uuid import UUID

from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from slm_datasets import store
from slm_datasets.domain.rows import COLUMNS, IMAGES
from slm_datasets.domain.states import JobKind, JobStatus
from slm_datasets.errors import NotTrainableError, ReportNotFoundError
from slm_datasets.schemas import Comparison, Job, Report, TokenReport
from slm_datasets.service import reading
from slm_datasets.service.tokenizers import Model
from slm_datasets.tables import JobRow
from slm_shared.http.paging import Page, PageRequest
from slm_shared.http.sorting import page_of_sorted
from slm_shared.storage.database import PUBLISHES

E = TypeVar("E", bound=Job)
KINDS: dict[type[Job], JobKind] = {TokenReport: JobKind.TOKENS, Comparison: JobKind.COMPARISON}


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
    # Wakes the work queue when this is committed.
    session.info[PUBLISHES] = True
    return _shown(TokenReport, job)


async def request_comparison(session: AsyncSession, reference: str, other: str) -> Comparison:
    """Ask how two datasets differ and what they share. Raises DatasetNotFoundError and DatasetNotReadyError."""
    left, right = [await reading.get_processed(session, each) for each in (reference, other)]
    params = {"other_id": str(right.id), "other_name": right.name}
    job = await store.request_job(session, left.id, JobKind.COMPARISON, key=str(right.id), params=params)
    # Wakes the work queue when this is committed.
    session.info[PUBLISHES] = True
    return _shown(Comparison, job)


async def list_examinations(session: AsyncSession, reference: str, kind: type[E], query: PageRequest) -> Page[E]:
    """Examinations of one kind of a dataset, newest first. Raises DatasetNotFoundError."""
    dataset = await reading.get_dataset(session, reference)
    found = await store.list_jobs(session, query, dataset.id, KINDS[kind])
    show = partial(_shown, kind)
    return page_of_sorted(found, query, store.NEWEST_JOBS_FIRST, key=lambda row: row.id, show=show)


async def get_examination(session: AsyncSession, reference: str, kind: type[E], job_id: UUID) -> E:
    """One examination of a dataset. Raises DatasetNotFoundError and ReportNotFoundError."""
    dataset = await reading.get_dataset(session, reference)
    job = await store.find_job(session, dataset.id, KINDS[kind], job_id)
    if job is None:
        raise ReportNotFoundError("The dataset has no such report.")
    return _shown(kind, job)


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


def _shown(kind: type[E], job: JobRow) -> E:
    names = ("id", "dataset_id", "status", "progress", "error", "created_at", "finished_at")
    facts = {name: getattr(job, name) for name in names}
    return kind.model_validate({**facts, **job.params, "report": job.result})
