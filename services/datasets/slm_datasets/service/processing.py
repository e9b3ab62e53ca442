"""The end of processing a dataset, in one transaction with its event."""

from typing import Any

import structlog
from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from slm_datasets import store
from slm_datasets.domain.states import DatasetStatus, JobKind
from slm_datasets.schemas import Column, Problem, ProblemLog
from slm_datasets.tables import DatasetRow
from slm_shared.delivery import outbox
from slm_shared.events.catalogue import DatasetFailed, DatasetProcessed

log = structlog.get_logger()


class Canonical(BaseModel):
    """The canonical Parquet that was made of a file, and what it holds; sizes in bytes."""

    rows: int
    skipped_rows: int
    problems: ProblemLog | None
    profile: list[dict[str, Any]]
    columns: list[Column]
    row_format: str
    source_format: str | None
    mapping: dict[str, str]
    suggested_mapping: dict[str, str]
    untrainable_because: str | None
    data_type: str
    dialect: dict[str, Any] | None
    sha256: str
    size_bytes: int


async def succeed(session: AsyncSession, dataset: DatasetRow, key: str, found: Canonical) -> None:
    """Store what was found, publish the event and queue the quality report; nothing when the lease is lost.

    `key` is where the Parquet lies in the object store.
    """
    values = found.model_dump(exclude={"sha256", "size_bytes"})
    values |= {"object_key": key, "canonical_sha256": found.sha256, "canonical_size_bytes": found.size_bytes}
    if dataset.derived is not None:
        # Nobody uploaded it: what was made is all there is.
        values |= {"sha256": found.sha256, "size_bytes": found.size_bytes}
    if not await store.finish(session, dataset, DatasetStatus.PROCESSED, values=values):
        return
    await outbox.append(session, _processed(dataset, key, found))
    await store.request_job(session, dataset.id, JobKind.QUALITY, key="", params={})
    log.info("dataset.processed", dataset_id=str(dataset.id), rows=found.rows)


async def fail(session: AsyncSession, dataset: DatasetRow, problem: Problem, problems: ProblemLog | None) -> None:
    """Store why a dataset cannot be processed and publish the event; nothing when the lease is lost."""
    values = {"error": problem.model_dump(), "problems": problems.model_dump() if problems else None}
    if not await store.finish(session, dataset, DatasetStatus.ERROR, values=values):
        return
    told = problem.model_dump(include={"code", "message", "line"})
    await outbox.append(session, DatasetFailed(dataset_id=dataset.id, name=dataset.name, **told))
    log.info("dataset.failed", dataset_id=str(dataset.id), code=problem.code)


def _processed(dataset: DatasetRow, key: str, found: Canonical) -> DatasetProcessed:
    same = {"rows", "row_format", "mapping", "data_type", "size_bytes", "sha256"}
    return DatasetProcessed(
        dataset_id=dataset.id,
        columns=[column.name for column in found.columns],
        object_key=key,
        **{name: getattr(dataset, name) for name in ("name", "family", "version", "usage")},
        **found.model_dump(include=same),
    )
