"""Workers, and the service in numbers."""

from datetime import datetime
from typing import Annotated

from fastapi import Query

from slm_shared.http.access import Viewer
from slm_shared.http.routing import ReadSession, router
from slm_training.schemas.workers import Statistics, Workers
from slm_training.service import queue

routes = router(tags=["workers"])


@routes.get("/api/workers")
async def list_workers(_: Viewer, session: ReadSession) -> Workers:
    """The trainers that are connected, what they can do, and what each is doing."""
    return await queue.workers(session)


@routes.get("/api/statistics")
async def get_statistics(
    _: Viewer,
    session: ReadSession,
    since: Annotated[datetime | None, Query(description="Only runs created since then.")] = None,
) -> Statistics:
    """Runs by state, success rate, times, device hours and trained tokens."""
    return await queue.statistics(session, since=since)
