"""Workers, and the service in numbers."""

from datetime import datetime
from typing import Annotated

from fastapi import Query

from slm_shared.http.access import Viewer
from slm_shared.http.routing import ReadSession, router
from slm_training import store
from slm_training.domain import STATUS_OF, RunState
from slm_training.schemas.workers import Statistics, Worker, Workers
from slm_training.service.control import WORKER_SEEN_S

routes = router(tags=["workers"])


@routes.get("/api/workers")
async def list_workers(_: Viewer, session: ReadSession) -> Workers:
    """The trainers that are connected, what they can do, and what each is doing."""
    found = await store.list_workers(session, seen_within_s=WORKER_SEEN_S)
    return Workers(items=[Worker.of(worker, run) for worker, run in found])


@routes.get("/api/statistics")
async def get_statistics(
    _: Viewer,
    session: ReadSession,
    since: Annotated[datetime | None, Query(description="Only runs created since then.")] = None,
) -> Statistics:
    """Runs by state, success rate, times, device hours and trained tokens."""
    found = await store.statistics(session, since=since)
    by_status: dict[str, int] = {}
    for state, count in found["by_state"].items():
        status = str(STATUS_OF[RunState(state)])
        by_status[status] = by_status.get(status, 0) + count
    ended = by_status.get("completed", 0) + by_status.get("failed", 0)
    rate = round(by_status.get("completed", 0) / ended, 4) if ended else None
    return Statistics(**found, by_status=by_status, runs=sum(by_status.values()), success_rate=rate)
