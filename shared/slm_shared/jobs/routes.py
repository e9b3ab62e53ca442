"""The lease routes of a service: the service's end of `protocol`. Workers reach them directly, not over the gateway."""

from collections.abc import Callable
from typing import Any, TypeVar
from uuid import UUID

from fastapi import APIRouter, Response

from slm_shared.http.access import Worker
from slm_shared.http.routing import WriteSession, router
from slm_shared.jobs.lifecycle import LeasedWork
from slm_shared.jobs.protocol import FailureReport, Fenced, Forget, Heartbeat, HeartbeatAnswer

AnyWork = LeasedWork[Any, Any, Any, Any]
Endpoint = TypeVar("Endpoint", bound=Callable[..., Any])


def lease_routes(path: str, work: AnyWork, *, claims: Any, completions: Any) -> APIRouter:
    """The routes below `path`, e.g. `/api/leases`; `claims` and `completions` are the service's own body types."""
    routes = router(tags=["leases"])
    _add_claiming(routes, path, work, claims)
    _add_reports(routes, f"{path}/{{work_id}}", work, completions)
    return routes


def _add_claiming(routes: APIRouter, path: str, work: AnyWork, claims: Any) -> None:
    @routes.post(f"{path}:claim", response_model=None)
    @_reading(claims)
    async def claim(body: Any, _: Worker, session: WriteSession) -> Response:
        """Lease the next work; 204 when there is none."""
        grant = await work.claim(session, body)
        if grant is None:
            return Response(status_code=204)
        # Only what was set: what the work leaves to the defaults of the worker stays so.
        return Response(grant.model_dump_json(exclude_unset=True), media_type="application/json")

    @routes.post(f"{path}:forget", status_code=204)
    async def forget(body: Forget, _: Worker, session: WriteSession) -> None:
        """A worker has restarted: free what it held."""
        await work.forget(session, body)


def _add_reports(routes: APIRouter, path: str, work: AnyWork, completions: Any) -> None:
    @routes.post(f"{path}:start", status_code=204)
    async def start(work_id: UUID, body: Fenced, _: Worker, session: WriteSession) -> None:
        """The work has begun."""
        await work.start(session, work_id, body)

    @routes.post(f"{path}:heartbeat")
    async def heartbeat(work_id: UUID, body: Heartbeat, _: Worker, session: WriteSession) -> HeartbeatAnswer:
        """Keep the lease and hear whether to stop."""
        return await work.heartbeat(session, work_id, body)

    @routes.post(f"{path}:complete", status_code=204)
    @_reading(completions)
    async def complete(work_id: UUID, body: Any, _: Worker) -> None:
        """The work is done and its result is stored."""
        await work.complete(work_id, body)

    @routes.post(f"{path}:fail", status_code=204)
    async def fail(work_id: UUID, body: FailureReport, _: Worker, session: WriteSession) -> None:
        """The attempt ended without a result."""
        await work.fail(session, work_id, body)

    @routes.post(f"{path}:release", status_code=204)
    async def release(work_id: UUID, body: Fenced, _: Worker, session: WriteSession) -> None:
        """The work is given back unfinished."""
        await work.release(session, work_id, body)


def _reading(kind: Any) -> Callable[[Endpoint], Endpoint]:
    """Have FastAPI read the body as `kind`. It looks at annotations, and none can name a type that is a variable."""

    def annotate(endpoint: Endpoint) -> Endpoint:
        endpoint.__annotations__["body"] = kind
        return endpoint

    return annotate
