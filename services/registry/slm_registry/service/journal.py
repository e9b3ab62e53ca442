"""Taking note of what happened: one fact, and what follows from it, in the caller's transaction."""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from slm_registry import store
from slm_registry.domain.graph import draw
from slm_shared.errors import UnavailableError
from slm_shared.events.catalogue import EvaluationCompleted, ExperimentFailed
from slm_shared.storage.database import Database

log = structlog.get_logger()

VERSION = 1
"""Increase it when the projections of a fact change: they are rebuilt at the next start."""

RETRY_S = 0.5


async def note(
    session: AsyncSession, subject: str, body: Mapping[str, Any], *, model_id: UUID | None = None
) -> datetime:
    """Add a fact to the journal and to the projections. `body` is plain JSON."""
    at = await store.add_fact(session, subject, body, model_id=model_id)
    await _project(session, subject, body, at)
    return at


async def note_once(
    session: AsyncSession, subject: str, body: Mapping[str, Any], *, key: str, model_id: UUID | None = None
) -> bool:
    """Take note of a dataset or an evaluation unless it is known; says whether it was new."""
    if await store.is_known(session, subject, body, key=key):
        return False
    await note(session, subject, body, model_id=model_id)
    return True


async def note_failure(session: AsyncSession, event: ExperimentFailed) -> None:
    """Take note of a training that failed, under the name of its run."""
    run = await store.find_node(session, str(event.run_id))
    body = event.model_dump(mode="json") | {"name": run.name if run else None}
    await note(session, event.subject, body)


async def note_evaluation(session: AsyncSession, event: EvaluationCompleted) -> None:
    """Take note of an evaluation once; it counts as a use of its model."""
    body = event.model_dump(mode="json")
    is_new = await note_once(session, event.subject, body, key="evaluation_id", model_id=event.model_id)
    if is_new and await store.model_exists(session, event.model_id):
        await store.count_use(session, event.model_id, "evaluation")


async def _project(session: AsyncSession, subject: str, body: Mapping[str, Any], at: datetime) -> None:
    if subject == "dataset.processed":
        await store.project_dataset(session, body)
    elif subject == "evaluation.completed":
        await store.project_evaluation(session, body, at)
    await store.add_drawing(session, draw(subject, body), at)


async def rebuild(session: AsyncSession) -> int:
    """Delete the projections and rebuild them from the journal; returns the number of facts."""
    await store.truncate_projections(session)
    facts = await store.all_facts(session)
    for fact in facts:
        await _project(session, fact.subject, fact.body, fact.at)
    await store.set_projection_version(session, VERSION)
    return len(facts)


class Projections:
    """Rebuilds the projections at the first start of a version that makes them otherwise; not ready until then."""

    name = "projections"

    def __init__(self, database: Database) -> None:
        self._database = database
        self._problem: str | None = "the projections are not checked yet"

    def problem(self) -> str | None:
        """None once the projections are this version's."""
        return self._problem

    async def run(self) -> None:
        """Check once, and rebuild if needed, however long the database takes."""
        while self._problem is not None:
            try:
                async with self._database.transaction() as session:
                    if await store.projection_version(session) < VERSION:
                        log.info("projections.rebuilt", facts=await rebuild(session))
                self._problem = None
            except UnavailableError as error:
                log.warning("projections.retrying", why=error.message)
                await asyncio.sleep(RETRY_S)
